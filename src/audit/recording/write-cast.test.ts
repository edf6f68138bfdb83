import fc from 'fast-check'
import { expect, test } from 'vitest'
import { headerOf } from './testing/make.ts'
import { castHeader, castLine, OutputText } from './write-cast.ts'

/** Cuts at random places. */
const pieces = (data: Uint8Array, cuts: readonly number[]): Uint8Array[] => {
  const at = [...new Set([0, ...cuts.map((cut) => cut % (data.length + 1)), data.length])].sort((a, b) => a - b)
  return at.slice(1).map((end, index) => data.subarray(at[index], end))
}
const bytes = fc.oneof(
  fc.uint8Array({ maxLength: 200 }),
  fc.string({ unit: 'binary', maxLength: 100 }).map((text) => new Uint8Array(Buffer.from(text))),
)

test('bytes in any pieces become the text that they are in one', () => {
  fc.assert(
    fc.property(bytes, fc.array(fc.nat(), { maxLength: 20 }), (data, cuts) => {
      const text = new OutputText()
      const joined =
        pieces(data, cuts)
          .map((piece) => text.push(piece))
          .join('') + text.end()
      expect(joined).toBe(new TextDecoder('utf-8', { ignoreBOM: true }).decode(data))
    }),
  )
})

test('a line is one line of JSON with what was given', () => {
  fc.assert(
    fc.property(fc.nat(1e12), fc.constantFrom('o', 'r', 'm', 'k'), fc.string({ unit: 'binary' }), (at, code, data) => {
      const line = castLine(at, code, data)
      expect(line.indexOf('\n')).toBe(line.length - 1)
      expect(JSON.parse(line)).toEqual([at / 1000, code, data])
    }),
  )
})

test.each([
  { name: 'the size of the terminal', header: headerOf({ columns: 132, rows: 43 }), want: { width: 132, height: 43 } },
  { name: 'a size of its own for 0x0', header: headerOf({ columns: 0, rows: 0 }), want: { width: 80, height: 24 } },
  { name: 'a command', header: headerOf({ command: 'a\n"b"' }), want: { command: 'a\n"b"' } },
  { name: 'when it began', header: headerOf({ started: '2026-11-20T10:00:00.000Z' }), want: { timestamp: 1795168800 } },
])('the header tells $name', ({ header, want }) => {
  const line = castHeader(header)
  expect(line.indexOf('\n')).toBe(line.length - 1)
  expect(JSON.parse(line)).toMatchObject({ version: 2, ...want })
})
