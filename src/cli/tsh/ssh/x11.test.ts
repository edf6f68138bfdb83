import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { OptionValues } from '../../common/spec.ts'
import { sshRequest } from './options.ts'
import { lastCookie } from './x11.ts'
import { parseDisplay } from './x11-display.ts'
import { type Cookie, replaceCookie } from './x11-spoof.ts'

const fake: Cookie = { protocol: 'MIT-MAGIC-COOKIE-1', data: Buffer.alloc(16, 1) }
const real: Cookie = { protocol: 'MIT-MAGIC-COOKIE-1', data: Buffer.alloc(16, 2) }

/** As X clients begin. */
function hello(order: 'B' | 'l', cookie: Cookie): Buffer {
  const header = Buffer.alloc(12)
  header[0] = order.charCodeAt(0)
  const numbers = [11, 0, cookie.protocol.length, cookie.data.length]
  numbers.forEach((number, index) => {
    if (order === 'B') header.writeUInt16BE(number, 2 + index * 2)
    else header.writeUInt16LE(number, 2 + index * 2)
  })
  const pad = (bytes: Buffer) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 4)) % 4)])
  return Buffer.concat([header, pad(Buffer.from(cookie.protocol)), pad(cookie.data)])
}

describe('the cookie of the first packet', () => {
  test.each(['B', 'l'] as const)('byte order %s: the made-up one becomes the real one', (order) => {
    const rest = Buffer.from('what follows')
    const found = replaceCookie(Buffer.concat([hello(order, fake), rest]), fake, real)
    expect(found).toEqual({ kind: 'ok', bytes: Buffer.concat([hello(order, real), rest]) })
  })

  test.each(['B', 'l'] as const)('byte order %s: a real one of another kind and length', (order) => {
    const other: Cookie = { protocol: 'XDM-AUTHORIZATION-1', data: Buffer.alloc(21, 3) }
    expect(replaceCookie(hello(order, fake), fake, other)).toEqual({ kind: 'ok', bytes: hello(order, other) })
  })

  test('arrives in pieces', () => {
    const bytes = hello('l', fake)
    for (let length = 0; length < bytes.length; length++) {
      expect(replaceCookie(bytes.subarray(0, length), fake, real)).toEqual({ kind: 'more' })
    }
  })

  test.each([
    { name: 'a wrong one', cookie: { ...fake, data: Buffer.alloc(16, 9) }, reason: /wrong/ },
    { name: 'the real one', cookie: real, reason: /wrong/ },
    { name: 'a part of it', cookie: { ...fake, data: fake.data.subarray(1) }, reason: /wrong/ },
    { name: 'none', cookie: { protocol: '', data: Buffer.alloc(0) }, reason: /another way/ },
    { name: 'another method', cookie: { ...fake, protocol: 'MIT-MAGIC-COOKIE-2' }, reason: /another way/ },
  ])('$name is refused', ({ cookie, reason }) => {
    for (const order of ['B', 'l'] as const) {
      const found = replaceCookie(hello(order, cookie), fake, real)
      expect(found).toMatchObject({ kind: 'refused', reason: expect.stringMatching(reason) })
    }
  })

  test('what is no X11 is refused at the first byte, what is too long before it has come', () => {
    expect(replaceCookie(Buffer.from('GET / HTTP/1.1'), fake, real).kind).toBe('refused')
    const long = hello('B', { protocol: 'x'.repeat(1025), data: Buffer.alloc(1) }).subarray(0, 12)
    expect(replaceCookie(long, fake, real).kind).toBe('refused')
  })

  test('random bytes are never let through', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.constantFrom(0x42, 0x6c), (bytes, order) => {
        expect(replaceCookie(Buffer.from([order, ...bytes]), fake, real).kind).not.toBe('ok')
      }),
    )
  })
})

test.each([
  { text: ':0', number: 0, screen: 0, host: undefined, socket: undefined },
  { text: ':10.1', number: 10, screen: 1, host: undefined, socket: undefined },
  { text: 'unix:3', number: 3, screen: 0, host: undefined, socket: undefined },
  { text: 'localhost:10.0', number: 10, screen: 0, host: 'localhost', socket: undefined },
  { text: '[::1]:2', number: 2, screen: 0, host: '::1', socket: undefined },
  { text: 'tcp/server:2', number: 2, screen: 0, host: 'server', socket: undefined },
  { text: '/tmp/launch-1/x:0', number: 0, screen: 0, host: undefined, socket: '/tmp/launch-1/x' },
])('DISPLAY $text', (row) => {
  expect(parseDisplay(row.text)).toEqual(row)
})

test.each(['', '0', 'host', ':', ':x', ':0.x', ':99999', ':0.256', '-f:0', 'a b:0', '$(id):0', 'host;:0', '::1:0'])(
  'DISPLAY %j is refused',
  (text) => {
    expect(() => parseDisplay(text)).toThrow(/DISPLAY/)
  },
)

test.each([
  ['host/unix:0  MIT-MAGIC-COOKIE-1  00ff\n', '00ff'],
  ['a/unix:0  MIT-MAGIC-COOKIE-1  01\nb/unix:0  MIT-MAGIC-COOKIE-1  02\n', '02'],
  ['#ffff##:0  MIT-MAGIC-COOKIE-1  0A0b\n', '0a0b'],
  ['', undefined],
  ['nonsense\n', undefined],
  ['x  MIT-MAGIC-COOKIE-1  0\n', undefined],
])('xauth list %j', (listing, expected) => {
  expect(lastCookie(listing)?.data.toString('hex')).toBe(expected)
})

test.each([
  { name: 'nothing', values: {}, x11: undefined },
  { name: '-X', values: { x11Untrusted: true }, x11: { trusted: false, timeoutMs: 1_200_000 } },
  { name: '-Y', values: { x11Trusted: true }, x11: { trusted: true, timeoutMs: 1_200_000 } },
  { name: '-Y -x', values: { x11Trusted: true, x11: false }, x11: undefined },
  { name: 'ForwardX11', values: { option: ['ForwardX11=yes'] }, x11: { trusted: false, timeoutMs: 1_200_000 } },
  {
    name: 'trusted by option, with a time',
    values: { option: ['ForwardX11=yes', 'ForwardX11Trusted=yes', 'ForwardX11Timeout=90'] },
    x11: { trusted: true, timeoutMs: 90_000 },
  },
  { name: 'trust alone', values: { option: ['ForwardX11Trusted=yes'] }, x11: undefined },
  {
    name: '--x11-untrusted-timeout',
    values: { x11Untrusted: true, x11UntrustedTimeout: '0' },
    x11: { trusted: false, timeoutMs: 0 },
  },
])('options: $name', ({ values, x11 }) => {
  expect(sshRequest(new OptionValues(new Map(Object.entries(values))), ['host'], {}).x11).toEqual(x11)
})
