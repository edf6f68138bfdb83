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
