import { expect, test } from 'vitest'
import { schemaText } from './schema-text.ts'

test.each([
  { schema: { type: 'string', maxLength: 64 }, text: 'string (…64 characters)' },
  { schema: { type: 'string', format: 'uuid', pattern: 'x' }, text: 'string (uuid)' },
  { schema: { type: 'integer', minimum: 1, maximum: 9007199254740991 }, text: 'integer (1…)' },
  { schema: { type: 'integer', exclusiveMinimum: 0, maximum: 10 }, text: 'integer (1…10)' },
  { schema: { enum: ['a', 'b'] }, text: '"a" | "b"' },
  { schema: { const: 'role' }, text: '"role"' },
  { schema: { type: 'array', items: { enum: ['a', 'b'] } }, text: '("a" | "b")[]' },
  { schema: { type: 'object', properties: {} }, text: '{}' },
  { schema: { type: 'object', additionalProperties: { type: 'string' } }, text: '{ [name]: string }' },
  {
    schema: { type: 'object', properties: { a: { type: 'string' }, b: { type: 'boolean' } }, required: ['a'] },
    text: '{\n  a: string\n  b?: boolean\n}',
  },
  { schema: { anyOf: [{ type: 'string' }, { type: 'null' }] }, text: 'string | null' },
  { schema: {}, text: 'any' },
  { schema: undefined, text: 'any' },
])('$text', ({ schema, text }) => expect(schemaText(schema)).toBe(text))

test('what contains itself ends', () => {
  const endless: Record<string, unknown> = { type: 'object' }
  endless.properties = { more: endless }
  expect(schemaText(endless)).toContain('any')
})
