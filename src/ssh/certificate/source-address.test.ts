import fc from 'fast-check'
import { expect, test } from 'vitest'
import { matchSourceAddress } from './source-address.ts'

test.each([
  { list: '10.0.0.0/8', address: '10.255.0.1', ok: true },
  { list: '10.0.0.0/8', address: '11.0.0.1', ok: false },
  { list: '10.9.9.9', address: '10.9.9.9', ok: true },
  { list: '10.9.9.9/32', address: '10.9.9.8', ok: false },
  { list: '0.0.0.0/0', address: '1.2.3.4', ok: true },
  { list: '0.0.0.0/0', address: '2001:db8::1', ok: false },
  { list: '::/0', address: '2001:db8::1', ok: true },
  { list: '::/0', address: '1.2.3.4', ok: false },
  { list: '192.168.0.0/16,2001:db8::/32', address: '2001:db8:1::5', ok: true },
  { list: '10.0.0.0/8', address: '::ffff:10.1.2.3', ok: true },
  { list: '10.0.0.0/8', address: '::ffff:a01:203', ok: true },
  { list: '::ffff:10.0.0.0/104', address: '10.1.2.3', ok: true },
  { list: '::ffff:10.0.0.0/104', address: '11.1.2.3', ok: false },
  { list: '::ffff:10.0.0.0/8', address: '10.1.2.3', ok: false },
  { list: 'fe80::/10', address: 'fe80::1%eth0', ok: true },
  { list: '', address: '10.0.0.1', ok: false },
  { list: ',', address: '10.0.0.1', ok: false },
  { list: '10.0.0.0/8,', address: '10.0.0.1', ok: false },
  { list: '10.0.0.0/8, 11.0.0.0/8', address: '10.0.0.1', ok: false },
  { list: '10.0.0.0/8,nonsense', address: '10.0.0.1', ok: false },
  { list: '10.0.0.0/33', address: '10.0.0.1', ok: false },
  { list: '10.0.0.0/', address: '10.0.0.0', ok: false },
  { list: '10.0.0.0/-1', address: '10.0.0.0', ok: false },
  { list: '10.0.0.1/8', address: '10.0.0.1', ok: false },
  { list: '!10.0.0.0/8', address: '11.0.0.1', ok: false },
  { list: '10.0.0', address: '10.0.0.0', ok: false },
  { list: '*', address: '10.0.0.1', ok: false },
  { list: '10.0.0.0/8', address: 'localhost', ok: false },
  { list: '10.0.0.0/8', address: '', ok: false },
])('V8 $list and $address: $ok', ({ list, address, ok }) => expect(matchSourceAddress(list, address)).toBe(ok))

test('agrees with arithmetic on random IPv4 blocks, mapped or not', () => {
  const octets = fc.tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
  fc.assert(
    fc.property(octets, octets, fc.integer({ min: 0, max: 32 }), fc.boolean(), (net, host, bits, mapped) => {
      const number = (parts: readonly number[]) => parts.reduce((sum, part) => sum * 256 + part, 0)
      const size = 2 ** (32 - bits)
      const start = Math.floor(number(net) / size) * size
      const base = [24, 16, 8, 0].map((shift) => Math.floor(start / 2 ** shift) % 256).join('.')
      const inside = number(host) >= start && number(host) < start + size
      const address = host.join('.')
      expect(matchSourceAddress(`${base}/${bits}`, mapped ? `::ffff:${address}` : address)).toBe(inside)
    }),
  )
})

test('any text is answered', () => {
  fc.assert(
    fc.property(
      fc.string(),
      fc.oneof(fc.string(), fc.ipV4(), fc.ipV6()),
      (list, address) => void matchSourceAddress(list, address),
    ),
  )
  fc.assert(
    fc.property(fc.ipV6(), (address) => {
      expect(matchSourceAddress(address, address)).toBe(true)
    }),
  )
})
