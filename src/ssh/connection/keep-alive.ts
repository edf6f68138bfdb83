/** Notices a peer that is gone without a word: asks when it has been silent, gives up after too many silences. */

import type { Env } from '../../common/env.ts'
import type { Transport } from '../transport/types.ts'
import { disconnectReason } from './messages.ts'
import type { ConnectionMux } from './mux.ts'

export interface KeepAliveOptions {
  readonly intervalMs: number
  readonly maxMissed: number
}

/** Runs until `signal` is aborted. Any byte from the peer counts as a sign of life; the request is OpenSSH's own. */
export async function keepAlive(
  mux: ConnectionMux,
  transport: Transport,
  options: KeepAliveOptions,
  env: Env,
  signal: AbortSignal,
): Promise<void> {
  let missed = 0
  let seen = transport.bytesIn
  for (;;) {
    try {
      await env.sleep(options.intervalMs, signal)
    } catch {
      return // the connection ended
    }
    if (transport.bytesIn !== seen) {
      seen = transport.bytesIn
      missed = 0
      continue
    }
    if (missed >= options.maxMissed) {
      transport.disconnect(disconnectReason.connectionLost, 'no answer to keepalive requests')
      return
    }
    missed++
    mux.globalRequest('keepalive@openssh.com').catch(() => {})
  }
}
