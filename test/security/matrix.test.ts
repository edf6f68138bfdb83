/** docs/security-tests.md is a promise: every row that is due is there, and every test it names exists under that name. */

import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { root } from '../run.ts'

const numbered = (letter: string, ...numbers: readonly number[]) => numbers.map((number) => `${letter}${number}`)

/** Rows that this version owes. */
const due = [
  ...numbered('V', 1, 2, 4, 5, 6, 8, 9, 11, 12, 13, 14, 15, 16, 17, 18, 20, 21),
  ...numbered('S', 1, 2, 3, 4, 7, 8, 10, 11, 13, 14, 16, 17, 18, 19, 20, 22, 23, 24),
  ...numbered('P', 1, 2, 3, 5, 6),
  ...numbered('J', 2, 3, 4, 5),
  ...numbered('A', 1, 2, 3, 5, 6, 7, 8, 10),
  ...numbered('C', 1, 3, 5, 6, 7),
  ...numbered('R', 1, 2, 3, 5, 6),
  ...numbered('O', 1, 2, 3, 5, 6, 8, 9),
  ...numbered('W', 1, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13),
  ...numbered('F', 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 18),
]

interface Row {
  readonly id: string
  readonly references: readonly { readonly file: string; readonly title: string }[]
  /** What is not a reference. */
  readonly reason: string
}

function readRows(text: string): readonly Row[] {
  return text.split('\n').flatMap((line) => {
    const [, id, , shown] = /^\| ([A-Z]\d+) \| (.+?) \| (.+) \|$/.exec(line) ?? []
    if (id === undefined || shown === undefined) return []
    const parts = shown.replaceAll('&#124;', '|').split('<br>')
    const references = parts.flatMap((part) => {
      const [, file, title] = /^`([^`]+)` › (.+)$/.exec(part) ?? []
      return file === undefined || title === undefined ? [] : [{ file, title }]
    })
    return [{ id, references, reason: parts.filter((part) => !part.startsWith('`')).join(' ') }]
  })
}

const rows = readRows(readFileSync(join(root, 'docs/security-tests.md'), 'utf8'))
const sources = new Map<string, string>()

function sourceOf(file: string): string {
  const known = sources.get(file) ?? readFileSync(join(root, file), 'utf8')
  sources.set(file, known)
  return known
}

const quoted = (title: string) => [`'${title.replaceAll("'", "\\'")}'`, `"${title}"`, `\`${title}\``]

describe('docs/security-tests.md', () => {
  test('has each row once', () => {
    const ids = rows.map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(due.filter((id) => !ids.includes(id))).toEqual([])
  })

  test.each(rows)('$id names tests that exist, or gives a reason', ({ references, reason }) => {
    if (references.length === 0) expect(reason.length).toBeGreaterThan(20)
    for (const { file, title } of references) {
      const source = sourceOf(file)
      expect(
        quoted(title).some((literal) => source.includes(literal)),
        `${file} › ${title}`,
      ).toBe(true)
    }
  })
})
