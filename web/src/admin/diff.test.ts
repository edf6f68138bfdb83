import { expect, test } from 'vitest'
import { diffLines, excerpt } from './diff.ts'

const shown = (before: string, after: string) =>
  diffLines(before, after)
    .map(({ kind, text }) => `${{ same: ' ', added: '+', removed: '-' }[kind]}${text}`)
    .join('|')

test.each([
  { name: 'nothing changed', before: 'a\nb', after: 'a\nb', diff: ' a| b' },
  { name: 'a line was added', before: 'a\nc', after: 'a\nb\nc', diff: ' a|+b| c' },
  { name: 'a line was removed', before: 'a\nb\nc', after: 'a\nc', diff: ' a|-b| c' },
  { name: 'a line was changed', before: 'a\nb\nc', after: 'a\nx\nc', diff: ' a|-b|+x| c' },
  { name: 'a line was doubled', before: 'a\na', after: 'a\na\na', diff: ' a| a|+a' },
  { name: 'all is another', before: 'a\nb', after: 'x', diff: '-a|-b|+x' },
  { name: 'two places changed', before: '1\n2\n3\n4\n5', after: '0\n2\n3\n4\n6', diff: '-1|+0| 2| 3| 4|-5|+6' },
])('$name', ({ before, after, diff }) => expect(shown(before, after)).toBe(diff))

test('texts that are too long to compare are shown whole', () => {
  const [before, after] = ['a', 'b'].map((letter) =>
    Array.from({ length: 3000 }, (_, index) => letter + index).join('\n'),
  )
  expect(diffLines(before ?? '', after ?? '')).toHaveLength(6000)
})

test('of a long text, what changed is shown with the lines around', () => {
  const before = Array.from({ length: 20 }, (_, index) => String(index)).join('\n')
  const lines = excerpt(diffLines(before, before.replace('10', 'x')), 1)
  expect(lines.map((line) => line?.text ?? '…')).toEqual(['…', '9', '10', 'x', '11', '…'])
})
