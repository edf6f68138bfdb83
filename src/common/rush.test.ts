import { expect, test } from 'vitest'
import { Rush } from './rush.ts'

test.each<readonly [string, readonly (readonly [ms: number, amount: number])[], number, boolean]>([
  [
    'little is none',
    [
      [0, 900],
      [300, 900],
    ],
    310,
    false,
  ],
  [
    'much is one',
    [
      [0, 900],
      [10, 900],
    ],
    20,
    true,
  ],
  [
    'a new window does not end it',
    [
      [0, 1500],
      [260, 1],
    ],
    270,
    true,
  ],
  ['a quiet one does', [[0, 1500]], 510, false],
])('%s', (_, added, at, expected) => {
  const rush = new Rush({ window: 250, from: 1000 })
  for (const [ms, amount] of added) rush.add(amount, ms)
  expect(rush.now(at)).toBe(expected)
})
