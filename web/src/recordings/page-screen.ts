/**
 * The recorded terminal in the page. What was recorded is hostile until proven otherwise: it gets no link, no clipboard, no title, no
 * answer to its questions, no size and no count that would cost more than a screen is worth, and it cannot take the mouse away.
 */

import { type ITheme, Terminal } from '@xterm/xterm'
import { emulatedSize, emulatorOptions } from '../../../src/audit/recording/emulator.ts'
import { guardTerminal } from '../../../src/audit/recording/guard-terminal.ts'
import type { PlayScreen } from '../../../src/audit/recording/play/player.ts'

/** Titles, links, notifications, clipboard, and what programs use to talk to a shell's terminal. */
const ignoredCommands = [0, 1, 2, 7, 8, 9, 52, 99, 133, 633, 777, 1337]
/** Reports of the mouse and of the focus: they would take the selection of text away, and nobody reads them. */
const mouseModes: readonly unknown[] = [9, 1000, 1001, 1002, 1003, 1004, 1005, 1006, 1015, 1016]
/** Characters that are interpreted without a pause. */
const piece = 4096
/** Pixels. */
/** Between sizes of text that are tried. */
const step = 0.25
const smallest = 6
const largest = 22

export interface Room {
  readonly width: number
  readonly height: number
}

export class PageScreen implements PlayScreen {
  readonly #terminal: Terminal
  readonly #parent: HTMLElement
  #room: Room

  constructor(
    parent: HTMLElement,
    options: { columns: number; rows: number; theme: ITheme; label: string; room: Room },
  ) {
    const size = emulatedSize(options)
    this.#parent = parent
    this.#room = options.room
    this.#terminal = new Terminal({
      ...emulatorOptions,
      cols: size.columns,
      rows: size.rows,
      disableStdin: true,
      cursorBlink: false,
      cursorInactiveStyle: 'block',
      fontFamily: 'ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace',
      fontSize: 14,
      theme: options.theme,
      minimumContrastRatio: 4.5,
      linkHandler: { activate: () => undefined },
    })
    guardTerminal(this.#terminal)
    const { parser } = this.#terminal
    for (const code of ignoredCommands) parser.registerOscHandler(code, () => true)
    parser.registerCsiHandler({ prefix: '?', final: 'h' }, (modes) => modes.every((mode) => mouseModes.includes(mode)))
    this.#terminal.open(parent)
    // Keys are the player's.
    this.#terminal.attachCustomKeyEventHandler(() => false)
    this.#terminal.attachCustomWheelEventHandler(() => false)
    this.#terminal.textarea?.setAttribute('tabindex', '-1')
    this.#terminal.textarea?.setAttribute('aria-label', options.label)
    this.#fit()
  }

  write(text: string): Promise<void> {
    for (let at = 0; at + piece < text.length; at += piece) this.#terminal.write(text.slice(at, at + piece))
    const last = text.length === 0 ? 0 : text.length - (text.length % piece || piece)
    return new Promise((resolve) => this.#terminal.write(text.slice(last), resolve))
  }

  resize(columns: number, rows: number): void {
    const size = emulatedSize({ columns, rows })
    if (size.columns === this.#terminal.cols && size.rows === this.#terminal.rows) return
    this.#terminal.resize(size.columns, size.rows)
    this.#fit()
  }

  reset(): void {
    this.#terminal.reset()
  }

  /** The place for it has another size. */
  fit(room: Room): void {
    this.#room = room
    this.#fit()
  }

  set theme(theme: ITheme) {
    this.#terminal.options.theme = theme
  }

  /** What is selected, or all that is shown. */
  text(): string {
    if (this.#terminal.hasSelection()) return this.#terminal.getSelection()
    const { active } = this.#terminal.buffer
    const lines = Array.from(
      { length: this.#terminal.rows },
      (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? '',
    )
    return lines.join('\n').trimEnd()
  }

  dispose(): void {
    this.#terminal.dispose()
  }

  /** The largest text with which all of it can be seen. */
  #fit(): void {
    const drawn = this.#parent.querySelector<HTMLElement>('.xterm-screen')
    const now = this.#terminal.options.fontSize ?? 14
    if (drawn === null || drawn.offsetWidth === 0) return
    const { width, height } = this.#room
    const scale = Math.min(width / drawn.offsetWidth, height / drawn.offsetHeight)
    const { options } = this.#terminal
    let wanted = Math.min(largest, Math.max(smallest, Math.floor((now * scale) / step) * step))
    if (wanted !== now) options.fontSize = wanted
    // Cells are whole pixels high, so that the text may be a little larger than its share.
    while (wanted > smallest && (drawn.offsetWidth > width || drawn.offsetHeight > height)) {
      wanted -= step
      options.fontSize = wanted
    }
  }
}
