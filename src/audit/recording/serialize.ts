/**
 * The state of a terminal as text that puts an empty terminal of the same size into it: both screens with their colours, the
 * cursor, modes. Each row has its place of its own, so that nothing depends on where lines wrap. Left out: tab stops, the cursor that a
 * program saved, which rows are one long line, colours of underlines.
 */

import type { IBuffer, IBufferCell } from '@xterm/headless'
import type { Emulator, Style } from './emulator.ts'
import { sgrParameters } from './sgr.ts'

const mouseModes = { none: '', x10: '\x1b[?9h', vt200: '\x1b[?1000h', drag: '\x1b[?1002h', any: '\x1b[?1003h' }
const mouseEncodings: Readonly<Record<string, string>> = { SGR: '\x1b[?1006h', SGR_PIXELS: '\x1b[?1016h' }

export function serialize(terminal: Emulator): string {
  const { normal, alternate } = terminal
  let text = screenText(normal, terminal)
  if (alternate !== undefined) {
    // Where the cursor comes back to.
    text += `${moveTo(normal.cursorY, Math.min(normal.cursorX, terminal.size.columns - 1))}\x1b[0m\x1b[?1049h`
    text += screenText(alternate, terminal)
  }
  return text + modesText(terminal, alternate ?? normal)
}

/** Gives this style, whatever was before. */
const styleText = (style: Style): string => `\x1b[${sgrParameters(style)}m`

const moveTo = (row: number, column: number): string => `\x1b[${row + 1};${column + 1}H`

function screenText(buffer: IBuffer, { size: { rows, columns } }: Emulator): string {
  const cell = buffer.getNullCell()
  const next = buffer.getNullCell()
  let text = ''
  let style = ''
  for (let row = 0; row < rows; row++) {
    // Lines above the screen are left when the other screen was never shown before it became smaller.
    const line = buffer.getLine(buffer.baseY + row)
    /** Empty cells that were passed over, and are written only when something follows. */
    let skipped = 0
    let begun = false
    for (let column = 0; column < columns; column++) {
      if (line?.getCell(column, cell) === undefined || cell.getWidth() === 0) continue
      // Of a wide character half is left when a terminal becomes narrower, or something is printed over the other half.
      const other = column + 1 < columns ? line.getCell(column + 1, next) : undefined
      const half = cell.getWidth() === 2 && other?.getWidth() !== 0
      const chars = half ? '' : cell.getChars()
      if (chars === '' && looksEmpty(cell)) {
        skipped++
        continue
      }
      if (!begun) text += moveTo(row, column)
      else if (skipped > 0) text += `\x1b[${skipped}C`
      begun = true
      skipped = 0
      const wanted = styleText(cell)
      if (wanted !== style) text += wanted
      style = wanted
      text += chars === '' ? ' ' : chars
    }
  }
  return text
}

const looksEmpty = (style: Style): boolean =>
  !style.isBgRGB() &&
  !style.isBgPalette() &&
  style.isInverse() === 0 &&
  style.isUnderline() === 0 &&
  style.isOverline() === 0

/** Modes change what printing does, so they come last, and the cursor with them. */
function modesText(terminal: Emulator, buffer: IBuffer): string {
  const { modes, region, lineDrawing, cursorShape } = terminal
  let text = region.whole ? '' : `\x1b[${region.top + 1};${region.bottom + 1}r`
  if (modes.originMode) text += '\x1b[?6h'
  text += cursorText(terminal, buffer)
  text += styleText(terminal.style)
  if (modes.insertMode) text += '\x1b[4h'
  if (!modes.wraparoundMode) text += '\x1b[?7l'
  if (modes.reverseWraparoundMode) text += '\x1b[?45h'
  if (modes.applicationCursorKeysMode) text += '\x1b[?1h'
  if (modes.applicationKeypadMode) text += '\x1b='
  if (modes.bracketedPasteMode) text += '\x1b[?2004h'
  if (modes.sendFocusMode) text += '\x1b[?1004h'
  text += mouseModes[modes.mouseTrackingMode] + (mouseEncodings[terminal.mouseEncoding] ?? '')
  if (lineDrawing.g0) text += '\x1b(0'
  if (lineDrawing.g1) text += '\x1b)0'
  if (lineDrawing.inUse === 1) text += '\x0e'
  if (cursorShape > 0) text += `\x1b[${cursorShape} q`
  if (terminal.cursorHidden) text += '\x1b[?25l'
  return text
}

function cursorText(terminal: Emulator, buffer: IBuffer): string {
  const { columns } = terminal.size
  const { cursorX, cursorY } = buffer
  // With origin mode rows count from the top of the region.
  const row = Math.max(0, terminal.modes.originMode ? cursorY - terminal.region.top : cursorY)
  if (cursorX < columns) return moveTo(row, cursorX)
  // Behind the last column, where only printing a character leads.
  const line = buffer.getLine(buffer.baseY + cursorY)
  const last = line?.getCell(columns - 1)
  const wide = last?.getWidth() === 0
  const cell: IBufferCell | undefined = wide ? line?.getCell(columns - 2) : last
  if (cell === undefined) return moveTo(row, columns - 1)
  return `${moveTo(row, columns - (wide ? 2 : 1))}${styleText(cell)}${cell.getChars() === '' ? ' ' : cell.getChars()}`
}
