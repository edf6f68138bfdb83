import { expect, test } from 'vitest'
import { FloodDelay } from './flood-delay.ts'

const KIB = 1024

test.each<readonly [string, readonly (readonly [ms: number, bytes: number])[], number, boolean]>([
  ['a quiet session is indexed at once', [[0, 50 * KIB]], 10, false],
  [
    'so is one that prints something each second',
    Array.from({ length: 20 }, (_, n) => [n * 1000, 700 * KIB] as const),
    19_010,
    false,
  ],
  [
    'a flood waits',
    [
      [0, 800 * KIB],
      [250, 800 * KIB],
    ],
    300,
    true,
  ],
  [
    'until it is over',
    [
      [0, 800 * KIB],
      [250, 800 * KIB],
    ],
    2000,
    false,
  ],
  [
    'a long flood waits for half a minute',
    Array.from({ length: 100 }, (_, n) => [n * 250, 800 * KIB] as const),
    24_800,
    true,
  ],
  ['and no longer', Array.from({ length: 200 }, (_, n) => [n * 250, 800 * KIB] as const), 49_800, false],
  [
    'a flood after a pause is another',
    [
      [0, 2048 * KIB],
      [40_000, 2048 * KIB],
    ],
    40_010,
    true,
  ],
])('%s', (_, grown, at, waits) => {
  const delay = new FloodDelay()
  for (const [ms, bytes] of grown) delay.grew('sid', bytes, ms)
  expect(delay.waits('sid', at)).toBe(waits)
  expect(delay.waits('another', at)).toBe(false)
})

test('what has ended does not wait', () => {
  const delay = new FloodDelay()
  delay.grew('sid', 4096 * KIB, 0)
  delay.ended('sid')
  expect(delay.waits('sid', 1)).toBe(false)
})
