import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { fakeEnv } from '../common/fake-env.ts'
import { boundEvent } from './bound.ts'
import { eventNames, newEvent } from './events.ts'

const env = fakeEnv()
const base = newEvent(env, { event: 'user.password_change', cluster_name: 'c', user: 'alice' })

describe('bounded events', () => {
  test('codes tell success from failure', () => {
    const login = { event: 'user.login', cluster_name: 'c', user: 'a', method: 'local' } as const
    const exec = {
      event: 'exec',
      cluster_name: 'c',
      user: 'a',
      login: 'a',
      sid: 's',
      command: 'x',
      server_id: 's',
      server_hostname: 'h',
    } as const
    expect(newEvent(env, { ...login, success: true }).code).toBe('T1000I')
    expect(newEvent(env, { ...login, success: false }).code).toBe('T1000W')
    expect(newEvent(env, exec).code).toBe('T3002I')
    expect(newEvent(env, { ...exec, exitError: 'killed' }).code).toBe('T3002E')
    expect(newEvent(env, { event: 'auth', cluster_name: 'c', user: 'a', success: false, error: 'no' }).code).toBe(
      'T3007W',
    )
    expect(eventNames).toContain('client.disconnect')
  })
  test('a small event is untouched', () => {
    expect(JSON.parse(boundEvent({ ...base, server_labels: { a: 'b' } }).body)).toEqual({
      ...base,
      server_labels: { a: 'b' },
    })
  })
  test.each([
    { name: 'a long text', extra: { x: 'y'.repeat(5000) }, trimmed: ['x'] },
    { name: 'a long list', extra: { x: Array.from({ length: 300 }, () => 1) }, trimmed: ['x'] },
    { name: 'a deep object', extra: { x: { a: { a: { a: { a: { a: 1 } } } } } }, trimmed: ['x'] },
    { name: 'a long name inside', extra: { x: { ['n'.repeat(300)]: 1 } }, trimmed: ['x'] },
  ])('$name is cut and named', ({ extra, trimmed }) => {
    expect(JSON.parse(boundEvent({ ...base, ...extra }).body)).toMatchObject({
      event: base.event,
      user: 'alice',
      trimmed,
    })
  })
  test('many large fields end in a bounded line that still says who, what and when', () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`f${n}`, 'x'.repeat(4000)]))
    const { body } = boundEvent({ ...base, ...many })
    expect(body.length).toBeLessThanOrEqual(65_536)
    expect(JSON.parse(body)).toMatchObject({ event: base.event, uid: base.uid, user: 'alice' })
  })
  test('a given index or trim mark is not believed', () => {
    expect(JSON.parse(boundEvent({ ...base, ei: 7, trimmed: ['user'] }).body)).toEqual(base)
  })
  test('the mark of what was cut or left out survives being bounded again', () => {
    const once = boundEvent({
      ...base,
      command: 'x'.repeat(1_000_000),
      list: Array.from({ length: 300 }, () => 1),
    }).body
    expect(JSON.parse(once)).toMatchObject({ trimmed: ['command', 'list'] })
    expect(boundEvent(JSON.parse(once)).body).toBe(once)
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, n) => [`f${n}`, 'x'.repeat(4000)]))
    const { trimmed } = JSON.parse(boundEvent({ ...base, ...many }).body)
    expect(trimmed.length).toBeGreaterThan(100)
    expect(JSON.parse(boundEvent(JSON.parse(boundEvent({ ...base, ...many }).body)).body).trimmed).toEqual(trimmed)
    for (const nonsense of ['user', 7, [7], [['a']], ['x'.repeat(200)], ['user', 'time']])
      expect(JSON.parse(boundEvent({ ...base, trimmed: nonsense }).body)).toEqual(base)
  })
  test('whatever the fields, the result is one bounded line of JSON', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.anything()), (fields) => {
        const { body } = boundEvent({ ...fields, ...base })
        expect(body).not.toContain('\n')
        expect(JSON.parse(body).uid).toBe(base.uid)
      }),
    )
  })
})
