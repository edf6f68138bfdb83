import fc from 'fast-check'
import { expect, test } from 'vitest'
import { maxJsonDepth, parseJsonBounded } from './json-depth.ts'

test('JSON comes back as it was, whatever quotes, backslashes and brackets its texts hold', () => {
  const text = fc.string({ unit: fc.constantFrom('"', '\\', '[', '{', 'a', '\n') })
  const value = fc.oneof(fc.jsonValue(), fc.array(text), fc.dictionary(text, text))
  fc.assert(
    fc.property(value, (value) => {
      expect(parseJsonBounded(JSON.stringify(value))).toEqual(JSON.parse(JSON.stringify(value)))
    }),
  )
})

test.each([
  ['__proto__ as a key', '{"a":{"__proto__":{}}}'],
  ['__proto__ in escapes', '{"\\u005f_proto_\\u005F":1}'],
  ['brackets without end', '['.repeat(maxJsonDepth + 1)],
  ['a text without end', `{"a":"${'['.repeat(100)}`],
  ['nothing', ' '],
])('%s is refused', (_, text) => {
  expect(() => parseJsonBounded(text)).toThrow(expect.objectContaining({ kind: 'BadParameter' }))
})

test('brackets in texts are not counted', () => {
  const texts = ['['.repeat(1000), `\\"${'{'.repeat(1000)}`, '__proto__']
  expect(parseJsonBounded(JSON.stringify(texts))).toEqual(texts)
})
