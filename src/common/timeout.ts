/** Waits are bounded. */

import { ConnectionProblem } from '../errors/errors.ts'
import { formatDuration } from './durations.ts'
import type { Env } from './env.ts'

/**
 * The promise, or ConnectionProblem "`what` timed out after 30s". The work itself goes on unless it watches a signal of
 * its own: see `withDeadline`.
 */
export function withTimeout<T>(promise: Promise<T>, ms: number, what: string, env: Pick<Env, 'sleep'>): Promise<T> {
  return withDeadline(() => promise, ms, what, env)
}

/**
 * Runs `work` with a signal that aborts after `ms` or with `outer`, whichever is first. Throws ConnectionProblem on the
 * time-out, the outer signal's reason when that aborted. A result that comes too late is dropped without a warning.
 */
export async function withDeadline<T>(
  work: (signal: AbortSignal) => Promise<T>,
  ms: number,
  what: string,
  env: Pick<Env, 'sleep'>,
  outer?: AbortSignal,
): Promise<T> {
  const timer = new AbortController()
  const deadline = new AbortController()
  const signal = outer === undefined ? deadline.signal : AbortSignal.any([outer, deadline.signal])
  outer?.throwIfAborted()
  const expiry = env.sleep(ms, timer.signal).then(
    () => {
      const error = new ConnectionProblem(`${what} timed out after ${formatDuration(ms)}`)
      deadline.abort(error)
      throw error
    },
    () => new Promise<never>(() => undefined),
  )
  const aborted = new Promise<never>((_, reject) => {
    outer?.addEventListener('abort', () => reject(outer.reason), { once: true, signal: timer.signal })
  })
  try {
    return await Promise.race([work(signal), expiry, aborted])
  } finally {
    timer.abort()
  }
}
