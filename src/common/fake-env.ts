/** A clock that only moves when told, for tests. Randomness is real; waits end when `advance` passes them. */

import { type Env, realEnv } from './env.ts'

interface Sleeper {
  readonly at: number
  readonly wake: () => void
}

export interface FakeEnv extends Env {
  /** Moves the clock and wakes the sleepers that are due, earliest first, letting each run before the next. */
  advance(ms: number): Promise<void>
  /** How many waits are pending. */
  sleeping(): number
}

/** `start` is the first wall-clock time; the monotonic clock starts at 0. */
export function fakeEnv(start = new Date('2026-01-01T00:00:00Z')): FakeEnv {
  let elapsed = 0
  let sleepers: Sleeper[] = []
  return {
    now: () => new Date(start.getTime() + elapsed),
    monotonicMs: () => elapsed,
    randomBytes: (size) => realEnv.randomBytes(size),
    randomUuid: () => realEnv.randomUuid(),
    sleeping: () => sleepers.length,
    sleep: (ms, signal) =>
      new Promise<void>((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason)
        const onAbort = () => {
          sleepers = sleepers.filter((other) => other !== sleeper)
          reject(signal?.reason)
        }
        const sleeper: Sleeper = {
          at: elapsed + Math.max(0, ms),
          wake: () => {
            signal?.removeEventListener('abort', onAbort)
            resolve()
          },
        }
        signal?.addEventListener('abort', onAbort, { once: true })
        sleepers.push(sleeper)
      }),
    advance: async (ms) => {
      const end = elapsed + ms
      for (;;) {
        const due = sleepers.filter((sleeper) => sleeper.at <= end).sort((a, b) => a.at - b.at)[0]
        if (due === undefined) break
        elapsed = Math.max(elapsed, due.at)
        sleepers = sleepers.filter((other) => other !== due)
        due.wake()
        await new Promise((resolve) => setImmediate(resolve))
      }
      elapsed = end
      await new Promise((resolve) => setImmediate(resolve))
    },
  }
}
