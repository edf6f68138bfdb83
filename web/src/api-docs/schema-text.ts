/** A JSON schema as people write types: short, and enough to call the API by. */

export type Schema = Readonly<Record<string, unknown>>

const deepest = 12

export function schemaText(schema: unknown, depth = 0): string {
  if (typeof schema !== 'object' || schema === null || depth > deepest) return 'any'
  const { type, properties, additionalProperties, required, items, anyOf, oneOf } = schema as Schema
  const { enum: words, const: only } = schema as Schema
  if (only !== undefined) return JSON.stringify(only)
  if (Array.isArray(words)) return words.map((word) => JSON.stringify(word)).join(' | ')
  const choices = Array.isArray(anyOf) ? anyOf : Array.isArray(oneOf) ? oneOf : undefined
  if (choices !== undefined) return [...new Set(choices.map((each) => schemaText(each, depth)))].join(' | ')
  if (type === 'array') {
    const item = schemaText(items, depth)
    return item.includes(' | ') ? `(${item})[]` : `${item}[]`
  }
  if (type === 'object') {
    if (typeof properties === 'object' && properties !== null && Object.keys(properties).length > 0) {
      const needed = Array.isArray(required) ? required : []
      const indent = '  '.repeat(depth + 1)
      const lines = Object.entries(properties).map(
        ([name, each]) => `${indent}${name}${needed.includes(name) ? '' : '?'}: ${schemaText(each, depth + 1)}`,
      )
      return `{\n${lines.join('\n')}\n${'  '.repeat(depth)}}`
    }
    if (typeof additionalProperties === 'object' && additionalProperties !== null) {
      return `{ [name]: ${schemaText(additionalProperties, depth)} }`
    }
    return '{}'
  }
  return typeof type === 'string' ? `${type}${limitsOf(schema as Schema)}` : 'any'
}

function limitsOf({ format, minLength, maxLength, minimum, maximum, exclusiveMinimum }: Schema): string {
  const parts = [
    typeof format === 'string' ? format : '',
    range(minLength, maxLength, ' characters'),
    range(minimum ?? (typeof exclusiveMinimum === 'number' ? exclusiveMinimum + 1 : undefined), maximum, ''),
  ].filter((part) => part !== '')
  return parts.length === 0 ? '' : ` (${parts.join(', ')})`
}

function range(low: unknown, high: unknown, unit: string): string {
  const [from, to] = [low, high].map((value) =>
    typeof value === 'number' && Math.abs(value) < Number.MAX_SAFE_INTEGER ? String(value) : '',
  )
  if (from === '' && to === '') return ''
  return `${from}…${to}${unit}`
}
