import { describe, expect, test } from 'vitest'
import { readDrafts } from './documents.ts'
import { kinds, parseReference, parseReferences } from './kinds.ts'

test('no two kinds share a spelling', () => {
  const spellings = kinds.flatMap(({ kind, aliases }) => [kind, ...aliases])
  expect(new Set(spellings).size).toBe(spellings.length)
})

test.each(kinds.map(({ kind, load }) => [kind, load] as const))('%s loads, and has headings', async (_kind, load) => {
  expect((await load()).headings.length).toBeGreaterThan(1)
})

describe('references', () => {
  test.each([
    ['role', 'role', undefined],
    ['ROLES', 'role', undefined],
    ['role/dev', 'role', 'dev'],
    ['user/a/b', 'user', 'a/b'],
    ['cas', 'cert_authority', undefined],
    ['cap', 'cluster_auth_preference', undefined],
  ])('%s', (text, kind, name) => {
    const reference = parseReference(text)
    expect([reference.entry.kind, reference.name]).toEqual([kind, name])
  })

  test.each([
    ['rolse', /unknown kind of resource "rolse"; did you mean role/],
    ['__proto__', /unknown kind/],
    ['constructor', /unknown kind/],
    ['role/', /name after the slash is missing/],
    ['trusted_clusters', /not available in this version/],
    ['rc', /not available in this version/],
    ['oidc/x', /not available in this version/],
    ['', /unknown kind/],
  ])('%j is refused', (text, message) => {
    expect(() => parseReference(text)).toThrow(message)
  })

  test('all is what a backup holds, roles before the users that have them', () => {
    const order = parseReferences('all').map(({ entry }) => entry.kind)
    expect(order).not.toContain('node')
    expect(order.indexOf('role')).toBeLessThan(order.indexOf('user'))
  })
})

describe('documents', () => {
  const role = (name: string) => `kind: role\nversion: v4\nmetadata:\n  name: ${name}\n`

  test('several in a file, in its order, with their revisions', async () => {
    const drafts = await readDrafts(`${role('a')}  revision: 12\n---\n---\n${role('b')}`, 'f')
    expect(drafts.map(({ draft, revision }) => [draft.title, revision])).toEqual([
      ["role 'a'", '12'],
      ["role 'b'", undefined],
    ])
  })

  test('a list, as JSON listings are', async () => {
    const text = JSON.stringify([
      { kind: 'role', version: 'v4', metadata: { name: 'a', revision: '7' } },
      { kind: 'user', version: 'v2', metadata: { name: 'b' } },
    ])
    expect((await readDrafts(text, 'f')).map(({ draft }) => draft.title)).toEqual(["role 'a'", 'user "b"'])
  })

  test.each([
    [
      'an unknown field, by name and line',
      `${role('a')}spec:\n  allow:\n    login: [x]\n`,
      /^f:7: .*login.*did you mean/,
    ],
    ['one in a later document', `${role('a')}---\n${role('b')}sepc: {}\n`, /^f:10: sepc: unknown key/],
    ['one in a list', `- ${role('a').replaceAll('\n', '\n  ')}\n  specc: {}\n`, /^f:6: specc: unknown key/],
    ['no kind', 'metadata: {name: a}\n', /^f:1: kind: is missing/],
    ['a kind that is no text', 'kind: [role]\n', /^f:1: kind: must be a text/],
    ['a kind of a later version', 'version: v1\nkind: saml\n', /^f:2: kind: .*not available in this version/],
    ['an unknown kind', 'kind: rol\n', /^f:1: kind: .*did you mean role/],
    ['a kind that makes itself', 'kind: node\n', /^f:1: kind: "node" cannot be created: nodes come by joining/],
    ['nothing', '# nothing\n', /there is no resource in it/],
    ['a text', 'hello\n', /kind: is missing/],
  ])('%s is refused', async (_name, text, message) => {
    await expect(readDrafts(text, 'f')).rejects.toThrow(message)
  })

  test('aliases that unfold without end, quickly (A6)', async () => {
    const bomb = Array.from(
      { length: 30 },
      (_, n) => `a${n + 1}: &a${n + 1} [${'*a'.concat(String(n), ', ').repeat(10)}]`,
    )
    const text = `a0: &a0 x\n${bomb.join('\n')}\n${role('a')}`
    const started = performance.now()
    await expect(readDrafts(text, 'f')).rejects.toThrow(/alias/)
    expect(performance.now() - started).toBeLessThan(5_000)
  })
})
