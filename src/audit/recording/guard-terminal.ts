/**
 * Makes the terminal emulator fit for hostile output: no control sequence may repeat something more often than a screen is worth
 * (`CSI 2147483647 S` alone would keep it busy for minutes), and characters are as wide as programs believe.
 */

import type { Terminal } from '@xterm/headless'
import { unicodeProvider } from './char-width.ts'

/** A part of the emulator that its public interface lacks. Checked when used: a new release may move it. */
interface Inside {
  readonly _core?: { readonly _inputHandler?: Readonly<Record<string, unknown>> }
}

/** Control sequences that do something as often as they are told, and the method that does it. */
const repeating: readonly (readonly [final: string, method: string])[] = [
  ['b', 'repeatPrecedingCharacter'],
  ['I', 'cursorForwardTab'],
  ['Z', 'cursorBackwardTab'],
  ['L', 'insertLines'],
  ['M', 'deleteLines'],
  ['S', 'scrollUp'],
  ['T', 'scrollDown'],
  ['@', 'insertChars'],
  ['P', 'deleteChars'],
  ['X', 'eraseChars'],
]

/** To be called once, before anything is written. The terminal must allow the proposed interface. */
export function guardTerminal(terminal: Terminal): void {
  terminal.unicode.register(unicodeProvider)
  terminal.unicode.activeVersion = unicodeProvider.version
  for (const [final, method] of repeating) {
    // A count beyond the screen does what the screen's size does, or nothing where the emulator has changed.
    terminal.parser.registerCsiHandler({ final }, (params) => {
      const count = typeof params[0] === 'number' ? params[0] : 1
      const most = final === 'b' ? mostRepeats(terminal) : Math.max(terminal.cols, terminal.rows)
      if (count <= most) return false
      const handler = (terminal as Inside)._core?._inputHandler
      const run = handler?.[method]
      if (typeof run === 'function' && most > 0) run.call(handler, { length: 1, params: [most] })
      return true
    })
  }
  // Columns are inserted and deleted in every row of the region.
  for (const final of ['}', '~']) {
    terminal.parser.registerCsiHandler({ intermediates: "'", final }, (params) => Number(params[0]) > terminal.cols)
  }
}

/** A screen full; none of a character with very many marks, which would be copied with each. */
function mostRepeats(terminal: Terminal): number {
  const { active } = terminal.buffer
  const before = active.getLine(active.baseY + active.cursorY)?.getCell(Math.max(0, active.cursorX - 1))
  return (before?.getChars().length ?? 0) > 32 ? 0 : terminal.cols * terminal.rows
}
