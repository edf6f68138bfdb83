import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { isBadParameter } from '../../errors/errors.ts'
import { parseSearch } from './search-query.ts'

test.each([
  ['passwd', '"passwd"*'],
  ['cat /etc/passwd', '"cat" AND "/etc/passwd"*'],
  ['"rm -rf"', '"rm -rf"'],
  ['sudo "rm -rf" tmp', '"sudo" AND "rm -rf" AND "tmp"*'],
  ['ls /', '"ls"'],
  ['file.', '"file."'],
  ['a OR b', '"a" AND "OR" AND "b"*'],
  ['NEAR(x y)', '"NEAR(x" AND "y)"'],
  ['col:x*', '"col:x*"'],
  ['日本', '"日本"*'],
])('%s', (text, expression) => {
  expect(parseSearch(text)).toBe(expression)
})

test.each([
  ['', /no word/],
  ['   ', /no word/],
  ['--- ***', /no word/],
  ['"open', /quote/],
  ['x"', /quote/],
  ['""', /no word/],
  ['x'.repeat(257), /longer/],
  ['a '.repeat(17), /more than 16/],
])('%j is refused', (text, reason) => {
  expect(() => parseSearch(text)).toThrow(reason)
})

test('nothing that is typed is syntax', () => {
  const database = new DatabaseSync(':memory:')
  database.exec('CREATE VIRTUAL TABLE lines USING fts5(text)')
  const search = database.prepare('SELECT count(*) AS n FROM lines WHERE lines MATCH ?')
  const part = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 10 }),
    fc.constantFrom('"', '*', '(', ')', '^', ':', '-', '+', 'AND', 'OR', 'NOT', 'NEAR', '{a b}', "'", '\u0000', ' '),
  )
  fc.assert(
    fc.property(fc.array(part, { maxLength: 12 }), (parts) => {
      let expression: string
      try {
        expression = parseSearch(parts.join(''))
      } catch (error) {
        expect(isBadParameter(error)).toBe(true)
        return
      }
      expect(search.get(expression)).toEqual({ n: 0 })
    }),
  )
})
