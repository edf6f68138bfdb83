/** Recordings that grow fast wait with their index, so that whoever prints a flood does not pay for it meanwhile; but not for ever. */

import { Rush } from '../../common/rush.ts'

/** Of bytes of text. */
const flood = { window: 1000, from: 1024 * 1024 }
/** Milliseconds from the beginning of a flood; then it is indexed while it goes on. */
const LONGEST_MS = 30_000
/** Recordings that are watched; of more, the one that is known longest is forgotten, and does not wait. */
const MAX_WATCHED = 4096

interface Growth {
  readonly rush: Rush
  /** When the last flood began. */
  since: number
}

export class FloodDelay {
  readonly #growth = new Map<string, Growth>()

  /** So many bytes of text were added. Times are monotonic milliseconds. */
  grew(sid: string, textBytes: number, nowMs: number): void {
    const growth = this.#growth.get(sid) ?? { rush: new Rush(flood), since: nowMs }
    if (!growth.rush.now(nowMs)) growth.since = nowMs
    growth.rush.add(textBytes, nowMs)
    this.#growth.set(sid, growth)
    const [oldest] = this.#growth.keys()
    if (this.#growth.size > MAX_WATCHED && oldest !== undefined) this.#growth.delete(oldest)
  }

  /** Nothing more will be added. */
  ended(sid: string): void {
    this.#growth.delete(sid)
  }

  /** Whether its index waits. */
  waits(sid: string, nowMs: number): boolean {
    const growth = this.#growth.get(sid)
    return growth?.rush.now(nowMs) === true && nowMs - growth.since < LONGEST_MS
  }
}
