/**
 * One row of a recorded screen as text for the viewer's terminal. Nothing of the recorded bytes passes: a row is made of printable
 * characters, colours and attributes that were read from cells, and moves to a column.
 */

import type { IBufferCell } from '@xterm/headless'
import type { Screen } from '../../../audit/recording/screen.ts'
import { sgrParameters } from '../../../audit/recording/sgr.ts'

/** Code points of one cell that are shown; a base character with more marks than any script has is an attack. */
const maxMarks = 8
const unsafe = /[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu

/** What may stand for a cell. Controls, direction changes and zero-width characters are left out. */
function safeCell(chars: string): string {
  if (chars.length === 1 && chars >= ' ' && chars <= '~') return chars
  const clean = [...chars.slice(0, 64).toWellFormed().replace(unsafe, '')].slice(0, maxMarks).join('')
  // A mark alone would land on what stands before it.
  return clean === '' || /^[\p{Mn}\p{Me}]/u.test(clean) ? ' ' : clean
}

const attributes = (cell: IBufferCell): string => (cell.isAttributeDefault() ? '0' : sgrParameters(cell))

/**
 * Columns `left` to `left + width` of a row, to be written at the first column of an erased line. After each character that the
 * viewer's terminal may count differently from ours, the next column is named.
 */
export function rowText(screen: Screen, row: number, left: number, width: number): string {
  let text = ''
  let current = '0'
  /** Blank cells so far that are only written when something follows. */
  let blanks = 0
  let moved = false
  screen.eachCell(row, (cell, column) => {
    const at = column - left
    const cellWidth = cell.getWidth()
    if (at < 0 || at >= width || (cellWidth === 0 && at > 0)) return
    // Half of a wide character, cut by the edge, is shown as a blank.
    const cut = at + cellWidth > width || cellWidth === 0
    const chars = cut ? ' ' : safeCell(cell.getChars())
    const wanted = attributes(cell)
    if (chars === ' ' && wanted === '0') {
      blanks++
      return
    }
    if (!moved && current === '0' && blanks < 8) text += ' '.repeat(blanks)
    // The row was erased before: blanks are skipped where writing them would need a change of attributes.
    else if (at > 0) text += `\u001b[${at + 1}G`
    blanks = 0
    if (wanted !== current) text += `\u001b[${wanted}m`
    current = wanted
    text += chars
    moved = cellWidth !== 1 || chars.length !== 1 || chars > '~'
  })
  return current === '0' ? text : `${text}\u001b[0m`
}
