import headless from '@xterm/headless'
import { expect, test } from 'vitest'
import { lastWords } from './last-words.ts'

test.each([
  {
    name: 'after a line of a shell',
    printed: 'one\r\ntwo$ exit\r\n',
    lines: ['one', 'two$ exit', '', '── over ──', ''],
  },
  { name: 'within a line', printed: 'one\r\ntwo', lines: ['one', 'two', '── over ──', '', ''] },
  {
    name: 'in a program of the whole screen',
    printed: 'one\r\ntwo\r\n\x1b[?1049h\x1b[2;3r\x1b[?1000h\x1b[Hvim\x1b[5;5Hx',
    lines: ['one', 'two', '', '── over ──', ''],
  },
  {
    name: 'with a scroll region',
    printed: 'one\r\ntwo\r\n\x1b[1;2r\x1b[3;1H',
    lines: ['one', 'two', '', '── over ──', ''],
  },
])('the last words stand below what was printed: $name', async ({ printed, lines }) => {
  const terminal = new headless.Terminal({ cols: 20, rows: 5, allowProposedApi: true })
  await new Promise<void>((resolve) => terminal.write(`${printed}${lastWords('over')}`, resolve))
  const { active } = terminal.buffer
  expect(active.type).toBe('normal')
  expect(lines.map((_, row) => active.getLine(row)?.translateToString(true))).toEqual(lines)
  expect(terminal.modes.mouseTrackingMode).toBe('none')
})

test('names in the last words cannot do anything', () => {
  expect(lastWords('by \x1b]0;x\x07\u202eeve')).toContain('── by  ]0;x  eve ──')
})
