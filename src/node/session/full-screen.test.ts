/** When a program has the terminal for itself, and what is said to its user then. */

import headless from '@xterm/headless'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { FullScreen, overlay } from './full-screen.ts'

const isOnAfter = (...pieces: readonly (string | Buffer)[]): boolean => {
  const screen = new FullScreen()
  for (const piece of pieces) screen.read(Buffer.from(piece))
  return screen.isOn
}

describe('a program has the screen', () => {
  test.each<[string, string, boolean]>([
    ['plain text', 'hello\r\n', false],
    ['vim begins', '\x1b[?1049h\x1b[22;0;0t\x1b[1;24r', true],
    ['an older terminal', '\x1b[?47h', true],
    ['without the saved cursor', '\x1b[?1047h', true],
    ['vim has ended', '\x1b[?1049h text \x1b[?25l\x1b[?1049l\x1b[?25h', false],
    ['one after another', '\x1b[?1049h\x1b[?1049l\x1b[?1049h', true],
    ['another mode', '\x1b[?25h\x1b[?2004h', false],
    ['a number that only begins so', '\x1b[?10490h\x1b[?4h', false],
    ['no sequence', '?1049h', false],
  ])('%s', (_name, text, expected) => {
    expect(isOnAfter(text)).toBe(expected)
  })

  test('however the output is cut', () => {
    const part = fc.constantFrom('\x1b[?1049h', '\x1b[?1049l', '\x1b[?47h', '\x1b[?25h', '\x1b', '[?', 'text', '1049h')
    fc.assert(
      fc.property(fc.array(part), fc.infiniteStream(fc.nat({ max: 9 })), (parts, lengths) => {
        const all = Buffer.from(parts.join(''))
        const pieces: Buffer[] = []
        for (let at = 0; at < all.length; at += pieces.at(-1)?.length ?? 0) {
          pieces.push(all.subarray(at, at + 1 + lengths.next().value))
        }
        expect(isOnAfter(...pieces)).toBe(isOnAfter(all))
      }),
    )
  })
})

test('what is said is in the first row, no longer than it, and the cursor and colours are as they were', async () => {
  const terminal = new headless.Terminal({ cols: 20, rows: 4, allowProposedApi: true })
  const write = (text: string) => new Promise<void>((resolve) => terminal.write(text, resolve))
  await write('\x1b[?1049h\x1b[2J\x1b[Hone\r\ntwo\r\nthree\x1b[2;3H\x1b[31m')
  await write(overlay('[teleport] somebody with a long name joined', 20))
  await write('X')
  const rows = [0, 1, 2, 3].map((row) => terminal.buffer.active.getLine(row)?.translateToString(true))
  expect(rows).toEqual([' [teleport] somebod ', 'twX', 'three', ''])
  expect(terminal.buffer.active.getLine(1)?.getCell(2)?.getFgColor()).toBe(1)
  terminal.dispose()
})
