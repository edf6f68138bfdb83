import fc from 'fast-check'
import { expect, test } from 'vitest'
import { applyModes, termiosSize } from './terminal-modes.ts'

test('any modes leave a structure of the same size and an untouched original', () => {
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(255), fc.nat(0xffffffff))), (pairs) => {
      const before = Buffer.alloc(termiosSize, 0x5a)
      expect(applyModes(before, new Map(pairs)).length).toBe(termiosSize)
      expect(before.every((byte) => byte === 0x5a)).toBe(true)
    }),
  )
})

test('flags are set and cleared, characters are set and disabled, the rest stays', () => {
  const result = applyModes(
    Buffer.alloc(termiosSize),
    new Map([
      [53, 1],
      [3, 8],
      [1, 255],
      [128, 38400],
      [200, 1],
    ]),
  )
  expect(result.readUInt32LE(12)).toBe(0o10)
  expect(result[17 + 2]).toBe(8)
  expect(result[17]).toBe(0)
  expect(applyModes(result, new Map([[53, 0]])).readUInt32LE(12)).toBe(0)
})
