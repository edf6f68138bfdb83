/**
 * Time and randomness as a value. Everything below an entry point takes an `Env`, so that tests decide what time it is.
 */

import { randomBytes, randomUUID } from 'node:crypto'
import { performance } from 'node:perf_hooks'
import { setTimeout as delay } from 'node:timers/promises'

export interface Env {
  /** Wall-clock time, for validity periods and for records. */
  now(): Date
  /** Milliseconds that never jump back, for measuring and for time-outs. */
  monotonicMs(): number
  randomBytes(size: number): Buffer
  randomUuid(): string
  /** Waits; rejects with the signal's reason when aborted. Never keeps the process alive by itself. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export const realEnv: Env = {
  now: () => new Date(),
  monotonicMs: () => performance.now(),
  randomBytes: (size) => randomBytes(size),
  randomUuid: () => randomUUID(),
  sleep: (ms, signal) => delay(ms, undefined, { ref: false, ...(signal === undefined ? {} : { signal }) }),
}
