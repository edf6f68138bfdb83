/** Recordings that grow fast wait with their index, so that whoever prints a flood does not pay for it meanwhile; but not for ever. */

/** Bytes of text within a window that are a flood. */
const FLOOD_TEXT = 1024 * 1024
const WINDOW_MS = 1000
/** From the beginning of a flood; then it is indexed while it goes on. */
const LONGEST_MS = 30_000
/** Recordings that are watched; of more, the one that is known longest is forgotten, and does not wait. */
const MAX_WATCHED = 4096

interface Growth {
  window: number
  text: number
  /** When the last flood began, and until when it counts as going on. */
  since: number
  until: number
}

export class FloodDelay {
  readonly #growth = new Map<string, Growth>()

  /** So many bytes of text were added. Times are monotonic milliseconds. */
  grew(sid: string, textBytes: number, nowMs: number): void {
    const growth = this.#growth.get(sid) ?? { window: nowMs, text: 0, since: nowMs, until: Number.NEGATIVE_INFINITY }
    this.#growth.set(sid, growth)
    const [oldest] = this.#growth.keys()
    if (this.#growth.size > MAX_WATCHED && oldest !== undefined) this.#growth.delete(oldest)
    if (nowMs - growth.window >= WINDOW_MS) {
      growth.window = nowMs
      growth.text = 0
    }
    growth.text += textBytes
    if (growth.text < FLOOD_TEXT) return
    if (nowMs >= growth.until) growth.since = nowMs
    growth.until = nowMs + WINDOW_MS
  }

  /** Nothing more will be added. */
  ended(sid: string): void {
    this.#growth.delete(sid)
  }

  /** Whether its index waits. */
  waits(sid: string, nowMs: number): boolean {
    const growth = this.#growth.get(sid)
    return growth !== undefined && nowMs < growth.until && nowMs - growth.since < LONGEST_MS
  }
}
