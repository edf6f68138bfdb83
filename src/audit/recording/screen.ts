/**
 * A terminal without a window: recorded output goes in, cells come out. What was recorded is hostile until proven otherwise, so the
 * emulator gets no size and no repetition count that would cost more than a screen is worth, and nothing that it would answer goes anywhere.
 */

import serialize from '@xterm/addon-serialize'
import headless, { type IBufferCell, type Terminal } from '@xterm/headless'
import { guardTerminal } from './guard-terminal.ts'

/** Cells are allocated, so a recording cannot ask for any size it likes. */
export const maxColumns = 1000
export const maxRows = 500

/** The widest and highest that is emulated, and at least what the emulator can do. */
export const screenSize = (columns: number, rows: number): { readonly columns: number; readonly rows: number } => ({
  columns: Math.min(maxColumns, Math.max(2, Math.trunc(columns) || 80)),
  rows: Math.min(maxRows, Math.max(1, Math.trunc(rows) || 24)),
})

/** The parts of the emulator that its public interface lacks. Checked when used: a new release may move them. */
interface Inside {
  readonly _core?: {
    readonly coreService?: { readonly isCursorHidden?: boolean }
    readonly buffer?: { readonly scrollTop?: number; readonly scrollBottom?: number }
  }
}

export class Screen {
  readonly terminal: Terminal
  readonly #serializer = new serialize.SerializeAddon()

  /** `scrollback`: lines kept above the screen. */
  constructor(columns: number, rows: number, scrollback = 0) {
    const size = screenSize(columns, rows)
    this.terminal = new headless.Terminal({
      cols: size.columns,
      rows: size.rows,
      scrollback,
      allowProposedApi: true,
      logLevel: 'off',
    })
    guardTerminal(this.terminal)
    this.terminal.loadAddon(this.#serializer as unknown as Parameters<Terminal['loadAddon']>[0])
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

  /** Resolves when the text has taken effect. */
  write(text: string): Promise<void> {
    return new Promise((resolve) => this.terminal.write(text, resolve))
  }

  resize(columns: number, rows: number): void {
    const size = screenSize(columns, rows)
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
          ?.translateToString(true)
          .trimEnd() ?? '',
    )
  }

  /** Text that puts an empty terminal of this size into the present state. */
  snapshot(): string {
    const { scrollTop = 0, scrollBottom = this.rows - 1 } = (this.terminal as Inside)._core?.buffer ?? {}
    const { cursorX, cursorY } = this.terminal.buffer.active
    const hidden = this.cursor.visible ? '' : '\u001b[?25l'
    const content = this.#serializer.serialize({ scrollback: 0 })
    if (scrollTop === 0 && scrollBottom === this.rows - 1) return content + hidden
    // Setting the scroll region moves the cursor; in origin mode rows are counted from the region's top.
    const origin = this.terminal.modes.originMode ? scrollTop : 0
    const region = `\u001b[${scrollTop + 1};${scrollBottom + 1}r`
    return `${content}${region}\u001b[${cursorY - origin + 1};${cursorX + 1}H${hidden}`
  }
}
