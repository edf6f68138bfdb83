/** Time for the player. */

import type { PlayClock } from '../../../src/audit/recording/play/player.ts'

export const clock: PlayClock = {
  monotonicMs: () => performance.now(),
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      const timer = setTimeout(resolve, ms)
      signal?.addEventListener(
        'abort',
        () => {
          clearTimeout(timer)
          reject(signal.reason)
        },
        { once: true },
      )
    }),
}

const channel = new MessageChannel()
let coming: PromiseWithResolvers<void> | undefined
channel.port1.onmessage = () => {
  coming?.resolve()
  coming = undefined
}

/** One turn for all who wait: of thousands of entries each asks for one. A timer would take milliseconds. */
export function turn(): Promise<void> {
  if (coming === undefined) {
    coming = Promise.withResolvers()
    channel.port2.postMessage(undefined)
  }
  return coming.promise
}
