/** One at a time for each recording, so many at a time in all, and a bound on what waits. */

import { Places } from '../../common/places.ts'
import { LimitExceeded } from '../../errors/errors.ts'

export class Turns {
  readonly #last = new Map<string, Promise<unknown>>()
  readonly #maxBytes: number
  #bytes = 0
  readonly #places: Places

  constructor(limits: { readonly running: number; readonly waitingBytes: number }) {
    this.#places = new Places(limits.running)
    this.#maxBytes = limits.waitingBytes
  }

  /** After what came before for this key, whether that succeeded or not. Throws LimitExceeded when too much waits. */
  async run<T>(key: string, bytes: number, work: () => Promise<T>): Promise<T> {
    if (this.#bytes + bytes > this.#maxBytes) {
      throw new LimitExceeded('the disk of the auth server is behind with recordings; try again in a moment')
    }
    this.#bytes += bytes
    const limited = () => this.#places.run(work)
    const before = this.#last.get(key) ?? Promise.resolve()
    const mine = before.then(limited, limited)
    this.#last.set(key, mine)
    try {
      return await mine
    } finally {
      this.#bytes -= bytes
      if (this.#last.get(key) === mine) this.#last.delete(key)
    }
  }

  /** Resolves when all that is under way has ended. */
  async idle(): Promise<void> {
    while (this.#last.size > 0) await Promise.allSettled(this.#last.values())
  }
}
