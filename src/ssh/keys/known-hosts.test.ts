import fc from 'fast-check'
import { expect, test } from 'vitest'
import { BadParameter } from '../../errors/errors.ts'
import { formatCertAuthorityLine, lookupName, matchesHost, parseKnownHosts } from './known-hosts.ts'
import { formatPublicKeyLine } from './line.ts'
import { matchPattern } from './pattern.ts'
import { generateEd25519 } from './private-key.ts'

const line = formatPublicKeyLine(generateEd25519().publicKey)

test('the name looked up', () => {
  expect(lookupName('Node1', 22)).toBe('node1')
  expect(lookupName('::1', 3022)).toBe('[::1]:3022')
})

test.each([
  { pattern: '', text: '', ok: true },
  { pattern: '', text: 'a', ok: false },
  { pattern: '*', text: '', ok: true },
  { pattern: '*.c', text: 'a.b.c', ok: true },
  { pattern: '*.c', text: 'c', ok: false },
  { pattern: '?', text: '', ok: false },
  { pattern: 'a?c', text: 'abc', ok: true },
  { pattern: 'a*b*c', text: 'a-b-b-c', ok: true },
  { pattern: 'a*b*c', text: 'a-c-b', ok: false },
  { pattern: 'a', text: 'ab', ok: false },
  { pattern: '**', text: 'x', ok: true },
])('pattern $pattern and $text: $ok', ({ pattern, text, ok }) => expect(matchPattern(pattern, text)).toBe(ok))

test('patterns agree with regular expressions, and no pattern takes long', () => {
  const alphabet = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 8 })
  fc.assert(
    fc.property(alphabet, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 8 }), (pattern, text) => {
      const expression = new RegExp(`^${pattern.replaceAll('*', '.*').replaceAll('?', '.')}$`)
      expect(matchPattern(pattern, text)).toBe(expression.test(text))
    }),
    { numRuns: 2000 },
  )
  expect(matchPattern(`${'*a'.repeat(2000)}b`, 'a'.repeat(8000))).toBe(false)
})

test('any file is read, each line is an entry or a problem', () => {
  const token = fc.constantFrom(
    '@cert-authority',
    '@revoked',
    '@',
    'host',
    '|1|',
    '|1|AAAA|BBBB',
    '!',
    '*,!a',
    line,
    'ssh-rsa',
    'AAAA',
    '#',
    '\t',
  )
  fc.assert(
    fc.property(fc.array(fc.array(fc.oneof(token, fc.string()))), (lines) => {
      const text = lines.map((words) => words.join(' ')).join('\n')
      const { entries, problems } = parseKnownHosts(text)
      expect(entries.length + problems.length).toBeLessThanOrEqual(text.split('\n').length)
      for (const entry of entries) matchesHost(entry, 'node1')
    }),
  )
})

test.each([
  { patterns: [] },
  { patterns: ['a b'] },
  { patterns: ['a,b'] },
  { patterns: ['#x'] },
  { patterns: ['|1|x'] },
  { patterns: [''] },
])('no authority line for $patterns', ({ patterns }) =>
  expect(() => formatCertAuthorityLine(patterns, generateEd25519().publicKey)).toThrow(BadParameter),
)
