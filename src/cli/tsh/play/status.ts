/** What the player says about itself: the line at the bottom, and the help. */

import { clockTime } from '../../../audit/recording/play/clock-time.ts'
import type { PlayerState } from '../../../audit/recording/play/player.ts'
import { displayWidth, stripControl, truncate } from '../../../common/text.ts'
import { keyHelp } from './keys.ts'
import type { Size } from './painter.ts'

/** One row of that width, in reverse video. */
export function statusLine(state: PlayerState, columns: number): string {
  const { positionMs, durationMs, speed, skipIdle, note } = state
  const total = clockTime(Math.max(durationMs, positionMs))
  const left = ` ${state.state}  ${clockTime(positionMs)} / ${total}  ${speed}x${skipIdle ? '  skips idle' : ''}`
  const middle =
    note === undefined ? '' : `  * ${truncate(stripControl(note), Math.max(4, columns - left.length - 16))}`
  const right = '  ? help '
  return `\u001b[0;7m${toWidth(left + middle, columns, right)}\u001b[0m`
}

/** Text, blanks, and `right` where there is room for it. */
function toWidth(text: string, columns: number, right: string): string {
  const room = columns - displayWidth(text)
  if (room >= right.length) return text + ' '.repeat(room - right.length) + right
  if (room >= 0) return text + ' '.repeat(room)
  let cut = ''
  let width = 0
  for (const char of text) {
    width += displayWidth(char)
    if (width > columns) break
    cut += char
  }
  return cut
}

/** The keys, as rows in the middle of the terminal. */
export function helpRows({ columns, rows }: Size): Map<number, string> {
  const lines = ['', ...keyHelp, '', 'any key: back'].slice(0, Math.max(1, rows))
  const top = Math.max(0, Math.floor((rows - lines.length) / 2))
  return new Map(lines.map((line, index) => [top + index, `\u001b[0;7m${toWidth(`  ${line}`, columns, '')}\u001b[0m`]))
}
