import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { Screen } from '../../../audit/recording/screen.ts'
import { Painter } from './painter.ts'
import { rowText } from './row-text.ts'

/** All that may ever reach the viewer's terminal: SGR, cursor position, column, erase, show and hide the cursor, printable text. */
const allowed =
  /^(?:\u001b\[[0-9;]*m|\u001b\[\d+;\d+H|\u001b\[\d+G|\u001b\[2J|\u001b\[K|\u001b\[\?25[hl]|[^\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}])*$/u

const view = { columns: 80, rows: 24 }

/** Shows the text in a terminal, and that terminal in another one through the painter. */
async function replay(text: string, columns = 80, rows = 24, size = view) {
  const screen = new Screen(columns, rows)
  const painter = new Painter(size)
  const viewer = new Screen(size.columns, size.rows)
  const first = painter.frame(screen)
  for (let at = 0; at < text.length; at += 65_536) await screen.write(text.slice(at, at + 65_536))
  const frame = painter.frame(screen)
  await viewer.write(`\u001b[?7l${first}${frame}`)
  return { screen, viewer, frame: first + frame }
}

const hostile: readonly (readonly [string, string])[] = [
  ['title', '\u001b]0;owned\u0007\u001b]2;owned\u001b\\'],
  ['clipboard', '\u001b]52;c;cm0gLXJmIC8=\u0007'],
  ['hyperlink', '\u001b]8;;https://evil.example/\u001b\\click\u001b]8;;\u001b\\'],
  ['palette', '\u001b]4;1;rgb:ff/00/00\u0007\u001b]10;?\u0007\u001b]11;?\u0007'],
  [
    'file transfer and notification',
    '\u001b]1337;File=name=eA==:AAAA\u0007\u001b]9;x\u0007\u001b]777;notify;a;b\u0007',
  ],
  ['DCS', '\u001bP$qm\u001b\\\u001bP+q544e\u001b\\\u001bPq#0;2;0;0;0~\u001b\\'],
  ['APC, PM, SOS', '\u001b_Ga=T;AAAA\u001b\\\u001b^x\u001b\\\u001bXx\u001b\\'],
  ['questions', '\u001b[c\u001b[>c\u001b[=c\u001b[5n\u001b[6n\u001b[?6n\u001b[0x\u0005\u001bZ\u001b[?1$p'],
  ['window operations', '\u001b[8;1;1t\u001b[21t\u001b[3;0;0t\u001b[9;1t'],
  ['mouse, focus and paste modes', '\u001b[?1000;1002;1003;1004;1006;2004h'],
  ['keyboard modes', '\u001b[?1h\u001b=\u001b[>4;2m\u001b[=1u\u001b[?66h'],
  ['character sets', '\u001b(0lqqk\u000e\u001b)0\u001b%@\u001bn\u001bo'],
  ['C1 controls', '\u009b31m\u009d0;x\u009c\u0090q\u009c\u008d\u0085'],
  ['reset', '\u001bc\u001b[!p\u001b[?1049h\u001b[?3h'],
  ['printing', '\u001b[5i secret \u001b[4i\u001b[?5i'],
  ['bidi and zero width', 'a\u202eb\u2066c\u200bd\u200de\ufefff\u2028g\u2029h\u00adi\u{e0041}j'],
  ['controls in sequences', '\u001b[3\u00071m\u001b[\u0018A\u001b\u001b[31;\u001a1m'],
  ['an unfinished sequence', 'x\u001b]0;never ends'],
  ['a megabyte of OSC', `\u001b]52;c;${'A'.repeat(1_000_000)}\u0007after`],
  ['a megabyte of parameters', `\u001b[${'1;'.repeat(500_000)}mafter`],
  ['marks without end', `e${'\u0301'.repeat(100_000)}\u001b[2000000000b`],
  ['lone surrogates', '\ud800x\udc00y'],
  [
    'counts beyond measure',
    'x\u001b[2147483647b\u001b[2147483647S\u001b[2147483647T\u001b[2147483647L\u001b[2147483647M\u001b[2147483647I\u001b[2147483647Z\u001b[2147483647@\u001b[2147483647P\u001b[2147483647X',
  ],
  ['columns beyond measure', "\u001b[2147483647'}\u001b[2147483647'~"],
]

describe('hostile output', () => {
  test.each(hostile)('%s: only what is allowed reaches the terminal', async (_, text) => {
    const { frame, viewer } = await replay(`${text}\r\nstill here`)
    expect(frame).toMatch(allowed)
    expect(viewer.terminal.modes.mouseTrackingMode).toBe('none')
  })
  test('any text', async () =>
    await fc.assert(
      fc.asyncProperty(
        fc.array(
          fc.oneof(
            fc.string({ unit: 'binary' }),
            fc.constantFrom(
              '\u001b',
              '\u001b[',
              '\u001b]',
              '\u009b',
              ';',
              '5',
              'm',
              'H',
              ...hostile.slice(0, 18).map(([, text]) => text),
            ),
          ),
        ),
        async (parts) => {
          const { frame } = await replay(parts.join(''))
          expect(frame).toMatch(allowed)
        },
      ),
      { numRuns: 150 },
    ))
  test.each([
    [65_535, 65_535],
    [300, 1],
    [0, 0],
    [1, 1],
  ])('a terminal of %s columns and %s rows', async (columns, rows) => {
    const { frame } = await replay('\u001b[41mhello\r\nworld 日本', columns, rows)
    expect(frame).toMatch(allowed)
  })
})

describe('what it looks like', () => {
  test.each([
    ['text', 'one\r\ntwo\r\n\r\n   four'],
    [
      'attributes',
      '\u001b[1mb\u001b[0;2md\u001b[0;3mi\u001b[0;4mu\u001b[0;5mk\u001b[0;7mr\u001b[0;8mh\u001b[0;9ms\u001b[0m.',
    ],
    [
      'colours',
      '\u001b[31ma\u001b[97mb\u001b[42mc\u001b[105md\u001b[38;5;208me\u001b[48;5;17mf\u001b[38;2;1;2;3mg\u001b[0mh',
    ],
    ['background to the end of a line', 'x\u001b[44m\u001b[Ky\u001b[0m\r\nz\u001b[10;5Hw'],
    ['wide characters', '日本語 text 🚀🚀 end\r\n\u001b[80G日over'],
    ['marks', 'e\u0301 n\u0303 क्षि ok'],
    ['boxes', '\u001b(0lqqk\u001b(B ┌──┐ │'],
    ['a wide character that was cut', '日\u001b[2Gx'],
    ['the last column', `${'x'.repeat(80)}y\u001b[24;80Hz`],
  ])('%s', async (_, text) => {
    const { screen, viewer } = await replay(text)
    expect(viewer.lines()).toEqual(screen.lines())
    expect(Array.from({ length: 24 }, (_, row) => rowText(viewer, row, 0, 80))).toEqual(
      Array.from({ length: 24 }, (_, row) => rowText(screen, row, 0, 80)),
    )
    expect(viewer.cursor).toEqual(screen.cursor)
  })
  test('a smaller terminal shows the part around the cursor', async () => {
    const text = Array.from({ length: 24 }, (_, row) => `\u001b[${row + 1};1Hrow ${row} ${'.'.repeat(60)}end`).join('')
    const small = { columns: 20, rows: 5 }
    const bottom = await replay(`${text}\u001b[24;3H`, 80, 24, small)
    expect(bottom.viewer.lines()).toEqual([19, 20, 21, 22, 23].map((row) => `row ${row} ${'.'.repeat(13)}`))
    expect(bottom.viewer.cursor).toMatchObject({ column: 2, row: 4 })
    const top = await replay(`${text}\u001b[2;1H`, 80, 24, small)
    expect(top.viewer.lines()[0]).toBe('row 0 ..............')
    const right = await replay(`${text}\u001b[1;69H`, 80, 24, small)
    expect(right.viewer.lines()[0]).toMatch(/\.end$/)
  })
  test('only rows that changed are written', async () => {
    const screen = new Screen(80, 24)
    const painter = new Painter(view)
    await screen.write('one\r\ntwo')
    painter.frame(screen)
    expect(painter.frame(screen)).toBe('')
    await screen.write('!')
    const frame = painter.frame(screen)
    expect(frame).toContain('two!')
    expect(frame).not.toContain('one')
  })
  test('an overlay covers a row and leaves it as it was', async () => {
    const screen = new Screen(80, 2)
    const painter = new Painter({ columns: 80, rows: 2 })
    const viewer = new Screen(80, 2)
    await screen.write('one\r\ntwo')
    await viewer.write(painter.frame(screen, new Map([[1, 'STATUS']])))
    expect(viewer.lines()).toEqual(['one', 'STATUS'])
    expect(viewer.cursor.visible).toBe(false)
    await viewer.write(painter.frame(screen))
    expect(viewer.lines()).toEqual(['one', 'two'])
    expect(viewer.cursor).toEqual(screen.cursor)
  })
})
