/**
 * A terminal without a window: recorded output goes in, cells come out. What was recorded is hostile until proven otherwise, so the
 * emulator gets no size and no repetition count that would cost more than a screen is worth, and nothing that it would answer goes anywhere.
 */

import headless, { type IBufferCell, type Terminal } from '@xterm/headless'
import { emulatedSize, emulatorOptions } from './emulator.ts'
import { guardTerminal } from './guard-terminal.ts'

/** The parts of the emulator that its public interface lacks. Checked when used: a new release may move them. */
interface Inside {
  readonly _core?: {
    readonly coreService?: { readonly isCursorHidden?: boolean }
  }
}

/** Characters that are interpreted without a pause. */
const piece = 1024

export class Screen {
  readonly terminal: Terminal

  /**
   * `scrollback`: lines kept above the screen. With some, lines are wrapped anew when the width changes, so that what scrolled by is
   * told by lines and not by rows; without, it does what the recorder's terminal does.
   */
  constructor(columns: number, rows: number, scrollback = 0) {
    const size = emulatedSize({ columns, rows })
    const { windowsPty, ...options } = emulatorOptions
    const wrapping = scrollback === 0 ? { windowsPty } : { scrollback }
    this.terminal = new headless.Terminal({ ...options, ...wrapping, cols: size.columns, rows: size.rows })
    guardTerminal(this.terminal)
  }

  get columns(): number {
    return this.terminal.cols
  }

  get rows(): number {
    return this.terminal.rows
  }

  /** Column and row from 0; the column is at most the last. */
  get cursor(): { readonly column: number; readonly row: number; readonly visible: boolean } {
    const { cursorX, cursorY } = this.terminal.buffer.active
    const hidden = (this.terminal as Inside)._core?.coreService?.isCursorHidden === true
    return { column: Math.min(cursorX, this.columns - 1), row: cursorY, visible: !hidden }
  }

  /** Resolves when the text has taken effect. In pieces, between which signals and keys are heard. */
  write(text: string): Promise<void> {
    for (let at = 0; at + piece < text.length; at += piece) this.terminal.write(text.slice(at, at + piece))
    const last = text.length === 0 ? 0 : text.length - (text.length % piece || piece)
    return new Promise((resolve) => this.terminal.write(text.slice(last), resolve))
  }

  resize(columns: number, rows: number): void {
    const size = emulatedSize({ columns, rows })
    this.terminal.resize(size.columns, size.rows)
  }

  reset(): void {
    this.terminal.reset()
  }

  dispose(): void {
    this.terminal.dispose()
  }

  /** Calls `see` for each cell of a row of the screen; `cell` is valid only during the call. */
  eachCell(row: number, see: (cell: IBufferCell, column: number) => void): void {
    const buffer = this.terminal.buffer.active
    const line = buffer.getLine(buffer.baseY + row)
    if (line === undefined) return
    const cell = buffer.getNullCell()
    for (let column = 0; column < this.columns; column++) {
      const filled = line.getCell(column, cell)
      if (filled !== undefined) see(filled, column)
    }
  }

  /** Rows of the screen as text, without spaces at their ends. */
  lines(): string[] {
    const buffer = this.terminal.buffer.active
    return Array.from(
      { length: this.rows },
      (_, row) =>
        buffer
          .getLine(buffer.baseY + row)
          ?.translateToString(true, 0, this.columns)
          .trimEnd() ?? '',
    )
  }
}
