/** Where a player gets a recording from: a file or the auth service. */

import type { CastEntry, CastHeader } from '../cast-entry.ts'

export interface PlaySource {
  readonly header: CastHeader
  /** What is known of the length by now, in milliseconds. */
  durationMs(): number
  /** It is still being recorded, and will go on. */
  growing(): boolean
  /** Resolves when the length is known. Throws what reading throws. */
  settled(): Promise<void>
  /**
   * Entries from a moment not after `atMs` on where an empty terminal of the header's size can begin, in order. The first ones put it
   * into the state of that moment. Throws what reading throws.
   */
  from(atMs: number, signal: AbortSignal): AsyncIterable<CastEntry>
  close(): Promise<void>
}
