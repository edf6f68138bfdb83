import { describe, expect, test } from 'vitest'
import { withoutAnswers } from './terminal-answers.ts'

const typed = (text: string) => withoutAnswers(Buffer.from(text, 'utf8')).toString('utf8')

describe('what a terminal answers by itself is not typed', () => {
  test.each([
    ['primary attributes', '\x1b[?62;22c'],
    ['secondary attributes', '\x1b[>84;0;0c'],
    ['its name', '\x1bP>|tmux 3.3a\x1b\\'],
    ['its unit', '\x1bP!|00000000\x1b\\'],
    ['its status', '\x1b[0n'],
    ['where the cursor is', '\x1b[24;80R'],
    ['where the cursor is, in the first row', '\x1b[1;80R'],
    ['where the cursor is, with the page', '\x1b[?24;80R'],
    ['a mode', '\x1b[?2026;2$y'],
    ['a setting', '\x1bP1$r0m\x1b\\'],
    ['a capability', '\x1bP1+r544e=787465726d\x1b\\'],
    ['a colour', '\x1b]11;rgb:1a1a/1b1b/1c1c\x1b\\'],
    ['a colour, ended by a bell', '\x1b]10;rgb:ffff/ffff/ffff\x07'],
    ['the clipboard', '\x1b]52;c;c2VjcmV0\x07'],
    ['its size', '\x1b[8;24;80t'],
    ['the flags of its keyboard', '\x1b[?1u'],
  ])('%s', (_, answer) => {
    expect(typed(answer)).toBe('')
    expect(typed(`a${answer}ö${answer}\r`)).toBe('aö\r')
  })
})

describe('what somebody presses is', () => {
  test.each([
    ['letters of any language', 'grüße 日本'],
    ['escape', '\x1b'],
    ['an arrow', '\x1b[A'],
    ['an arrow with control', '\x1b[1;5C'],
    ['F3, with shift and with everything', '\x1bOR\x1b[1;2R\x1b[1;16R'],
    ['delete', '\x1b[3~'],
    ['meta and a letter', '\x1bP\x1b]\x1b['],
    ['a pasted text', '\x1b[200~\x1b[201~'],
    ['the mouse', '\x1b[<0;10;20M\x1b[<0;10;20m'],
    ['focus', '\x1b[I\x1b[O'],
    ['a key of the extended keyboard', '\x1b[97;5u'],
    ['half an answer', '\x1b[>84;0'],
  ])('%s', (_, keys) => {
    expect(typed(keys)).toBe(keys)
  })

  test('bytes that are no UTF-8 stay what they are', () => {
    const bytes = Buffer.from([0xff, 0x1b, 0x5b, 0x30, 0x6e, 0xfe, 0x80])
    expect([...withoutAnswers(bytes)]).toEqual([0xff, 0xfe, 0x80])
  })
})
