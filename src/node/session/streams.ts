/** Waiting for the ends of streams and channels. */

import type { Readable } from 'node:stream'

export const streamEnd = (stream: Readable): Promise<void> =>
  new Promise((resolve) => {
    if (stream.closed || stream.readableEnded) resolve()
    else stream.once('end', resolve).once('close', resolve)
  })

export const closedSignal = (signal: AbortSignal): Promise<undefined> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve(undefined)
    else signal.addEventListener('abort', () => resolve(undefined), { once: true })
  })
