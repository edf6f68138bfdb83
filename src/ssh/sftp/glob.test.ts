import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isLimitExceeded } from '../../errors/errors.ts'
import { expandGlob, type GlobFiles, hasWildcards, matchName } from './glob.ts'

describe('a pattern and a name', () => {
  test.each([
    { pattern: '*', name: 'a', ok: true },
    { pattern: '*', name: '.hidden', ok: false },
    { pattern: '.*', name: '.hidden', ok: true },
    { pattern: '?', name: '.', ok: false },
    { pattern: '*.log', name: 'x.log', ok: true },
    { pattern: '*.log', name: 'x.log.1', ok: false },
    { pattern: 'a*b*c', name: 'aXbYbZc', ok: true },
    { pattern: 'a*b*c', name: 'aXbYbZ', ok: false },
    { pattern: '[a-c]?', name: 'b1', ok: true },
    { pattern: '[!a-c]?', name: 'b1', ok: false },
    { pattern: '[^a-c]?', name: 'd1', ok: true },
    { pattern: '[]]', name: ']', ok: true },
    { pattern: '[!]]', name: 'x', ok: true },
    { pattern: '[a-]', name: '-', ok: true },
    { pattern: '[', name: '[', ok: true },
    { pattern: '[a', name: '[a', ok: true },
    { pattern: '\\*', name: '*', ok: true },
    { pattern: '\\*', name: 'x', ok: false },
    { pattern: 'x\\', name: 'x\\', ok: true },
    { pattern: '?', name: 'é', ok: true },
    { pattern: '?', name: '😀', ok: true },
    { pattern: '', name: '', ok: true },
    { pattern: '**', name: 'anything', ok: true },
  ])('$pattern and $name: $ok', ({ pattern, name, ok }) => expect(matchName(pattern, name)).toBe(ok))

  test('agrees with a regular expression for * and ?', () => {
    const word = fc.string({ unit: fc.constantFrom('a', 'b', '*', '?'), maxLength: 12 })
    fc.assert(
      fc.property(word, fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 12 }), (pattern, name) => {
        const expression = new RegExp(`^${pattern.replaceAll(/\*+/g, '.*').replaceAll('?', '.')}$`)
        expect(matchName(pattern, name)).toBe(expression.test(name))
      }),
    )
  })

  test('takes any pattern', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (pattern, name) => void matchName(pattern, name)))
  })

  test('a pattern made to take for ever does not', () => {
    expect(matchName(`${'*a'.repeat(500)}b`, 'a'.repeat(1000))).toBe(false)
  })
})

describe('paths', () => {
  const tree = ['/etc/hosts', '/etc/host.conf', '/var/log/a.log', '/var/log/b.log', '/var/log/.c.log', 'x/1', 'x/2']
  const files: GlobFiles = {
    async *names(directory) {
      const base = directory === '.' ? '' : directory.endsWith('/') ? directory : `${directory}/`
      const below = tree.filter((path) => path.startsWith(base) && (base !== '' || !path.startsWith('/')))
      yield* new Set(below.map((path) => path.slice(base.length).split('/')[0] ?? ''))
    },
    exists: async (path) => tree.some((one) => one === path || one.startsWith(`${path.replace(/\/$/, '')}/`)),
    isDirectory: async (path) => tree.some((one) => one.startsWith(`${path}/`)),
  }

  test.each([
    { pattern: '/etc/host*', expected: ['/etc/host.conf', '/etc/hosts'] },
    { pattern: '/*/log/?.log', expected: ['/var/log/a.log', '/var/log/b.log'] },
    { pattern: '/e*/hosts', expected: ['/etc/hosts'] },
    { pattern: '/e*/nothing', expected: [] },
    { pattern: '/nothing/*', expected: [] },
    { pattern: '*/1', expected: ['x/1'] },
    { pattern: 'x/[12]', expected: ['x/1', 'x/2'] },
    { pattern: '/v*/', expected: ['/var/'] },
    { pattern: '/etc/hosts/*', expected: [] },
  ])('$pattern', async ({ pattern, expected }) => expect(await expandGlob(pattern, files)).toEqual(expected))

  test('what counts as a wildcard', () => {
    expect(['a*', 'a?', '[a]'].every(hasWildcards)).toBe(true)
    expect(hasWildcards('/plain/path-1.0~x')).toBe(false)
  })

  test('a server that lists for ever is stopped', async () => {
    const endless: GlobFiles = {
      ...files,
      async *names() {
        for (let index = 0; ; index++) yield `f${index}`
      },
    }
    await expect(expandGlob('*', endless)).rejects.toSatisfy(isLimitExceeded)
  })
})
