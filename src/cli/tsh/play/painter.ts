/** Keeps the viewer's terminal equal to a recorded screen by writing the rows that changed. */

import type { Screen } from '../../../audit/recording/screen.ts'
import { rowText } from './row-text.ts'

export interface Size {
  readonly columns: number
  readonly rows: number
}

export class Painter {
  #view: Size
  /** What each row of the viewer's terminal shows. */
  #shown: string[] = []
  #cursor = ''
  #left = 0
  #top = 0

  constructor(view: Size) {
    this.#view = view
  }

  /** The viewer's terminal has another size, or shows something else: everything is written again. */
  resize(view: Size): void {
    this.#view = view
    this.#shown = []
    this.#cursor = ''
  }

  get view(): Size {
    return this.#view
  }

  /**
   * What to write so that the terminal shows the screen; empty when it does already. `overlay`: rows that cover it, by their number,
   * which must be plain text and attributes.
   */
  frame(screen: Screen, overlay: ReadonlyMap<number, string> = new Map()): string {
    this.#follow(screen)
    let text = this.#shown.length === 0 ? '\u001b[0m\u001b[2J' : ''
    for (let row = 0; row < this.#view.rows; row++) {
      const wanted = overlay.get(row) ?? this.#row(screen, row + this.#top)
      const shown = this.#shown[row] ?? ''
      if (wanted !== shown) text += `\u001b[${row + 1};1H\u001b[0m\u001b[K${wanted}`
      this.#shown[row] = wanted
    }
    const cursor = this.#cursorAt(screen, overlay)
    if (text === '' && cursor === this.#cursor) return ''
    const hide = this.#cursor.endsWith('h') && text !== '' ? '\u001b[?25l' : ''
    this.#cursor = cursor
    return `${hide}${text}${cursor}`
  }

  #row(screen: Screen, row: number): string {
    return row < screen.rows ? rowText(screen, row, this.#left, this.#view.columns) : ''
  }

  /** A recording larger than the terminal shows the part around its cursor, the upper left as long as that is in it. */
  #follow(screen: Screen): void {
    const { column, row, visible } = screen.cursor
    const [mostLeft, mostTop] = [screen.columns - this.#view.columns, screen.rows - this.#view.rows]
    if (visible) {
      this.#left = column < this.#view.columns ? 0 : column - this.#view.columns + 1
      if (row < this.#view.rows) this.#top = 0
      else if (row < this.#top || row >= this.#top + this.#view.rows) this.#top = row - this.#view.rows + 1
    }
    this.#left = Math.max(0, Math.min(this.#left, mostLeft))
    this.#top = Math.max(0, Math.min(this.#top, mostTop))
  }

  #cursorAt(screen: Screen, overlay: ReadonlyMap<number, string>): string {
    const { column, row, visible } = screen.cursor
    const [x, y] = [column - this.#left, row - this.#top]
    const inside = x >= 0 && x < this.#view.columns && y >= 0 && y < this.#view.rows
    return visible && inside && !overlay.has(y) ? `\u001b[${y + 1};${x + 1}H\u001b[?25h` : '\u001b[?25l'
  }
}
