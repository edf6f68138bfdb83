/** Waiting for a certificate's end. */

import type { Env } from '../common/env.ts'

/** Longer than any certificate that auth makes, shorter than a timer of Node.js can wait. */
const longestWaitMs = 7 * 86_400_000

/** Calls `expired` at that time, unless the signal comes first. Wall-clock time counts, so it is looked at again after each wait. */
export async function atExpiry(expires: Date, env: Env, signal: AbortSignal, expired: () => void): Promise<void> {
  try {
    for (;;) {
      const left = expires.getTime() - env.now().getTime()
      if (left <= 0) break
      await env.sleep(Math.min(left, longestWaitMs), signal)
    }
  } catch {
    return
  }
  expired()
}
