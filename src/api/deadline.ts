/** Waits that end: a signal that fires after a time or with another signal, and that leaves no timer behind. */

import type { Env } from '../common/env.ts'

export interface Deadline {
  readonly signal: AbortSignal
  dispose(): void
}

/** Aborts with `reason()` after `ms`, or with the outer signal's reason. Dispose of it when the work is done. */
export function deadline(env: Env, ms: number, reason: () => Error, outer?: AbortSignal): Deadline {
  const over = new AbortController()
  const done = new AbortController()
  env.sleep(ms, done.signal).then(
    () => over.abort(reason()),
    () => undefined,
  )
  return {
    signal: outer === undefined ? over.signal : AbortSignal.any([over.signal, outer]),
    dispose: () => done.abort(),
  }
}

/** The work's result, or the signal's reason when that comes first. The work itself is not stopped by this. */
export function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  if (signal.aborted) return Promise.reject(signal.reason)
  const { promise, resolve, reject } = Promise.withResolvers<T>()
  const onAbort = () => reject(signal.reason)
  signal.addEventListener('abort', onAbort, { once: true })
  work.then(resolve, reject).finally(() => signal.removeEventListener('abort', onAbort))
  return promise
}
