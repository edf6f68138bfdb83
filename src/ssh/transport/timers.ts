/** A time-out over the injected clock that can be called off. */

import type { Env } from '../../common/env.ts'

/** Calls `expired` after `ms` milliseconds unless the returned function is called before. */
export function after(env: Env, ms: number, expired: () => void): () => void {
  const controller = new AbortController()
  let live = true
  env.sleep(ms, controller.signal).then(
    () => {
      if (live) expired()
    },
    () => undefined,
  )
  return () => {
    if (!live) return
    live = false
    controller.abort()
  }
}
