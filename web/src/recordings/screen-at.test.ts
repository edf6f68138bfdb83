import { expect, test } from 'vitest'
import type { CastEntry } from '../../../src/audit/recording/cast-entry.ts'
import { Screen } from '../../../src/audit/recording/screen.ts'
import { showAt } from './screen-at.ts'

const out = (atMs: number, text: string): CastEntry => ({ type: 'output', atMs, text })

test.each<readonly [string, number, readonly CastEntry[], readonly string[], number]>([
  ['what came until then', 2000, [out(0, 'one '), out(2000, 'two '), out(2001, 'three')], ['one two'], 20],
  ['nothing', 0, [], [''], 20],
  [
    'a keyframe, at the size that follows it',
    9000,
    [
      { type: 'keyframe', atMs: 5000, text: '\u001b[2;3Hkeyframe' },
      { type: 'resize', atMs: 5000, columns: 40, rows: 4 },
      out(6000, '!'),
      { type: 'keyframe', atMs: 7000, text: 'not this one' },
    ],
    ['', '  keyframe!'],
    40,
  ],
  [
    'another size in the middle',
    9000,
    [out(0, 'before '), { type: 'resize', atMs: 1, columns: 30, rows: 3 }, out(2, 'after')],
    ['before after'],
    30,
  ],
])('%s', async (_, atMs, entries, lines, columns) => {
  const screen = new Screen(20, 3)
  await showAt(
    (async function* () {
      yield* entries
    })(),
    screen,
    atMs,
  )
  expect(screen.lines().slice(0, lines.length)).toEqual(lines)
  expect(screen.columns).toBe(columns)
})
