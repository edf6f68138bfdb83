/**
 * Which time stands where in a recording that is a file, so that a player jumps instead of reading. Made from the first bytes of each
 * line: parsing all of a long recording would make its viewer wait.
 */

import { maxLineBytes } from '../../../audit/recording/cast-entry.ts'
import { type ByteSource, linesFrom } from './byte-source.ts'

/** Where reading can begin with an empty terminal of that size. */
export interface Keyframe {
  readonly atMs: number
  readonly columns: number
  readonly rows: number
  /** Of the first line that is to be read. */
  readonly offset: number
  /** What to show before; absent where that line says it. */
  readonly text?: string
}

/** Milliseconds between keyframes that are remembered: more of them would only cost memory. */
const spacing = 1000
const entryHead = /^\s*\[\s*(\d+(?:\.\d+)?(?:[eE][-+]?\d+)?)\s*,\s*"([okrm])"(?:\s*,\s*"(\d{1,5})x(\d{1,5})")?/

export class TimeIndex {
  /** Ascending. */
  readonly keyframes: Keyframe[] = []
  durationMs = 0
  complete = false

  /** Reads all of it. `size` is the one in the header. */
  async build(source: ByteSource, start: number, size: { columns: number; rows: number }, signal: AbortSignal) {
    let { columns, rows } = size
    for await (const lines of linesFrom(source, start, maxLineBytes)) {
      signal.throwIfAborted()
      for (const { text, offset } of lines) {
        const [, seconds, code, width, height] = entryHead.exec(text.toString('latin1', 0, 64)) ?? []
        if (seconds === undefined) continue
        const atMs = Math.round(Number(seconds) * 1000)
        if (Number.isFinite(atMs)) this.durationMs = Math.max(this.durationMs, atMs)
        if (code === 'r' && width !== undefined) [columns, rows] = [Number(width), Number(height)]
        const last = this.keyframes.at(-1)
        if (code !== 'k' || (last !== undefined && this.durationMs < last.atMs + spacing)) continue
        this.keyframes.push({ atMs: this.durationMs, columns, rows, offset })
      }
    }
    this.complete = true
  }
}

/** The last place not after that time. */
export function lastBefore<T extends { readonly atMs: number }>(places: readonly T[], atMs: number): T | undefined {
  let [low, high] = [0, places.length]
  while (low < high) {
    const middle = (low + high) >> 1
    if ((places[middle]?.atMs ?? 0) <= atMs) low = middle + 1
    else high = middle
  }
  return places[low - 1]
}
