/** Who gets in while strangers hold the places before the login. */

import { describe, expect, test } from 'vitest'
import { ManualEnv } from './testing/manual-env.ts'
import { type Guest, WaitingRoom } from './waiting.ts'

const limit = 30

function room() {
  const env = new ManualEnv()
  // Never a drop before the room is full, so that the tests can count.
  env.randomBytes = (size) => Buffer.alloc(size, 0xff)
  const waiting = new WaitingRoom(limit, env)
  const dropped: string[] = []
  const enter = (address: string, talking = false) => {
    const guest: Guest = { address, isTalking: () => talking, drop: () => dropped.push(address) }
    return waiting.enter(guest)
  }
  const flood = (address: (index: number) => string, talking = false) => {
    for (let index = 0; index < limit; index++) enter(address(index), talking)
  }
  return { env, enter, flood, dropped }
}

describe('S8 a full room', () => {
  test('of one address makes room for another, whatever the first one does', () => {
    for (const talking of [false, true]) {
      const { enter, flood, dropped } = room()
      flood(() => '192.0.2.1', talking)
      expect(enter('192.0.2.2')).toBeDefined()
      expect(dropped).toEqual(['192.0.2.1'])
    }
  })

  test('of silent ones makes room for their own neighbours, once they have been silent for long enough', () => {
    const { env, enter, flood, dropped } = room()
    flood(() => '192.0.2.1')
    expect(enter('192.0.2.1')).toBeUndefined()
    env.advance(2_000)
    expect(enter('192.0.2.1')).toBeDefined()
    expect(dropped).toEqual(['192.0.2.1'])
  })

  test('of one address that talks takes no more of it', () => {
    const { env, enter, flood, dropped } = room()
    flood(() => '192.0.2.1', true)
    env.advance(2_000)
    expect(enter('192.0.2.1')).toBeUndefined()
    expect(dropped).toEqual([])
  })

  test('of many addresses makes room by whoever came first', () => {
    const { enter, flood, dropped } = room()
    flood((index) => `192.0.2.${index}`, true)
    expect(enter('198.51.100.1')).toBeDefined()
    expect(dropped).toEqual(['192.0.2.0'])
  })

  test('counts a /64 of IPv6 as one address, and IPv4 in IPv6 as IPv4', () => {
    const { enter, flood, dropped } = room()
    flood((index) => (index % 2 === 0 ? `2001:db8::${index}` : `2001:DB8:0:0:${index}::1`))
    expect(enter('2001:db8::ffff')).toBeUndefined()
    expect(enter('2001:db8:1::1')).toBeDefined()
    expect(dropped).toHaveLength(1)
    const other = room()
    other.flood((index) => (index % 2 === 0 ? '192.0.2.1' : '::ffff:192.0.2.1'))
    expect(other.enter('::ffff:192.0.2.1')).toBeUndefined()
  })

  test('has a place again when somebody leaves, who can leave only once', () => {
    const { enter, flood } = room()
    const leave = enter('192.0.2.1', true)
    for (let index = 1; index < limit; index++) enter('192.0.2.1', true)
    expect(enter('192.0.2.1')).toBeUndefined()
    leave?.()
    leave?.()
    expect(enter('192.0.2.1', true)).toBeDefined()
    expect(enter('192.0.2.1')).toBeUndefined()
    flood(() => '192.0.2.1')
  })
})
