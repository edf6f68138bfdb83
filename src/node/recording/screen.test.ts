import { isAscii } from 'node:buffer'
import headless, { type Terminal } from '@xterm/headless'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { emulatedSize, emulatorOptions, type Size } from '../../audit/recording/emulator.ts'
import { guardTerminal } from '../../audit/recording/guard-terminal.ts'
import { castLine } from '../../audit/recording/write-cast.ts'
import { isUsualLine, Screen } from './screen.ts'

type Step = string | Size | Flood

/** A terminal that is fed everything, as it would be without a short way. */
async function plain(size: Size, steps: readonly (string | Size)[]): Promise<Terminal> {
  const { columns: cols, rows } = emulatedSize(size)
  const terminal = new headless.Terminal({ cols, rows, ...emulatorOptions })
  guardTerminal(terminal)
  // Links are left out on purpose, and so is their underlining.
  terminal.parser.registerOscHandler(8, () => true)
  for (const step of steps) {
    if (typeof step === 'string') await feed(terminal, step)
    else {
      const { columns, rows } = emulatedSize(step)
      terminal.resize(columns, rows)
    }
  }
  return terminal
}

async function feed(terminal: Terminal, text: string): Promise<Terminal> {
  await new Promise<void>((resolve) => terminal.write(text, resolve))
  return terminal
}

/** What is seen: characters, their colours, the cursor, modes. */
function look(terminal: Terminal): readonly string[] {
  const { active } = terminal.buffer
  const lines: string[] = [active.type, `${active.cursorX},${active.cursorY}`, JSON.stringify(terminal.modes)]
  for (let y = 0; y < terminal.rows; y++) {
    let line = ''
    let style = ''
    for (let x = 0; x < terminal.cols; x++) {
      const cell = active.getLine(active.baseY + y)?.getCell(x)
      if (cell === undefined) continue
      const back = [cell.getBgColorMode(), cell.getBgColor(), cell.isInverse(), cell.isUnderline()]
      const front = [cell.getFgColorMode(), cell.getFgColor(), cell.isBold()]
      // Half of a wide character is left when a terminal becomes narrower, or something is printed over the other half.
      const other = x + 1 < terminal.cols ? active.getLine(active.baseY + y)?.getCell(x + 1) : undefined
      const half = cell.getWidth() === 2 && other?.getWidth() !== 0
      const chars = half ? '' : cell.getChars()
      // An empty cell and a blank look the same.
      const blank = chars === '' || chars === ' '
      const wanted = `<${(blank ? back : [...back, ...front]).join()}>`
      line += (wanted === style ? '' : wanted) + (blank ? ' ' : chars)
      style = wanted
    }
    lines.push(line)
  }
  return lines
}

/** As the recording does: what is usual is said to be. */
const write = (screen: Screen, text: string): void =>
  screen.write(text, isUsualLine(castLine(0, 'o', text)) && isAscii(Buffer.from(text)))

/** `after`: what follows must do the same to both. */
async function expectSame(size: Size, short: readonly Step[], after = ''): Promise<void> {
  const steps = short.map((step) => (step instanceof Flood ? step.lines.repeat(step.times) : step))
  const screen = new Screen(size)
  for (const step of steps) {
    // In pieces, as a program's output comes.
    if (typeof step === 'string')
      for (let at = 0; at < step.length; at += 40_001) write(screen, step.slice(at, at + 40_001))
    else screen.resize(step)
  }
  const { columns, rows, data } = screen.state()
  screen.close()
  const reference = await plain(size, steps)
  const restored = await plain({ columns, rows }, [data])
  expect(look(restored)).toEqual(look(reference))
  // What xterm.js itself does after sizes changed depends on more than can be seen.
  if (steps.some((step) => typeof step !== 'string')) return
  expect(look(await feed(restored, after))).toEqual(look(await feed(reference, after)))
}

const word = fc.string({ unit: fc.constantFrom(...'abc XYZ019~\té漢🙂'), minLength: 1, maxLength: 30 })
const colour = fc.constantFrom(
  '\x1b[m',
  '\x1b[31m',
  '\x1b[1;44m',
  '\x1b[0;38;5;120m',
  '\x1b[7m',
  '\x1b[K',
  '\x1b[01;32m\x1b[K',
)
const end = fc.constantFrom('\r\n', '\r\n', '\r\n', '\n', '\r', '')
const line = fc
  .tuple(fc.array(fc.oneof(word, word, colour), { maxLength: 5 }), end)
  .map(([parts, eol]) => parts.join('') + eol)
/** Lines repeated until they are a flood; told shortly when a test fails. */
class Flood {
  readonly lines: string
  readonly times: number
  constructor(lines: readonly string[], times: number) {
    this.lines = `${lines.join('')}\r\n`
    this.times = times * Math.ceil(70_000 / this.lines.length)
  }
}
const flood = fc
  .tuple(fc.array(line, { minLength: 1, maxLength: 8 }), fc.integer({ min: 1, max: 3 }))
  .map(([lines, times]) => new Flood(lines, times))
const control = fc.constantFrom(
  '\x1b[2J',
  '\x1b[H',
  '\x1b[5;10H',
  '\x1b[3;8r',
  '\x1b[r',
  '\x1b[?1049h',
  '\x1b[?1049l',
  '\x1b[?7l',
  '\x1b[?7h',
  '\x1b[4h',
  '\x1b[4l',
  '\x1b]0;a title\x07',
  '\x1b]8;;http://a.test\x1b\\link\x1b]8;;\x1b\\',
  '\x1b[2L',
  '\x1b[3P',
  '\x1bM',
  '\x1b[?25l',
)
const sizes = fc.record({ columns: fc.integer({ min: 2, max: 120 }), rows: fc.integer({ min: 1, max: 40 }) })
/** xterm.js loses a line when a terminal shrinks to one row. */
const newSizes = fc.record({ columns: fc.integer({ min: 2, max: 120 }), rows: fc.integer({ min: 2, max: 40 }) })

describe('the state is that of a terminal that was fed everything', () => {
  test('after floods with colours, controls and resizes', async () => {
    const steps = fc.array(fc.oneof(line, line, control, flood, newSizes), { minLength: 1, maxLength: 8 })
    await fc.assert(fc.asyncProperty(sizes, steps, line, expectSame), { numRuns: 100, seed: 28 })
  })

  test.each([
    { name: '300 columns and one row', size: { columns: 300, rows: 1 }, text: `${'x'.repeat(700)}\r\nlast` },
    { name: 'no size', size: { columns: 0, rows: 0 }, text: 'hello\r\n' },
    { name: 'one column', size: { columns: 1, rows: 5 }, text: 'abc' },
    { name: 'a line that never ends', size: { columns: 80, rows: 24 }, text: 'ab\tc'.repeat(50_000) },
    { name: 'an open OSC string', size: { columns: 80, rows: 24 }, text: `\x1b]0;${'y\r\n'.repeat(50_000)}\x07done` },
    {
      name: 'a flood on the other screen',
      size: { columns: 80, rows: 24 },
      text: `one\x1b[?1049h${'y\r\n'.repeat(40_000)}`,
    },
    {
      name: 'a flood below a region',
      size: { columns: 20, rows: 5 },
      text: `\x1b[1;3r\x1b[5;1H${'ab\r\nc\r\n'.repeat(20_000)}`,
    },
    { name: 'a half sequence', size: { columns: 80, rows: 24 }, text: `${'y\r\n'.repeat(30_000)}\x1b[3` },
  ])('$name', async ({ size, text }) => expectSame(size, [text]))
})

test.each([
  { name: 'a hidden cursor', text: '\x1b[?25l', want: '\x1b[?25l' },
  { name: 'a scrolling region, with the cursor after it', text: '\x1b[3;8r\x1b[6;4H', want: '\x1b[3;8r\x1b[6;4H' },
  { name: 'the coding of mouse reports', text: '\x1b[?1002h\x1b[?1006h', want: '\x1b[?1006h' },
  { name: 'bracketed paste', text: '\x1b[?2004h', want: '\x1b[?2004h' },
])('the state tells $name', ({ text, want }) => {
  const screen = new Screen({ columns: 80, rows: 24 })
  screen.write(`hello${text}`)
  expect(screen.state().data).toContain(want)
})

test('an idle session keeps its state as text', () => {
  const screen = new Screen({ columns: 80, rows: 24 })
  screen.write('\x1b[31mhello\r\n')
  const before = screen.state()
  expect(screen.heavy).toBe(true)
  screen.compact()
  expect(screen.heavy).toBe(false)
  expect(screen.state()).toEqual(before)
})

test.each([
  { name: 'a megabyte of escape sequences', piece: '\x1b[1;31m\x1b[2;3H\x1b[2K' },
  { name: 'marks without end on one cell', piece: 'a\u0301\u0302\u0303'.repeat(1) + '\u0301'.repeat(2000) },
  { name: 'links without end', piece: `\x1b]8;;http://${'x'.repeat(100)}\x1b\\` },
  { name: 'random bytes', piece: '\x1b\x9b\x90\x98\x00\x7f\ufffd[?]P' },
])('bounds what it keeps of $name', ({ piece }) => {
  const screen = new Screen({ columns: 80, rows: 24 })
  const text = piece.repeat(Math.ceil(16_384 / piece.length))
  for (let i = 0; i < 64; i++) screen.write(text)
  expect(screen.state().data.length).toBeLessThan(200_000)
})

test('a terminal of absurd size is emulated smaller', () => {
  const { columns, rows } = emulatedSize({ columns: 65_535, rows: 65_535 })
  expect(columns * rows).toBeLessThanOrEqual(400_000)
  const screen = new Screen({ columns: 65_535, rows: 65_535 })
  screen.write('x')
  expect(screen.state().data).toContain('x')
})
