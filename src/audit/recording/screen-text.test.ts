import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { feedChunk, MAX_LINE, ScreenText } from './screen-text.ts'

const ESC = '\u001b'
function linesOf(...data: readonly string[]): string[] {
  const lines: string[] = []
  const screen = new ScreenText((_, text) => lines.push(text))
  for (const part of data) screen.feed(0, part)
  screen.flush()
  return lines
}

describe('text of screens', () => {
  test.each<readonly [string, string, readonly string[]]>([
    ['plain lines', 'one\r\ntwo\r\n', ['one', 'two']],
    ['a line without end', 'one\r\ntw', ['one', 'tw']],
    ['blank lines are none', '\r\n  \r\n---\r\nx\r\n', ['x']],
    ['colours', `${ESC}[1;31mred${ESC}[0m and ${ESC}[38;5;12mblue${ESC}[m\r\n`, ['red and blue']],
    ['a return overwrites', 'progress 10%\rprogress 99%\r\ndone\r\n', ['progress 99%', 'done']],
    ['a return and a shorter text leave the rest', 'abcdef\rxy\r\n', ['xycdef']],
    ['a return and erasing do not', `abcdef\rxy${ESC}[K\r\n`, ['xy']],
    ['backspace', 'lss\b \b -l\r\n', ['ls -l']],
    ['erasing what was typed', 'rm -rf /\b\b\b\b\b\b\b\b\u001b[Kls\r\n', ['ls']],
    ['inserting in the middle', `sl${ESC}[2D${ESC}[1@l${ESC}[1Cs\r\n`, ['lss']],
    ['deleting in the middle', `abXc\b\b${ESC}[P\r\n`, ['abc']],
    ['a tab is a space', 'a\tb\r\n', ['a b']],
    ['a title (OSC, ended by BEL)', `${ESC}]0;root@web1: ~\u0007$ ls\r\n`, ['$ ls']],
    ['a title (OSC, ended by ST)', `${ESC}]2;secret${ESC}\\ok\r\n`, ['ok']],
    ['a title that another sequence ends', `${ESC}]2;secret${ESC}[1mok\r\n`, ['ok']],
    ['a picture (DCS)', `${ESC}Pq#0;2;0;0;0#0~~@@vv@@~~$${ESC}\\x\r\n`, ['x']],
    ['one-byte forms', '\u009b1mx\u009d0;title\u009cy\r\n', ['xy']],
    ['line drawing letters', `${ESC}(0lqqqk${ESC}(Bbox\r\n`, ['box']],
    ['drawn frames', '│ name │ size │\r\n', ['name size']],
    ['another row ends the line', `left${ESC}[5;10Hright${ESC}[Hmore`, ['left', 'right', 'more']],
    ['clearing the screen', `before${ESC}[2Jafter`, ['before', 'after']],
    ['private modes do nothing', `${ESC}[?2004hx${ESC}[?25l${ESC}[>cy\r\n`, ['xy']],
    ['unknown letters and charsets', `${ESC}7${ESC})B${ESC}=a${ESC}>${ESC}8b\r\n`, ['ab']],
    ['bidirectional tricks are gone', 'a\u202eb\u200bc\r\n', ['abc']],
    ['other scripts', 'grüße 日本語 \u{1f600}ok\r\n', ['grüße 日本語 \u{1f600}ok']],
    ['a control character inside a sequence', `ab${ESC}[\b1mc\r\n`, ['ac']],
  ])('%s', (_, data, lines) => {
    expect(linesOf(data)).toEqual(lines)
  })

  test('a string that does not end hides no more than a mebibyte', () => {
    const lines = linesOf(`${ESC}]0;${'x'.repeat(1024 * 1024)}\r\nfound\r\n`)
    expect(lines.at(-1)).toBe('found')
  })
  test('long lines go on as others, and cursor moves cost nothing', () => {
    const lines = linesOf('words '.repeat(1000), `\r\nx${ESC}[999999999Cy${ESC}[999999999@z`)
    expect(lines.every((line) => line.length <= MAX_LINE)).toBe(true)
    expect(lines.join(' ').match(/words/g)).toHaveLength(1000)
  })
  test('the time is that of the last character', () => {
    const found: [number, string][] = []
    const screen = new ScreenText((atMs, text) => found.push([atMs, text]))
    feedChunk(
      screen,
      '{"version":2}\n[0.5,"o","l"]\n[1.25,"o","s"]\n[2,"o","\\r\\n"]\nnonsense\n[3,"k","keyframe\\r\\n"]\n[3,"m","mark"]\n[4,"o",5]\n[["',
    )
    screen.flush()
    expect(found).toEqual([[1250, 'ls']])
  })

  const piece = fc.oneof(
    fc.string({ unit: 'binary', maxLength: 20 }),
    fc.constantFrom(
      '\r',
      '\n',
      '\b',
      '\t',
      ESC,
      `${ESC}[`,
      `${ESC}]`,
      `${ESC}P`,
      `${ESC}\\`,
      '\u0007',
      `${ESC}[K`,
      `${ESC}[5D`,
    ),
    fc
      .tuple(fc.nat(2000), fc.constantFrom('A', 'C', 'D', 'G', 'H', 'J', 'K', 'P', 'X', '@', 'm'))
      .map(([n, f]) => `${ESC}[${n}${f}`),
  )
  test('where the output is cut does not matter, and its state is JSON', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 30 }), fc.array(fc.nat(200), { maxLength: 6 }), (pieces, cuts) => {
        const data = [...pieces.join('')]
        const whole = linesOf(data.join(''))
        const lines: string[] = []
        let state: ScreenText['state'] | undefined
        let from = 0
        for (const cut of [...cuts.sort((a, b) => a - b), data.length]) {
          const screen: ScreenText = new ScreenText((_, text) => lines.push(text), state)
          screen.feed(0, data.slice(from, Math.max(from, cut)).join(''))
          state = JSON.parse(JSON.stringify(screen.state)) as ScreenText['state']
          from = Math.max(from, cut)
        }
        new ScreenText((_, text) => lines.push(text), state).flush()
        expect(lines).toEqual(whole)
      }),
    )
  })
  test('whatever is printed: bounded lines, no control characters', () => {
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 60 }), (pieces) => {
        for (const line of linesOf(pieces.join(''))) {
          expect(line.length).toBeLessThanOrEqual(MAX_LINE * 2)
          expect(line).not.toMatch(/\p{Cc}/u)
          expect(line).toBe(line.trim())
        }
      }),
    )
  })
  test('plain words are found as they are', () => {
    const word = fc.stringMatching(/^[a-zA-Z0-9äß日/._-]{1,12}$/).filter((text) => /[\p{L}\p{N}]/u.test(text))
    fc.assert(
      fc.property(fc.array(fc.array(word, { minLength: 1, maxLength: 8 }), { maxLength: 8 }), (rows) => {
        const lines = rows.map((words) => words.join(' '))
        expect(linesOf(lines.map((line) => `${line}\r\n`).join(''))).toEqual(lines)
      }),
    )
  })
})
