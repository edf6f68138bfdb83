import { describe, expect, test } from 'vitest'
import { charWidth } from './char-width.ts'
import { Screen } from './screen.ts'

describe('columns of a character', () => {
  test.each([
    ['a', 1],
    ['é', 1],
    ['\u0301', 0],
    ['\u200d', 0],
    ['日', 2],
    ['ｱ', 1],
    ['Ａ', 2],
    ['🚀', 2],
    ['👩', 2],
    ['❤', 1],
    ['─', 1],
    ['가', 2],
    ['\u1161', 0],
    ['\u00ad', 1],
    ['\u0007', 0],
  ] as const)('%j', (char, width) => expect(charWidth(char.codePointAt(0) ?? 0)).toBe(width))
})

test.each([
  [80, 24, 80, 24],
  [0, 0, 80, 24],
  [1, 1, 2, 1],
  [65_535, 65_535, 2000, 200],
])('a terminal of %s × %s is emulated as %s × %s', (columns, rows, wide, high) => {
  const screen = new Screen(columns, rows)
  expect([screen.columns, screen.rows]).toEqual([wide, high])
})

describe('what a screen survives', () => {
  test.each(['b', 'I', 'Z', 'L', 'M', 'S', 'T', '@', 'P', 'X', "'}", "'~"])(
    'two billion times CSI %s costs no more than a screen',
    async (final) => {
      // Without the limit it takes minutes, or all memory.
      const screen = new Screen(80, 24)
      await screen.write(`one\r\ntwo\u001b[1;1H\u001b[2147483647${final}\u001b[24;1Hafter`)
      expect(screen.lines().at(-1)).toBe('after')
    },
  )
  test('a count beyond the screen scrolls all of it away', async () => {
    const screen = new Screen(20, 4)
    await screen.write('1\r\n2\r\n3\u001b[99999Sx')
    expect(screen.lines().join('')).toBe(' x')
  })
})
