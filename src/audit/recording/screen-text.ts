/**
 * Lines of plain text from what a program printed, for searching. No terminal: the line under the cursor is followed (overwriting,
 * backspace, erasing), and whatever goes to another row ends it. Source of the sequences: ECMA-48 and xterm's ctlseqs.
 */

import { stripControl } from '../../common/text.ts'

/** Characters; what is longer goes on as another line. */
export const MAX_LINE = 1024
const LONGEST_WORD = 64
/** Characters of a command sequence's parameters. */
const MAX_PARAMETERS = 64
/** Characters of an operating system command or the like (titles, pictures): one that does not end must not hide the rest. */
const MAX_STRING = 1024 * 1024

type Mode = 'text' | 'escape' | 'charset' | 'skip one' | 'command' | 'string' | 'string escape'

/** All there is to remember from one chunk to the next; JSON. */
export interface ScreenTextState {
  readonly mode: Mode
  readonly parameters: string
  readonly skipped: number
  readonly line: string
  readonly column: number
  readonly atMs: number
  readonly graphics: boolean
}

const WORDS = /[\p{L}\p{N}]/u
/** Frames and blocks, drawn for the eye. */
const DRAWN = /[\u2500-\u259f]/g
/** What most output is made of, taken as a whole: characters that are printed as they are, and colours. */
const PRINTED = /[\x20-\x7e]+/y
const COLOURS = /(?:\x1b\[[\d;:]*m)+/y
const ROWS = new Set(['A', 'B', 'E', 'F', 'H', 'f', 'd', 'J', 'L', 'M', 'S', 'T', 'r'])

export class ScreenText {
  readonly #onLine: (atMs: number, text: string) => void
  #mode: Mode = 'text'
  #parameters = ''
  #skipped = 0
  /** The line, one character each; empty while the line is in `#whole`. */
  #cells: string[] = []
  /** The line as long as nothing but printable ASCII was added to its end: most never need cells. */
  #whole = ''
  #column = 0
  #atMs = 0
  #graphics = false

  /** `onLine` gets the time at which the line's last character came. */
  constructor(onLine: (atMs: number, text: string) => void, state?: ScreenTextState) {
    this.#onLine = onLine
    if (state === undefined) return
    this.#mode = state.mode
    this.#parameters = state.parameters
    this.#skipped = state.skipped
    this.#cells = [...state.line]
    this.#column = state.column
    this.#atMs = state.atMs
    this.#graphics = state.graphics
  }

  get state(): ScreenTextState {
    return {
      mode: this.#mode,
      parameters: this.#parameters,
      skipped: this.#skipped,
      line: this.#whole === '' ? this.#cells.join('') : this.#whole,
      column: this.#column,
      atMs: this.#atMs,
      graphics: this.#graphics,
    }
  }

  feed(atMs: number, data: string): void {
    for (let at = 0; at < data.length; ) {
      const next = this.#mode === 'text' && !this.#graphics ? this.#skim(data, at, atMs) : at
      if (next > at) {
        at = next
        continue
      }
      const char = String.fromCodePoint(data.codePointAt(at) ?? 0)
      this.#take(char, atMs)
      at += char.length
    }
  }

  /** Ends the line that is under way. */
  flush(): void {
    const text =
      this.#whole === ''
        ? stripControl(this.#cells.join('').replace(DRAWN, ' ')).replaceAll(/\s+/g, ' ').trim()
        : this.#whole.replaceAll(/ {2,}/g, ' ').trim()
    this.#whole = ''
    if (this.#cells.length > 0) this.#cells = []
    if (WORDS.test(text)) this.#onLine(this.#atMs, text)
  }

  /** Takes what is usual at once; where that ends. */
  #skim(data: string, from: number, atMs: number): number {
    const pattern = data.charCodeAt(from) === 0x1b ? COLOURS : PRINTED
    pattern.lastIndex = from
    if (!pattern.test(data)) return from
    const end = pattern.lastIndex
    if (pattern === COLOURS) return end
    const column = this.#column + end - from
    if (column > MAX_LINE || this.#cells.length > 0 || this.#column < this.#whole.length) {
      for (let at = from; at < end; at++) this.#print(data.charAt(at), atMs)
      return end
    }
    this.#whole = this.#whole.padEnd(this.#column) + data.slice(from, end)
    this.#column = column
    this.#atMs = atMs
    return end
  }

  /** For whatever changes the middle of a line. */
  #row(): string[] {
    if (this.#whole !== '') this.#cells = [...this.#whole]
    this.#whole = ''
    return this.#cells
  }

  #take(char: string, atMs: number): void {
    switch (this.#mode) {
      case 'text':
        this.#text(char, atMs)
        break
      case 'escape':
        this.#escape(char)
        break
      case 'charset':
        this.#graphics = char === '0'
        this.#mode = 'text'
        break
      case 'skip one':
        this.#mode = 'text'
        break
      case 'command':
        this.#command(char, atMs)
        break
      case 'string':
        this.#string(char)
        break
      case 'string escape':
        // Only a backslash ends it properly; anything else begins another sequence.
        if (char === '\\') this.#mode = 'text'
        else this.#escape(char)
        break
    }
  }

  #text(char: string, atMs: number): void {
    const code = char.codePointAt(0) ?? 0
    if (code >= 0xa0 || (code >= 0x20 && code < 0x7f)) {
      this.#print(this.#graphics && code >= 0x60 && code < 0x7f ? ' ' : char, atMs)
    } else if (code === 0x1b) this.#mode = 'escape'
    else if (code === 0x0d) this.#column = 0
    else if (code === 0x08) this.#column = Math.max(0, this.#column - 1)
    else if (code === 0x09) this.#move(this.#column + 8 - (this.#column % 8))
    else if ((code >= 0x0a && code <= 0x0c) || code === 0x84 || code === 0x85) this.flush()
    else if (code === 0x9b) this.#begin('command')
    else if (code === 0x90 || code === 0x98 || (code >= 0x9d && code <= 0x9f)) this.#begin('string')
  }

  #print(char: string, atMs: number): void {
    if (this.#column >= MAX_LINE) this.#split()
    const cells = this.#row()
    while (cells.length < this.#column) cells.push(' ')
    cells[this.#column] = char
    this.#column++
    this.#atMs = atMs
  }

  /** Between words where that is possible, so that each is found. */
  #split(): void {
    const cells = this.#row()
    const space = cells.lastIndexOf(' ')
    const rest = space >= MAX_LINE - LONGEST_WORD ? cells.splice(space + 1) : []
    this.flush()
    this.#cells = rest
    this.#column = rest.length
  }

  #move(column: number): void {
    this.#column = Math.min(Math.max(0, column), MAX_LINE)
  }

  #begin(mode: 'command' | 'string'): void {
    this.#mode = mode
    this.#parameters = ''
    this.#skipped = 0
  }

  #escape(char: string): void {
    this.#mode = 'text'
    if (char === '[') this.#begin('command')
    else if (']PX^_'.includes(char)) this.#begin('string')
    else if (char === '(') this.#mode = 'charset'
    else if (')*+-./#% '.includes(char)) this.#mode = 'skip one'
    else if (char === '\u001b') this.#mode = 'escape'
    else if ('cDEM'.includes(char)) {
      this.flush()
      if (char === 'E' || char === 'c') this.#column = 0
      if (char === 'c') this.#graphics = false
    }
  }

  #string(char: string): void {
    const ended = char === '\u0007' || char === '\u009c' || char === '\u0018' || char === '\u001a'
    if (ended || ++this.#skipped > MAX_STRING) this.#mode = 'text'
    else if (char === '\u001b') this.#mode = 'string escape'
  }

  #command(char: string, atMs: number): void {
    const code = char.codePointAt(0) ?? 0
    if (code >= 0x40 && code <= 0x7e) {
      this.#mode = 'text'
      // Those with a prefix or an intermediate do other things than their plain namesakes.
      if (/^[\d;:]*$/.test(this.#parameters)) this.#run(char)
    } else if (code >= 0x20 && code < 0x40) {
      if (this.#parameters.length < MAX_PARAMETERS) this.#parameters += char
    } else if (code === 0x1b) this.#mode = 'escape'
    else if (code === 0x18 || code === 0x1a || code > 0x7e) this.#mode = 'text'
    else {
      // Control characters inside a sequence act at once.
      this.#text(char, atMs)
    }
  }

  #run(final: string): void {
    const [first = 0, second = 0] = this.#parameters.split(/[;:]/).map((part) => Math.min(Number(part) || 0, MAX_LINE))
    const count = Math.max(1, first)
    if (ROWS.has(final)) {
      this.flush()
      if (final === 'E' || final === 'F') this.#column = 0
      if (final === 'H' || final === 'f') this.#move(Math.max(1, second) - 1)
    } else if (final === 'C' || final === 'a') this.#move(this.#column + count)
    else if (final === 'D') this.#move(this.#column - count)
    else if (final === 'G' || final === '`') this.#move(count - 1)
    else if (final === 'K') this.#erase(first)
    else if (final === 'X') this.#blank(this.#column, this.#column + count)
    else if (final === 'P') this.#row().splice(this.#column, count)
    else if (final === '@') this.#insert(count)
  }

  #insert(count: number): void {
    const cells = this.#row()
    const room = Math.min(count, MAX_LINE - cells.length)
    if (room > 0 && this.#column < cells.length) {
      cells.splice(this.#column, 0, ...Array.from({ length: room }, () => ' '))
    }
  }

  #erase(how: number): void {
    // Nothing is there: after colours, some programs do this in each line.
    if (how === 0 && this.#cells.length === 0 && this.#column >= this.#whole.length) return
    const cells = this.#row()
    if (how === 0) cells.length = Math.min(cells.length, this.#column)
    else if (how === 1) this.#blank(0, this.#column + 1)
    else if (how === 2) this.#cells = []
  }

  #blank(from: number, to: number): void {
    const cells = this.#row()
    for (let at = from; at < Math.min(to, cells.length); at++) cells[at] = ' '
  }
}

/** Feeds the output lines of a chunk. A line that is not asciicast is passed over. */
export function feedChunk(screen: ScreenText, text: string): void {
  for (const line of text.split('\n')) {
    if (!line.startsWith('[')) continue
    try {
      const [seconds, code, data] = JSON.parse(line) as readonly unknown[]
      if (code !== 'o' || typeof data !== 'string' || typeof seconds !== 'number') continue
      screen.feed(Math.max(0, Math.round(seconds * 1000)), data)
    } catch {
      // Nothing to find in it.
    }
  }
}
