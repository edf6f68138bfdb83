/** A clock that stands still until the test moves it. */

import { randomBytes, randomUUID } from 'node:crypto'
import type { Env } from '../../common/env.ts'

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

export class ManualEnv implements Env {
  #ms = 0
  #sleepers: Sleeper[] = []

  now(): Date {
    return new Date(1_700_000_000_000 + this.#ms)
  }

  monotonicMs(): number {
    return this.#ms
  }

  randomBytes(size: number): Buffer {
    return randomBytes(size)
  }

  randomUuid(): string {
    return randomUUID()
  }

  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const sleeper: Sleeper = { at: this.#ms + ms, wake: resolve }
      this.#sleepers.push(sleeper)
      signal?.addEventListener('abort', () => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        reject(signal.reason)
      })
    })
  }

  /** Moves time; wakes those whose time has come, in order. */
  advance(ms: number): void {
    this.#ms += ms
    const due = this.#sleepers.filter((sleeper) => sleeper.at <= this.#ms).sort((a, b) => a.at - b.at)
    this.#sleepers = this.#sleepers.filter((sleeper) => sleeper.at > this.#ms)
    for (const sleeper of due) sleeper.wake()
  }
}
