/** Whether programs print more than anybody reads. */

/** Bytes within a window that are a flood: more than two megabytes in a second. */
const FLOOD_BYTES = 256 * 1024
const WINDOW_MS = 100

export class Flood {
  #window = 0
  #bytes = 0
  #before = 0

  add(bytes: number, nowMs: number): void {
    this.#turn(nowMs)
    this.#bytes += bytes
  }

  /** In this window or the one before it. */
  now(nowMs: number): boolean {
    this.#turn(nowMs)
    return Math.max(this.#bytes, this.#before) >= FLOOD_BYTES
  }

  #turn(nowMs: number): void {
    const window = Math.floor(nowMs / WINDOW_MS)
    if (window === this.#window) return
    this.#before = window === this.#window + 1 ? this.#bytes : 0
    this.#bytes = 0
    this.#window = window
  }
}
