import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileRegex } from './regex.ts'

describe('patterns', () => {
  test.each([
    ['^prod$', 'prod', true],
    ['^prod$', 'prod1', false],
    ['^prod-\\d+$', 'prod-12', true],
    ['^(dev|stage)$', 'stage', true],
    ['^(dev|stage)$', 'prod', false],
    ['^(?:a|b)+c?$', 'abba', true],
    ['^[a-c]{2,3}$', 'abc', true],
    ['^[a-c]{2,3}$', 'a', false],
    ['^[^x-z]*$', 'abc', true],
    ['^[^x-z]*$', 'axc', false],
    ['^[]a]+$', ']a]', true],
    ['^[a-]+$', 'a-a', true],
    ['^(?i)Prod$', 'PROD', true],
    ['^(?i)[a-z]+$', 'ABC', true],
    ['^a.c$', 'a\nc', false],
    ['^\\.\\*$', '.*', true],
    ['^.$', '😀', true],
    ['^$', '', true],
    ['^a*?$', 'aaa', true],
    ['^a{0}$', '', true],
    ['^a{2,}$', 'aaaa', true],
    ['^us-(east|west)-[12]$', 'us-west-2', true],
  ])('%s against %j is %s', (pattern, text, expected) => {
    expect(compileRegex(pattern)(text)).toBe(expected)
  })

  test.each([
    '(',
    ')',
    '[',
    '[b-a]',
    'a**',
    '*',
    '(?=a)',
    '(?!a)',
    '(?<n>a)',
    '\\1',
    '\\b',
    '\\pL',
    'a{1000}',
    'a{2,1}',
    'a{',
    '\\',
    '^*',
  ])('%s is refused', (pattern) => {
    expect(() => compileRegex(pattern)).toThrow(/the regular expression/)
  })

  test('size and nesting are bounded', () => {
    expect(() => compileRegex('a'.repeat(513))).toThrow(/longer/)
    expect(() => compileRegex('('.repeat(40) + ')'.repeat(40))).toThrow(/nests/)
    expect(() => compileRegex('^((((a{99}){99}){99}){99})$')).toThrow(/too large/)
  })

  test('patterns that stop a backtracking engine are answered', () => {
    const text = `${'a'.repeat(4000)}!`
    expect(compileRegex('^(a+)+$')(text)).toBe(false)
    expect(compileRegex('^(a|a)*$')(text)).toBe(false)
    expect(compileRegex('^(a*)*b$')(text)).toBe(false)
  })

  test('agrees with the engine of JavaScript on what both understand', () => {
    const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '(?:a|b)', '(?:ab)', '(?:a|)', '\\d')
    const repeated = fc.tuple(atom, fc.constantFrom('', '*', '+', '?', '{1,2}')).map((parts) => parts.join(''))
    const pattern = fc.array(repeated, { maxLength: 5 }).map((parts) => `^${parts.join('')}$`)
    const text = fc.array(fc.constantFrom('a', 'b', 'c', '1'), { maxLength: 8 }).map((chars) => chars.join(''))
    fc.assert(
      fc.property(pattern, text, (source, input) => {
        expect(compileRegex(source)(input)).toBe(new RegExp(source, 'u').test(input))
      }),
    )
  })

  test('any text either compiles or is refused with our error', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 40 }), fc.string({ maxLength: 40 }), (source, input) => {
        try {
          compileRegex(source)(input)
        } catch (error) {
          expect(error).toMatchObject({ kind: 'BadParameter' })
        }
      }),
    )
  })
})
