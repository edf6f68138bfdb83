/** What the bar below a recording shows: who came and went, other sizes, and when much was printed. Filled as chunks come. */

import { entriesOf } from '../../../src/audit/recording/cast-entry.ts'
import type { CachedChunk } from '../../../src/audit/recording/play/chunk-cache.ts'

export interface Mark {
  readonly atMs: number
  /** `resize`: the text is the size. */
  readonly kind: 'mark' | 'resize'
  readonly text: string
}

type Piece = Pick<CachedChunk, 'index' | 'fromMs' | 'toMs' | 'textBytes'>

/** How lines begin that are looked at: parsing all would cost as much as playing. */
const telling = /^\[\s*[\d.eE+-]+\s*,\s*"[mr]"/
/** Milliseconds: a window that is dragged has many sizes. */
const drag = 2000
export const maxMarks = 500

export class Timeline {
  readonly #pieces = new Map<number, Piece>()
  readonly #marks = new Map<number, readonly Mark[]>()

  add({ index, fromMs, toMs, textBytes }: Piece, text: string): void {
    if (this.#pieces.has(index)) return
    this.#pieces.set(index, { index, fromMs, toMs, textBytes })
    const lines = text.split('\n').filter((line) => telling.test(line))
    const marks: Mark[] = []
    for (const entry of entriesOf(lines, fromMs)) {
      if (entry.type === 'mark') marks.push({ atMs: entry.atMs, kind: 'mark', text: entry.text })
      if (entry.type === 'resize') {
        marks.push({ atMs: entry.atMs, kind: 'resize', text: `${entry.columns} × ${entry.rows}` })
      }
    }
    if (marks.length > 0) this.#marks.set(index, marks)
  }

  /** In order. A size that was there already, as after a keyframe, is none; of a window that is dragged the last one counts. */
  marks(size: { readonly columns: number; readonly rows: number }): readonly Mark[] {
    const found: Mark[] = []
    let shown = `${size.columns} × ${size.rows}`
    for (const [, marks] of [...this.#marks].sort(([a], [b]) => a - b)) {
      for (const mark of marks) {
        const last = found.at(-1)
        if (mark.kind === 'resize') {
          if (mark.text === shown) continue
          shown = mark.text
          if (last?.kind === 'resize' && mark.atMs - last.atMs < drag) found.pop()
        }
        found.push(mark)
      }
    }
    return found.slice(0, maxMarks)
  }

  /** How much was printed in each of so many equal parts, from 0 to 1. */
  activity(durationMs: number, parts: number): readonly number[] {
    const bytes = new Array<number>(parts).fill(0)
    const length = Math.max(1, durationMs) / parts
    for (const { fromMs, toMs, textBytes } of this.#pieces.values()) {
      const first = Math.min(parts - 1, Math.floor(fromMs / length))
      const last = Math.max(first, Math.min(parts - 1, Math.floor(toMs / length)))
      for (let part = first; part <= last; part++) bytes[part] = (bytes[part] ?? 0) + textBytes / (last - first + 1)
    }
    // A flood must not make everything else invisible.
    const most = Math.log1p(Math.max(...bytes))
    return bytes.map((count) => (most === 0 ? 0 : Math.log1p(count) / most))
  }
}
