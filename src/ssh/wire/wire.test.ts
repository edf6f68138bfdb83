import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { WireError, WireReader } from './reader.ts'
import { WireWriter } from './writer.ts'

describe('what is written is read back', () => {
  const name = fc.string({ unit: fc.constantFrom('a', 'z', '@', '.', '-', '2'), minLength: 1, maxLength: 40 })
  test('all data types', () => {
    fc.assert(
      fc.property(
        fc.nat(255),
        fc.boolean(),
        fc.nat(0xffffffff),
        fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
        fc.uint8Array({ maxLength: 300 }),
        fc.string(),
        fc.array(name, { maxLength: 20 }),
        fc.uint8Array({ maxLength: 200 }),
        (byte, boolean, uint32, uint64, bytes, text, names, magnitude) => {
          const written = new WireWriter(1)
            .byte(byte)
            .boolean(boolean)
            .uint32(uint32)
            .uint64(uint64)
            .string(bytes)
            .string(text)
            .nameList(names)
            .mpint(magnitude)
            .bytes(bytes)
            .take()
          const reader = new WireReader(written)
          expect(reader.byte()).toBe(byte)
          expect(reader.boolean()).toBe(boolean)
          expect(reader.uint32()).toBe(uint32)
          expect(reader.uint64()).toBe(uint64)
          expect(reader.string()).toEqual(Buffer.from(bytes))
          expect(reader.text()).toBe(Buffer.from(text).toString())
          expect(reader.nameList()).toEqual(names)
          const firstDigit = magnitude.findIndex((digit) => digit !== 0)
          expect(reader.mpint()).toEqual(Buffer.from(firstDigit < 0 ? [] : magnitude.subarray(firstDigit)))
          expect(reader.remaining).toBe(bytes.length)
          expect(reader.rest()).toEqual(Buffer.from(bytes))
          reader.end()
        },
      ),
    )
  })
})

// RFC 4251 section 5.
test.each([
  { magnitude: '', wire: '00000000' },
  { magnitude: '09a378f9b2e332a7', wire: '0000000809a378f9b2e332a7' },
  { magnitude: '80', wire: '000000020080' },
])('mpint 0x$magnitude', ({ magnitude, wire }) => {
  expect(new WireWriter().mpint(Buffer.from(magnitude, 'hex')).take().toString('hex')).toBe(wire)
  expect(new WireReader(Buffer.from(wire, 'hex')).mpint().toString('hex')).toBe(magnitude)
})

describe('refused', () => {
  const from = (hex: string) => new WireReader(Buffer.from(hex, 'hex'))
  test.each([
    { name: 'a negative mpint', read: () => from('00000002edcc').mpint() },
    { name: 'an mpint with a superfluous zero', read: () => from('000000020001').mpint() },
    { name: 'an mpint of zero bytes', read: () => from('0000000100').mpint() },
    { name: 'an mpint that is too large', read: () => from('0000000300ffff').mpint(8) },
    { name: 'a string longer than the message', read: () => from('0000000561626364').string() },
    { name: 'a string of 4 GiB', read: () => from('ffffffff').string() },
    { name: 'a string longer than allowed', read: () => from('0000000161').string(0) },
    { name: 'half a length', read: () => from('0000').string() },
    { name: 'half an uint64', read: () => from('00000000').uint64() },
    { name: 'text that is not UTF-8', read: () => from('00000002c328').text() },
    { name: 'a surrogate in UTF-8', read: () => from('00000003eda080').text() },
    { name: 'a control character in a name', read: () => from('0000000107').ascii() },
    { name: 'DEL in a name', read: () => from('000000017f').ascii() },
    { name: 'an empty name in a name-list', read: () => from('00000003612c2c').nameList() },
    {
      name: 'too many names',
      read: () => new WireReader(new WireWriter().nameList(['a', 'b', 'c']).take()).nameList(2),
    },
    { name: 'trailing bytes', read: () => from('00').end() },
    { name: 'nothing left', read: () => from('').byte() },
  ])('$name', ({ read }) => expect(read).toThrow(WireError))
})

test('any bytes give a value or a WireError from every method', () => {
  const methods = [
    'byte',
    'boolean',
    'uint32',
    'uint64',
    'string',
    'text',
    'ascii',
    'nameList',
    'mpint',
    'rest',
    'end',
  ] as const
  fc.assert(
    fc.property(
      fc.uint8Array({ maxLength: 100 }),
      fc.array(fc.constantFrom(...methods), { maxLength: 10 }),
      (bytes, calls) => {
        const reader = new WireReader(Buffer.from(bytes))
        for (const call of calls) {
          try {
            reader[call]()
          } catch (error) {
            if (!(error instanceof WireError)) throw error
          }
          expect(reader.remaining).toBeGreaterThanOrEqual(0)
        }
      },
    ),
  )
})
