import { describe, expect, test } from 'vitest'
import { fakeEnv } from './fake-env.ts'
import { Penalties } from './penalties.ts'

describe('S7 penalties', () => {
  test('a stream of failures from one address is not looked at for a while; others are', async () => {
    const env = fakeEnv()
    const penalties = new Penalties(env)
    for (let i = 0; i < 60; i++) penalties.failed('10.0.0.1')
    expect(penalties.isRefused('10.0.0.1')).toBe(false)
    penalties.failed('10.0.0.1')
    expect(penalties.isRefused('10.0.0.1')).toBe(true)
    expect(penalties.isRefused('10.0.0.2')).toBe(false)
    await env.advance(30_000)
    expect(penalties.isRefused('10.0.0.1')).toBe(false)
  })

  test('what is refused for its address alone is not recorded again and again', () => {
    const penalties = new Penalties(fakeEnv())
    const recorded = Array.from({ length: 1000 }, () => penalties.failed('10.0.0.1')).filter((record) => record)
    expect(recorded).toHaveLength(61)
    expect(penalties.failed('10.0.0.2')).toBe(true)
  })

  test('failures of a thousand addresses do not fill the records', () => {
    const penalties = new Penalties(fakeEnv())
    const all = Array.from({ length: 10_000 }, (_, index) => penalties.failed(`10.0.${index % 100}.${index % 97}`))
    expect(all.filter((record) => record)).toHaveLength(500)
  })
})
