/** Questions for the state of a screen that the worker has not answered yet. */

import type { Env } from '../../common/env.ts'
import type { ScreenState } from './types.ts'

/** Milliseconds: who joins would rather begin with an empty screen than not at all. */
const SCREEN_MS = 5000

export class ScreenRequests {
  readonly #env: Env
  readonly #waiting = new Map<number, (state: ScreenState | undefined) => void>()
  #next = 1

  constructor(env: Env) {
    this.#env = env
  }

  /** Calls `send` with the number of the request; undefined when no answer comes. */
  async ask(send: (request: number) => void): Promise<ScreenState | undefined> {
    const request = this.#next++
    const answer = new Promise<ScreenState | undefined>((resolve) => this.#waiting.set(request, resolve))
    send(request)
    const stop = new AbortController()
    const late = this.#env.sleep(SCREEN_MS, stop.signal).then(
      () => undefined,
      () => undefined,
    )
    try {
      return await Promise.race([answer, late])
    } finally {
      stop.abort()
      this.#waiting.delete(request)
    }
  }

  answer(request: number, state: ScreenState): void {
    this.#waiting.get(request)?.(state)
  }

  /** There will be no answers. */
  dropAll(): void {
    for (const answer of this.#waiting.values()) answer(undefined)
  }
}
