/**
 * A terminal without a display, and its state as text. Built on xterm.js; what its serializer leaves out (scrolling region, hidden
 * cursor, the coding of mouse reports, the cursor with origin mode) is added here, through internals that its own add-ons use too.
 */

import { SerializeAddon } from '@xterm/addon-serialize'
import headless, { type Terminal } from '@xterm/headless'
import { guardTerminal } from '../../audit/recording/guard-terminal.ts'

interface Core {
  writeSync(data: string): void
  readonly buffer: { readonly scrollTop: number; readonly scrollBottom: number; readonly x: number; readonly y: number }
  readonly coreService: {
    readonly isCursorHidden: boolean
    readonly decPrivateModes: { readonly origin: boolean; readonly wraparound: boolean }
  }
  readonly coreMouseService: { readonly activeEncoding: string }
  readonly _inputHandler: { readonly _parser: { readonly currentState: number } }
}

/** Marks that join the character before them: a program can pile up any number on one cell, and xterm.js keeps them all. */
const pile = /([\p{M}\p{Cf}\u1160-\u11ff]{16})[\p{M}\p{Cf}\u1160-\u11ff]+/gu

/** Cells of a terminal; a client may claim 65535 by 65535. */
const MAX_CELLS = 400_000
const MAX_COLUMNS = 2000
const mouseEncodings: Readonly<Record<string, string>> = { SGR: '\x1b[?1006h', SGR_PIXELS: '\x1b[?1016h' }

export interface Size {
  readonly columns: number
  readonly rows: number
}

/** The size that is emulated for one that a client tells. xterm.js has at least two columns. */
export function emulatedSize({ columns, rows }: Size): Size {
  const width = Math.min(Math.max(columns > 0 ? columns : 80, 2), MAX_COLUMNS)
  return { columns: width, rows: Math.min(rows > 0 ? rows : 24, Math.floor(MAX_CELLS / width)) }
}

export class Emulator {
  readonly #terminal: Terminal
  readonly #serializer = new SerializeAddon()
  readonly #core: Core

  constructor(size: Size) {
    const { columns: cols, rows } = emulatedSize(size)
    this.#terminal = new headless.Terminal({ cols, rows, scrollback: 0, allowProposedApi: true, logLevel: 'off' })
    guardTerminal(this.#terminal)
    this.#terminal.loadAddon(this.#serializer)
    // Titles and links are of no use here, and both are kept without a limit otherwise.
    for (const code of [0, 1, 2, 8]) this.#terminal.parser.registerOscHandler(code, () => true)
    const { _core } = this.#terminal as unknown as { readonly _core: Core }
    this.#core = _core
  }

  get size(): Size {
    return { columns: this.#terminal.cols, rows: this.#terminal.rows }
  }

  /** Not within an escape sequence. */
  get atRest(): boolean {
    return this.#core._inputHandler._parser.currentState === 0
  }

  /** A line feed at the bottom moves every line of the screen. */
  get scrollsWhole(): boolean {
    const { scrollTop, scrollBottom } = this.#core.buffer
    return scrollTop === 0 && scrollBottom === this.#terminal.rows - 1
  }

  write(text: string): void {
    this.#core.writeSync(text.replace(pile, '$1'))
  }

  resize(size: Size): void {
    const { columns, rows } = emulatedSize(size)
    if (columns !== this.#terminal.cols || rows !== this.#terminal.rows) this.#terminal.resize(columns, rows)
  }

  /** Text that puts an empty terminal of this size into the present state. */
  serialize(): string {
    const { buffer, coreService, coreMouseService } = this.#core
    let text = this.#serializer.serialize()
    const { origin } = coreService.decPrivateModes
    if (origin || !this.scrollsWhole) {
      if (!this.scrollsWhole) text += `\x1b[${buffer.scrollTop + 1};${buffer.scrollBottom + 1}r`
      // Both of them sent the cursor home. With origin mode it counts from the top of the region.
      const row = origin ? buffer.y - buffer.scrollTop : buffer.y
      text += `\x1b[${Math.max(0, row) + 1};${Math.min(buffer.x, this.#terminal.cols - 1) + 1}H`
    }
    text += mouseEncodings[coreMouseService.activeEncoding] ?? ''
    if (coreService.isCursorHidden) text += '\x1b[?25l'
    return text
  }

  close(): void {
    this.#terminal.dispose()
  }
}
