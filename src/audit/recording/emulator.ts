/** A terminal without a display, on xterm.js. Some of its state is reached only through internals, which its own add-ons use too. */

import headless, { type IBuffer, type IModes, type Terminal } from '@xterm/headless'
import { guardTerminal } from './guard-terminal.ts'

/** Attributes of a cell, or of what is printed next. */
export interface Style {
  isFgRGB(): boolean | number
  isFgPalette(): boolean | number
  getFgColor(): number
  isBgRGB(): boolean | number
  isBgPalette(): boolean | number
  getBgColor(): number
  isBold(): number
  isDim(): number
  isItalic(): number
  isUnderline(): number
  isBlink(): number
  isInverse(): number
  isInvisible(): number
  isStrikethrough(): number
  isOverline(): number
}

interface Core {
  writeSync(data: string): void
  readonly buffer: { readonly scrollTop: number; readonly scrollBottom: number }
  readonly coreService: {
    readonly isCursorHidden: boolean
    readonly decPrivateModes: { readonly cursorStyle?: 'block' | 'underline' | 'bar'; readonly cursorBlink?: boolean }
  }
  readonly coreMouseService: { readonly activeEncoding: string }
  readonly _charsetService: {
    readonly glevel: number
    readonly _charsets: readonly ({ readonly q?: string } | undefined)[]
  }
  readonly _inputHandler: { readonly _parser: { readonly currentState: number }; readonly _curAttrData: Style }
}

/** Marks that join the character before them: a program can pile up any number on one cell, and xterm.js keeps them all. */
const pile = /([\p{M}\p{Cf}\u1160-\u11ff]{16})[\p{M}\p{Cf}\u1160-\u11ff]+/gu

/** Cells of a terminal; a client may claim 65535 by 65535. */
const MAX_CELLS = 400_000
const MAX_COLUMNS = 2000

export interface Size {
  readonly columns: number
  readonly rows: number
}

/** The size that is emulated for one that a client tells. xterm.js has at least two columns. */
export function emulatedSize({ columns, rows }: Size): Size {
  const width = Math.min(Math.max(columns > 0 ? columns : 80, 2), MAX_COLUMNS)
  return { columns: width, rows: Math.min(rows > 0 ? rows : 24, Math.floor(MAX_CELLS / width)) }
}

/**
 * The pseudo terminal of Windows is named because xterm.js then does not wrap lines anew when the width changes: terminals differ in
 * that, programs draw again anyway, and with no lines above the screen it leaves a state that no text can describe.
 */
export const emulatorOptions = {
  scrollback: 0,
  allowProposedApi: true,
  logLevel: 'off',
  windowsPty: { backend: 'winpty', buildNumber: 1 },
} as const

export class Emulator {
  readonly #terminal: Terminal
  readonly #core: Core

  constructor(size: Size) {
    const { columns: cols, rows } = emulatedSize(size)
    this.#terminal = new headless.Terminal({ cols, rows, ...emulatorOptions })
    guardTerminal(this.#terminal)
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

  /** First and last row of what scrolls, from 0. */
  get region(): { readonly top: number; readonly bottom: number; readonly whole: boolean } {
    const { scrollTop: top, scrollBottom: bottom } = this.#core.buffer
    return { top, bottom, whole: top === 0 && bottom === this.#terminal.rows - 1 }
  }

  get normal(): IBuffer {
    return this.#terminal.buffer.normal
  }

  /** Undefined while the normal one is shown. */
  get alternate(): IBuffer | undefined {
    const { active } = this.#terminal.buffer
    return active.type === 'alternate' ? active : undefined
  }

  get modes(): IModes {
    return this.#terminal.modes
  }

  /** Of what is printed next. */
  get style(): Style {
    return this.#core._inputHandler._curAttrData
  }

  get cursorHidden(): boolean {
    return this.#core.coreService.isCursorHidden
  }

  /** The parameter of DECSCUSR, 0 when it was never set. */
  get cursorShape(): number {
    const { cursorStyle, cursorBlink } = this.#core.coreService.decPrivateModes
    if (cursorStyle === undefined) return 0
    return { block: 2, underline: 4, bar: 6 }[cursorStyle] - (cursorBlink === true ? 1 : 0)
  }

  get mouseEncoding(): string {
    return this.#core.coreMouseService.activeEncoding
  }

  /** Which of the two sets draw lines, and which of them is in use. */
  get lineDrawing(): { readonly g0: boolean; readonly g1: boolean; readonly inUse: number } {
    const { glevel, _charsets } = this.#core._charsetService
    return { g0: _charsets[0]?.q === '─', g1: _charsets[1]?.q === '─', inUse: glevel }
  }

  write(text: string): void {
    this.#core.writeSync(text.replace(pile, '$1'))
  }

  resize(size: Size): void {
    const { columns, rows } = emulatedSize(size)
    if (columns !== this.#terminal.cols || rows !== this.#terminal.rows) this.#terminal.resize(columns, rows)
  }

  close(): void {
    this.#terminal.dispose()
  }
}
