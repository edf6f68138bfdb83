/** A screen as a small picture. */

import type { IBufferCell } from '@xterm/headless'
import type { Screen } from '../../../src/audit/recording/screen.ts'

/** xterm's own sixteen, readable on the dark. */
const basic = [
  '#2e3436',
  '#e06c75',
  '#98c379',
  '#e5c07b',
  '#61afef',
  '#c678dd',
  '#56b6c2',
  '#d3d7cf',
  '#6b7785',
  '#f28b93',
  '#b5e08f',
  '#f5d791',
  '#82c4ff',
  '#dd9bef',
  '#7fd6e0',
  '#ffffff',
] as const
const background = '#0d1217'
const foreground = '#dfe4ea'
/** Pixels of a cell; the page makes the picture smaller. */
export const cellWidth = 5
const cellHeight = 10
/** Cells that are drawn: of a larger screen the upper left, of an empty one enough to look like a screen. */
const most = { columns: 132, rows: 50 }
const least = { columns: 56, rows: 16 }

/** Of 256: the sixteen, a cube of six values each, greys. */
export function paletteColour(index: number): string {
  if (index < 16) return basic[index] ?? foreground
  if (index >= 232) return rgb(...([0, 0, 0].map(() => 8 + (index - 232) * 10) as [number, number, number]))
  const at = index - 16
  const level = (value: number) => (value === 0 ? 0 : 55 + value * 40)
  return rgb(level(Math.floor(at / 36)), level(Math.floor(at / 6) % 6), level(at % 6))
}

const rgb = (red: number, green: number, blue: number): string => `rgb(${red} ${green} ${blue})`
const split = (colour: number): string => rgb((colour >>> 16) & 255, (colour >>> 8) & 255, colour & 255)

function foregroundOf(cell: IBufferCell): string {
  if (cell.isFgRGB()) return split(cell.getFgColor())
  return cell.isFgPalette() ? paletteColour(cell.getFgColor()) : foreground
}
function backgroundOf(cell: IBufferCell): string {
  if (cell.isBgRGB()) return split(cell.getBgColor())
  return cell.isBgPalette() ? paletteColour(cell.getBgColor()) : background
}

/** What is drawn of a screen: as far as something stands on it, or it would be a dark picture with a speck in a corner. */
export function shownPart(screen: Pick<Screen, 'columns' | 'rows' | 'lines'>): { columns: number; rows: number } {
  const lines = screen.lines()
  const last = lines.findLastIndex((line) => line !== '') + 1
  const widest = Math.max(0, ...lines.map((line) => line.length))
  const between = (low: number, value: number, high: number) => Math.min(Math.max(low, value), high)
  return {
    columns: between(Math.min(least.columns, screen.columns), widest, Math.min(screen.columns, most.columns)),
    rows: between(Math.min(least.rows, screen.rows), last, Math.min(screen.rows, most.rows)),
  }
}

/** Draws the screen; nothing of the recorded bytes but characters and colours reaches the picture. */
export function drawScreen(canvas: HTMLCanvasElement, screen: Screen): void {
  const { columns, rows } = shownPart(screen)
  canvas.width = columns * cellWidth
  canvas.height = rows * cellHeight
  const picture = canvas.getContext('2d')
  if (picture === null) return
  picture.fillStyle = background
  picture.fillRect(0, 0, canvas.width, canvas.height)
  picture.font = `${cellHeight - 2}px ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace`
  picture.textBaseline = 'middle'
  for (let row = 0; row < rows; row++) {
    screen.eachCell(row, (cell, column) => {
      const width = cell.getWidth()
      if (column >= columns || width === 0) return
      const [front, back] = cell.isInverse()
        ? [backgroundOf(cell), foregroundOf(cell)]
        : [foregroundOf(cell), backgroundOf(cell)]
      const [x, y] = [column * cellWidth, row * cellHeight]
      if (back !== background) {
        picture.fillStyle = back
        picture.fillRect(x, y, width * cellWidth, cellHeight)
      }
      const chars = cell.getChars()
      if (chars === '' || chars === ' ' || cell.isInvisible()) return
      picture.fillStyle = front
      // A character of any width stays in its cell.
      picture.fillText(chars, x, y + cellHeight / 2, width * cellWidth)
    })
  }
}
