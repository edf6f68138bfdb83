/** A recorded screen in the viewer's terminal, with the line at the bottom and the help over it. */

import type { PlayerState } from '../../../audit/recording/play/player.ts'
import { Screen } from '../../../audit/recording/screen.ts'
import { Painter, type Size } from './painter.ts'
import { helpRows, statusLine } from './status.ts'

export interface DisplayOptions {
  /** Of the recording. */
  readonly size: Size
  readonly view: Size
  /** Resolves when the terminal has taken it. */
  write(text: string): Promise<void>
}

export class Display {
  readonly screen: Screen
  readonly #painter: Painter
  readonly #write: DisplayOptions['write']

  constructor({ size, view, write }: DisplayOptions) {
    this.screen = new Screen(size.columns, size.rows)
    this.#painter = new Painter(view)
    this.#write = write
  }

  /** The viewer's terminal changed its size, or was used by something else meanwhile. */
  resize(view: Size): void {
    this.#painter.resize(view)
  }

  async paint(state: PlayerState): Promise<void> {
    const frame = this.#painter.frame(this.screen, this.#overlay(state))
    if (frame !== '') await this.#write(frame)
  }

  #overlay(state: PlayerState): ReadonlyMap<number, string> {
    const { columns, rows } = this.#painter.view
    const overlay = state.help ? helpRows({ columns, rows }) : new Map<number, string>()
    if (state.noticed) overlay.set(rows - 1, statusLine(state, columns))
    return overlay
  }
}
