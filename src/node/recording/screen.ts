/**
 * What a session's terminal shows now, for those who join and for keyframes. Costs little as long as nobody asks: output waits as
 * text, and of a flood only what can still be on the screen is ever interpreted.
 */

import { Emulator, type Size } from '../../audit/recording/emulator.ts'
import { serialize } from '../../audit/recording/serialize.ts'

/** Characters that wait before they are interpreted. */
const MAX_WAITING = 64 * 1024

const colours = /\x1b\[[0-9;:]*m/g
/** An escape sequence of which the rest may follow. */
const unfinished = /\x1b[^a-zA-Z\x1b]{0,32}$/
/** What `lastUnusual` looks for: in a flood there is none, and an expression says so in a fifth of the time of a loop. */
const unusual = /[\x00-\x06\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9:;]*[mK])/
/**
 * The same in a line of a recording, where JSON has written control characters as names or numbers: a third of the time again, because
 * almost all of the text is passed over in steps. It may find too much.
 */
const unusualInLine = /\\u00(?!1b\[[0-9:;]*[mK])|\\[bf]|\x7f/

/** Whether all of the ASCII output in that line is usual, as `lastUnusual` means it, and no escape sequence is cut at its end. */
export const isUsualLine = (line: string): boolean => line !== '' && !unusualInLine.test(line)

type Step = string | Size

export class Screen {
  #emulator: Emulator | undefined
  /** Of the terminal after all that waits. */
  #size: Size
  /** The size before what waits, while there is no emulator. */
  #startSize: Size
  #waiting: Step[] = []
  #waitingLength = 0
  /** All that waits is. */
  #usual = true

  constructor(size: Size) {
    this.#size = size
    this.#startSize = size
  }

  /** Of the emulator and what waits: false after nothing but a few bytes. */
  get heavy(): boolean {
    return this.#emulator !== undefined
  }

  /** `usual`: `isUsualLine` said so. */
  write(text: string, usual = false): void {
    if (text === '') return
    if (!usual) this.#usual = false
    this.#waiting.push(text)
    this.#waitingLength += text.length
    if (this.#waitingLength >= MAX_WAITING && !this.#shorten()) this.#catchUp(true)
  }

  resize(size: Size): void {
    this.#size = size
    if (this.#waiting.length === 0 && this.#emulator === undefined) this.#startSize = size
    else this.#waiting.push(size)
    // A client that changes its size all the time.
    if (this.#waiting.length > 10_000) this.#catchUp(true)
  }

  /** The state with everything written so far. */
  state(): Size & { readonly data: string } {
    if (this.#waitingLength > 0 || this.#emulator !== undefined) this.#catchUp(false)
    return { ...this.#size, data: this.#emulator === undefined ? '' : serialize(this.#emulator) }
  }

  /** For a session in which nothing happens: keeps the state as text only. */
  compact(): void {
    if (this.#emulator === undefined) return
    const { data } = this.state()
    this.#emulator.close()
    this.#emulator = undefined
    this.#startSize = this.#size
    this.#waiting = data === '' ? [] : [data]
    this.#usual = false
    this.#waitingLength = data.length
  }

  close(): void {
    this.#emulator?.close()
    this.#emulator = undefined
    this.#waiting = []
  }

  /** Drops what has left the screen from what waits, when nothing else waits than lines that scroll. */
  #shorten(): boolean {
    const emulator = this.#emulator
    if (emulator === undefined || !scrolls(emulator)) return false
    const steps = joined(this.#waiting)
    const [text] = steps
    if (typeof text !== 'string' || steps.length !== 1) return false
    const { whole, held } = this.#usual ? { whole: text, held: '' } : withoutUnfinished(text)
    if (!this.#usual && lastUnusual(whole) >= 0) return false
    const shorter = visiblePart(whole, 0, emulator.size.rows) + held
    if (shorter.length > MAX_WAITING / 2) return false
    this.#waiting = [shorter]
    this.#waitingLength = shorter.length
    if (held === '') this.#usual = true
    return true
  }

  /** `flowing`: more will come, so that the beginning of an escape sequence at the end may wait for its rest. */
  #catchUp(flowing: boolean): void {
    const emulator = this.#emulator ?? new Emulator(this.#startSize)
    this.#emulator = emulator
    const steps = joined(this.#waiting)
    this.#waiting = []
    this.#waitingLength = 0
    this.#usual = true
    const last = steps.at(-1)
    if (flowing && typeof last === 'string') {
      const { whole, held } = withoutUnfinished(last)
      steps[steps.length - 1] = whole
      if (held !== '') {
        this.#waiting = [held]
        this.#usual = false
      }
      this.#waitingLength = held.length
    }
    for (const step of steps) {
      if (typeof step === 'string') writeVisible(emulator, step)
      else emulator.resize(step)
    }
  }
}

function withoutUnfinished(text: string): { readonly whole: string; readonly held: string } {
  const held = unfinished.exec(text.slice(-40))?.[0] ?? ''
  return { whole: text.slice(0, text.length - held.length), held }
}

/** Neighbouring pieces of text as one. */
function joined(steps: readonly Step[]): Step[] {
  const result: Step[] = []
  let texts: string[] = []
  for (const step of steps) {
    if (typeof step === 'string') {
      texts.push(step)
      continue
    }
    if (texts.length > 0) result.push(texts.join(''))
    texts = []
    result.push(step)
  }
  if (texts.length > 0) result.push(texts.join(''))
  return result
}

const scrolls = (emulator: Emulator): boolean => emulator.atRest && emulator.region.whole

/** Writes text without what has left the screen at its end. */
function writeVisible(emulator: Emulator, text: string): void {
  const { rows, columns } = emulator.size
  if (text.length < 4 * rows * Math.min(columns, 40)) {
    emulator.write(text)
    return
  }
  let from = 0
  const last = lastUnusual(text)
  if (last >= 0) {
    const lineEnd = text.indexOf('\r\n', last)
    from = lineEnd < 0 ? text.length : lineEnd + 2
    emulator.write(text.slice(0, from))
  }
  emulator.write(scrolls(emulator) ? visiblePart(text, from, rows) : text.slice(from))
}

/**
 * What has the same effect as the text from `from` on, in which there is nothing unusual, on a terminal that scrolls as a whole and
 * is not within an escape sequence. Exact, because of what is left out: its lines are gone once twice as many line feeds as the screen
 * has rows have followed (the first so many bring the cursor to the bottom wherever it was, the next so many scroll away every
 * line that was there then); what is kept begins after CR LF, thus in the first column, and the column alone decides where
 * its lines wrap; and of the escape sequences that are left out only colours last, which are kept.
 */
function visiblePart(text: string, from: number, rows: number): string {
  const tail = tailStart(text, from, 2 * rows + 1)
  return tail === from ? text.slice(from) : `\r${lastColours(text.slice(from, tail))}${text.slice(tail)}`
}

/**
 * Text is usual when every line of it leaves the screen by scrolling: no control characters but CR, LF, TAB and BEL; of the escape
 * sequences only colours (SGR) and erasing within the line (EL). Where the last begins that is not; -1 when all is usual.
 */
function lastUnusual(text: string): number {
  if (!unusual.test(text)) return -1
  for (let at = text.length - 1; at >= 0; at--) {
    const code = text.charCodeAt(at)
    if (code >= 0x20 ? code < 0x7f || code > 0x9f : code === 0x0a || code === 0x0d || code === 0x09 || code === 0x07)
      continue
    if (code !== 0x1b || !isUsualSequence(text, at)) return at
  }
  return -1
}

function isUsualSequence(text: string, start: number): boolean {
  if (text.charCodeAt(start + 1) !== 0x5b) return false
  let at = start + 2
  let code = text.charCodeAt(at)
  // Digits, colon, semicolon.
  while (code >= 0x30 && code <= 0x3b) code = text.charCodeAt(++at)
  return code === 0x6d || code === 0x4b
}

/** Where the last `lines` lines begin; `from` when there are not so many that end in CR LF. */
function tailStart(text: string, from: number, lines: number): number {
  let end = text.length
  for (let line = 0; line <= lines; line++) {
    const at = text.lastIndexOf('\r\n', end - 1)
    if (at < from) return from
    end = at
  }
  return end + 2
}

/** The colours that the text leaves behind. */
function lastColours(text: string): string {
  if (!text.includes('\x1b')) return ''
  const rest = fromLast(fromLast(text, '\x1b[0m'), '\x1b[m')
  return rest.match(colours)?.join('') ?? ''
}

const fromLast = (text: string, reset: string): string => text.slice(Math.max(text.lastIndexOf(reset), 0))
