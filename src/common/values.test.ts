import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { formatAddress, parseAddress, reachable } from './address.ts'
import { formatBytes } from './bytes.ts'
import { describeDuration, formatDuration, parseDuration } from './durations.ts'
import { isUuid, type NameKind, nameProblem } from './names.ts'

describe('durations', () => {
  test.each([
    ['8h', 28_800_000],
    ['30m', 1_800_000],
    ['1h30m', 5_400_000],
    ['1h0m0s', 3_600_000],
    ['1.5h', 5_400_000],
    ['500ms', 500],
    ['1d', 86_400_000],
    ['0', 0],
    ['0s', 0],
    [' 5s ', 5000],
  ])('%s', (text, ms) => expect(parseDuration(text)).toBe(ms))
  test.each(['', 'h', '5', '-5m', '5 m', '1h-5m', '5y', '1e3s', '5mm', 'NaN', '9'.repeat(70), '999999999h', '５m'])(
    '%j is refused',
    (text) => {
      expect(() => parseDuration(text)).toThrow(expect.objectContaining({ kind: 'BadParameter' }))
    },
  )
  test('bare numbers', () => {
    expect(parseDuration('90', { bare: 'minutes' })).toBe(5_400_000)
    expect(parseDuration('90', { bare: 'seconds' })).toBe(90_000)
    expect(() => parseDuration('x', { name: '--ttl' })).toThrow('--ttl "x" is not a duration')
  })
  test.each([
    [43_200_000, '12h0m0s', '12 hours'],
    [1_800_000, '30m0s', '30 minutes'],
    [90_000, '1m30s', '2 minutes'],
    [45_000, '45s', '45 seconds'],
    [1500, '1.5s', '2 seconds'],
    [300, '300ms', '0 seconds'],
    [0, '0s', '0 seconds'],
    [3_600_000, '1h0m0s', '1 hour'],
    [5_400_000, '1h30m0s', '1 hour 30 minutes'],
    [-5000, '-5s', '0 seconds'],
  ])('%d ms', (ms, go, sentence) => {
    expect(formatDuration(ms)).toBe(go)
    expect(describeDuration(ms)).toBe(sentence)
  })
  test('what is printed reads back', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 1e10 }), (ms) => {
        expect(parseDuration(formatDuration(ms))).toBe(ms)
      }),
    )
  })
})

describe('bytes for people', () => {
  test.each([
    [0, '0B'],
    [999, '999B'],
    [1000, '1.0KB'],
    [123_456, '121KB'],
    [10_000_000, '9.5MB'],
    [2 ** 40, '1.0TB'],
    [Number.MAX_SAFE_INTEGER, '8.0PB'],
  ])('%d', (bytes, text) => expect(formatBytes(bytes)).toBe(text))
})

describe('addresses', () => {
  test.each([
    ['host:22', 'host', 22],
    ['host', 'host', 3025],
    ['10.0.0.1:1', '10.0.0.1', 1],
    ['[::1]:22', '::1', 22],
    ['[::1]', '::1', 3025],
    ['::1', '::1', 3025],
    ['fe80::1', 'fe80::1', 3025],
    ['tcp://h:1', 'h', 1],
    ['https://h:3080/', 'h', 3080],
    ['a_b.example.com:65535', 'a_b.example.com', 65_535],
  ])('%s', (text, host, port) => expect(parseAddress(text, { defaultPort: 3025 })).toEqual({ host, port }))
  test.each([
    '',
    ':22',
    'h:',
    'h:0',
    'h:65536',
    'h:-1',
    'h:1x',
    'a b:1',
    '-x:1',
    'h:1:2',
    '[x]:1',
    '[::1',
    '[::1]x',
    'h\n:1',
    '$(id):1',
    'a..b:1',
    'x'.repeat(400),
  ])('%j is refused', (text) =>
    expect(() => parseAddress(text, { defaultPort: 1 })).toThrow(expect.objectContaining({ kind: 'BadParameter' })),
  )
  test('listeners', () => {
    expect(parseAddress(':22', { listen: true })).toEqual({ host: '0.0.0.0', port: 22 })
    expect(parseAddress('127.0.0.1:0', { listen: true })).toEqual({ host: '127.0.0.1', port: 0 })
    expect(() => parseAddress('host')).toThrow('has no port')
    expect(reachable({ host: '0.0.0.0', port: 1 })).toEqual({ host: '127.0.0.1', port: 1 })
    expect(reachable({ host: '::', port: 1 })).toEqual({ host: '::1', port: 1 })
    expect(formatAddress({ host: '::1', port: 1 })).toBe('[::1]:1')
  })
  test('what is printed reads back', () => {
    fc.assert(
      fc.property(fc.oneof(fc.ipV4(), fc.ipV6(), fc.domain()), fc.integer({ min: 1, max: 65_535 }), (host, port) => {
        expect(parseAddress(formatAddress({ host, port }))).toEqual({ host, port })
      }),
    )
  })
})

describe('names', () => {
  const good: readonly [NameKind, string][] = [
    ['login', 'root'],
    ['login', '_apt'],
    ['login', 'first.last'],
    ['login', 'machine$'],
    ['user name', 'bob@example.com'],
    ['user name', '0'],
    ['role name', 'dev-ops'],
    ['node name', 'node-1.example.com'],
    ['cluster name', 'localhost'],
    ['label name', 'teleport.internal/resource-id'],
    ['label value', ''],
    ['label value', 'two words, ünï'],
  ]
  test.each(good)('%s %j is fine', (kind, name) => expect(nameProblem(kind, name)).toBeUndefined())
  const bad: readonly [NameKind, string][] = [
    ['login', ''],
    ['login', '-froot'],
    ['login', '0'],
    ['login', 'root '],
    ['login', ' root'],
    ['login', 'root\n'],
    ['login', 'a/../root'],
    ['login', 'rооt'],
    ['login', 'a$b'],
    ['login', 'a,b'],
    ['login', 'x'.repeat(65)],
    ['login', 'x'.repeat(10_000)],
    ['user name', '-x'],
    ['user name', 'a b'],
    ['user name', '../x'],
    ['user name', '<img>'],
    ['role name', 'a\0'],
    ['role name', '$(id)'],
    ['node name', '-oProxyCommand=id'],
    ['node name', 'a..b'],
    ['node name', 'a-'],
    ['node name', 'a b'],
    ['cluster name', 'a/b'],
    ['cluster name', '*'],
    ['label name', '*'],
    ['label name', 'a b'],
    ['label value', 'a\nb'],
    ['label value', '\ud800'],
    ['label value', 'x'.repeat(1025)],
  ]
  test.each(bad)('%s %j is refused', (kind, name) => expect(nameProblem(kind, name)).toContain(kind))
  test('uuids', () => {
    expect(isUuid('0b7e2f9c-1111-4222-8333-444455556666')).toBe(true)
    for (const text of [
      '',
      '0B7E2F9C-1111-4222-8333-444455556666',
      '../0b7e2f9c-1111-4222-8333-444455556666',
      '0b7e2f9c-1111-4222-8333-444455556666\n',
    ]) {
      expect(isUuid(text)).toBe(false)
    }
  })
})
