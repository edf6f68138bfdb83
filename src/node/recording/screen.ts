/**
 * What a session's terminal shows now, for those who join and for keyframes. Costs little as long as nobody asks: output waits as
 * text, and of a flood only what can still be on the screen is ever interpreted.
 */

import { Emulator, type Size } from './emulator.ts'
import { serialize } from './serialize.ts'

/** Characters that wait before they are interpreted. */
const MAX_WAITING = 64 * 1024

/**
 * What text may hold so that every line of it leaves the screen by scrolling: no control characters but CR, LF, TAB and BEL; of the
 * escape sequences only colours (SGR) and erasing within the line (EL). Finds whatever else there is.
 */
const unusual = /[\x00-\x06\x08\x0b\x0c\x0e-\x1a\x1c-\x1f\x7f-\x9f]|\x1b(?!\[[0-9;:]*[mK])/g
const colours = /\x1b\[[0-9;:]*m/g
/** An escape sequence of which the rest may follow. */
const unfinished = /\x1b[^a-zA-Z\x1b]{0,32}$/

type Step = string | Size

export class Screen {
  #emulator: Emulator | undefined
  /** Of the terminal after all that waits. */
  #size: Size
  /** The size before what waits, while there is no emulator. */
  #startSize: Size
  #waiting: Step[] = []
  #waitingLength = 0

  constructor(size: Size) {
    this.#size = size
    this.#startSize = size
  }

  /** Of the emulator and what waits: false after nothing but a few bytes. */
  get heavy(): boolean {
    return this.#emulator !== undefined
  }

  write(text: string): void {
    if (text === '') return
    this.#waiting.push(text)
    this.#waitingLength += text.length
    if (this.#waitingLength >= MAX_WAITING) this.#catchUp(true)
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
    this.#waitingLength = data.length
  }

  close(): void {
    this.#emulator?.close()
    this.#emulator = undefined
    this.#waiting = []
  }

  /** `flowing`: more will come, so that the beginning of an escape sequence at the end may wait for its rest. */
  #catchUp(flowing: boolean): void {
    const emulator = this.#emulator ?? new Emulator(this.#startSize)
    this.#emulator = emulator
    const steps = joined(this.#waiting)
    this.#waiting = []
    this.#waitingLength = 0
    const last = steps.at(-1)
    if (flowing && typeof last === 'string') {
      const held = unfinished.exec(last.slice(-40))?.[0] ?? ''
      if (held !== '') {
        steps[steps.length - 1] = last.slice(0, last.length - held.length)
        this.#waiting = [held]
        this.#waitingLength = held.length
      }
    }
    for (const step of steps) {
      if (typeof step === 'string') writeVisible(emulator, step)
      else emulator.resize(step)
    }
  }
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

/**
 * Writes text without what has left the screen at its end. Exact, because of what the skipped part is: its lines are gone once
 * twice as many line feeds as the screen has rows have followed (the first so many bring the cursor to the bottom wherever it was,
 * the next so many scroll away every line that was there then); the part that is written begins after CR LF, thus in the first
 * column, and the column alone decides where its lines wrap; and of the skipped escape sequences only colours last, which are
 * written. That holds only while the whole screen scrolls and outside of escape sequences, which is looked up where the
 * part begins.
 */
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
  const tail = emulator.atRest && emulator.region.whole ? tailStart(text, from, 2 * rows + 1) : from
  if (tail > from) emulator.write(`\r${lastColours(text.slice(from, tail))}`)
  emulator.write(text.slice(tail))
}

function lastUnusual(text: string): number {
  let last = -1
  for (const match of text.matchAll(unusual)) last = match.index
  return last
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
  const reset = Math.max(text.lastIndexOf('\x1b[m'), text.lastIndexOf('\x1b[0m'))
  return (reset < 0 ? text : text.slice(reset)).match(colours)?.join('') ?? ''
}
