import { describe, expect, test } from 'vitest'
import { limitKey, plainAddress, RateLimit } from './rate-limit.ts'

describe('the rate limit', () => {
  test('allows a burst, then says how long to wait, then allows again', () => {
    let now = 0
    const limit = new RateLimit({ burst: 3, perSecond: 0.5, maxKeys: 10 }, () => now)
    expect([1, 2, 3].map(() => limit.take('a'))).toEqual([0, 0, 0])
    expect(limit.take('a')).toBe(2)
    expect(limit.take('b')).toBe(0)
    now = 2000
    expect(limit.take('a')).toBe(0)
    expect(limit.take('a')).toBe(2)
  })

  test('remembers a bounded number of addresses and forgets the longest unseen', () => {
    const limit = new RateLimit({ burst: 1, perSecond: 1, maxKeys: 2 }, () => 0)
    limit.take('a')
    limit.take('b')
    limit.take('a')
    limit.take('c') // forgets b
    expect(limit.take('a')).toBe(1)
    expect(limit.take('b')).toBe(0)
  })

  test.each([
    ['192.0.2.1', '192.0.2.1'],
    ['2001:db8:1:2:3:4:5:6', '2001:db8:1:2::/64'],
    ['2001:db8::1', '2001:db8:0:0::/64'],
    ['::1', '0:0:0:0::/64'],
    ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ])('%s counts as %s', (address, key) => expect(limitKey(address)).toBe(key))

  test.each([
    ['::ffff:192.0.2.1', '192.0.2.1'],
    ['::1', '::1'],
    ['192.0.2.1', '192.0.2.1'],
  ])('%s is written %s', (address, plain) => expect(plainAddress(address)).toBe(plain))
})
