/** Auth is away for a second or three when it is replaced. Whoever calls then waits for the next one instead of seeing an error. */

import type { Env } from '../../common/env.ts'
import { isConnectionProblem } from '../../errors/errors.ts'

/** Milliseconds from the first attempt. */
const patience = 10_000
/** Milliseconds between attempts. */
const pause = 200

/**
 * Runs `work`, and again while what it throws is a ConnectionProblem, for at most ten seconds or until the signal. For work that may
 * run twice: what only reads, or has not been sent yet. Throws what the last attempt threw.
 */
export async function patiently<T>(env: Env, work: () => Promise<T>, signal?: AbortSignal): Promise<T> {
  const end = env.monotonicMs() + patience
  for (;;) {
    try {
      return await work()
    } catch (error) {
      if (!isConnectionProblem(error) || env.monotonicMs() >= end) throw error
      await env.sleep(pause, signal).catch(() => {
        throw error
      })
    }
  }
}
