/** Waiting times between attempts: growing, bounded, and spread so that a thousand nodes do not come back at once. */

import type { Env } from './env.ts'

export interface BackoffOptions {
  readonly initialMs: number
  readonly maxMs: number
  /** Growth per attempt. Default 2. */
  readonly factor?: number
}

export class Backoff {
  readonly #options: BackoffOptions
  readonly #env: Pick<Env, 'randomBytes' | 'sleep'>
  #attempt = 0

  constructor(options: BackoffOptions, env: Pick<Env, 'randomBytes' | 'sleep'>) {
    this.#options = options
    this.#env = env
  }

  /** Milliseconds until the next attempt: between half of the current step and all of it. */
  nextMs(): number {
    const { initialMs, maxMs, factor = 2 } = this.#options
    const step = Math.min(maxMs, initialMs * factor ** Math.min(this.#attempt++, 64))
    const random = this.#env.randomBytes(4).readUInt32BE() / 0x1_0000_0000
    return Math.round(step / 2 + (step / 2) * random)
  }

  /** Waits for `nextMs`. Rejects with the signal's reason when aborted. */
  wait(signal?: AbortSignal): Promise<void> {
    return this.#env.sleep(this.nextMs(), signal)
  }

  /** After a success the next failure starts small again. */
  reset(): void {
    this.#attempt = 0
  }
}
