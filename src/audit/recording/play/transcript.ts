/**
 * A session as plain text: the lines as they scrolled by, without anything a terminal would act on. What was on the screen when it
 * was cleared counts as scrolled by, and of a full-screen program the last that it showed.
 */

import type { IBuffer, IMarker } from '@xterm/headless'
import { stripControl } from '../../../common/text.ts'
import type { CastEntry, CastHeader } from '../cast-entry.ts'
import { Screen } from '../screen.ts'
import type { Writer } from './writer.ts'

/** Characters that are interpreted before lines are taken from the scrollback; each may be a line feed. */
const slice = 8192
/** Characters of one line; a longer one is broken. */
const maxLine = 64 * 1024
/** Private modes that switch between the screens, xterm's 47, 1047 and 1049. */
const alternate = [47, 1047, 1049]

export class Transcript implements Writer {
  #screen = new Screen(80, 24, slice + 500)
  #lines: string[] = []
  /** A line whose rest is on the next row. */
  #open = ''
  /** The first line that was not taken yet. */
  #top: IMarker | undefined
  #text = ''

  head({ columns, rows }: CastHeader): string {
    this.#screen.dispose()
    this.#screen = new Screen(columns, rows, slice + 500)
    const { parser } = this.#screen.terminal
    parser.registerCsiHandler({ final: 'J' }, (params) => {
      const { column, row } = this.#screen.cursor
      const whole = params[0] === 2 || ((params[0] === undefined || params[0] === 0) && column === 0 && row === 0)
      if (whole && !this.#alternate) this.#takeScreen()
      return false
    })
    parser.registerEscHandler({ final: 'c' }, () => {
      this.#takeScreen()
      return false
    })
    parser.registerCsiHandler({ prefix: '?', final: 'h' }, (params) => {
      // What stands there now came before what the full-screen program will show.
      if (!this.#alternate && params.some((mode) => alternate.includes(Number(mode)))) this.#takeToCursor()
      return false
    })
    parser.registerCsiHandler({ prefix: '?', final: 'l' }, (params) => {
      if (this.#alternate && params.some((mode) => alternate.includes(Number(mode)))) this.#takeScreen()
      return false
    })
    this.#mark()
    return ''
  }

  async entry(entry: CastEntry): Promise<string> {
    if (entry.type === 'output') {
      this.#text += entry.text
      return this.#text.length < slice ? '' : await this.#flush()
    }
    if (entry.type !== 'resize') return ''
    await this.#interpret()
    this.#screen.resize(entry.columns, entry.rows)
    return this.#collected()
  }

  async tail(): Promise<string> {
    await this.#interpret()
    // A program that never left is made to, so that what it shows is taken as ever.
    if (this.#alternate) await this.#screen.write('\u001b[?1049l')
    this.#takeScreen()
    this.#screen.dispose()
    return this.#collected()
  }

  get #alternate(): boolean {
    return this.#screen.terminal.buffer.active.type === 'alternate'
  }

  async #flush(): Promise<string> {
    await this.#interpret()
    return this.#collected()
  }

  async #interpret(): Promise<void> {
    const text = this.#text
    this.#text = ''
    for (let at = 0; at < text.length; at += slice) {
      await this.#screen.write(text.slice(at, at + slice))
      this.#takeScrolled()
    }
  }

  #collected(): string {
    const text = this.#lines.map((line) => `${line}\n`).join('')
    this.#lines = []
    return text
  }

  /** Lines that left the screen by scrolling. */
  #takeScrolled(): void {
    if (!this.#alternate) this.#takeTo(this.#screen.terminal.buffer.normal.baseY)
  }

  #takeToCursor(): void {
    const { baseY, cursorY } = this.#screen.terminal.buffer.normal
    this.#takeTo(baseY + cursorY)
  }

  #takeTo(end: number): void {
    const from = this.#top === undefined || this.#top.isDisposed ? 0 : Math.max(0, this.#top.line)
    for (let index = from; index < end; index++) this.#take(index)
    if (from < end) this.#mark(end)
  }

  /** The lines above and those of the screen, which is about to be replaced. */
  #takeScreen(): void {
    const buffer = this.#screen.terminal.buffer.active
    const end = buffer.baseY + lastUsed(buffer, this.#screen.rows) + 1
    if (this.#alternate) for (let index = 0; index < end; index++) this.#take(index)
    else this.#takeTo(end)
    if (this.#open !== '') this.#close('')
    if (!this.#alternate) this.#mark(buffer.baseY)
  }

  #take(index: number): void {
    const buffer = this.#screen.terminal.buffer.active
    const goesOn = buffer.getLine(index + 1)?.isWrapped === true && this.#open.length < maxLine
    const text = buffer.getLine(index)?.translateToString(!goesOn) ?? ''
    if (goesOn) this.#open += text
    else this.#close(text)
  }

  #close(text: string): void {
    this.#lines.push(stripControl(this.#open + text).trimEnd())
    this.#open = ''
  }

  /** `line`: the first that is not taken yet. */
  #mark(line = 0): void {
    const { baseY, cursorY } = this.#screen.terminal.buffer.normal
    this.#top?.dispose()
    this.#top = this.#screen.terminal.registerMarker(line - baseY - cursorY)
  }
}

/** The last row of the screen that is not empty, or -1. */
function lastUsed(buffer: IBuffer, rows: number): number {
  let last = -1
  for (let row = 0; row < rows; row++) {
    if ((buffer.getLine(buffer.baseY + row)?.translateToString(true) ?? '') !== '') last = row
  }
  return last
}
