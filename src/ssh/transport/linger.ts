/** The end of a stream whose peer shall still read our last words. */

import type { Duplex } from 'node:stream'
import type { Env } from '../../common/env.ts'
import { after } from './timers.ts'

/** How long a closed connection may take to tell the peer why, milliseconds. */
const LINGER_MS = 1000

/** Reads on without looking until the peer has closed too: resetting at once could take our last words away. */
export function closeGently(stream: Duplex, env: Env, peerHasEnded: boolean): void {
  if (stream.destroyed) return
  const cancel = after(env, LINGER_MS, () => stream.destroy())
  stream.once('close', cancel)
  stream.once('end', () => stream.destroy())
  stream.end()
  stream.resume()
  if (peerHasEnded) stream.destroy()
}
