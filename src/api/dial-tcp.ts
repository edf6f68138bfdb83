/** A TCP connection, or a reason that says what to do. */

import net from 'node:net'
import type { Env } from '../common/env.ts'
import { ConnectionProblem } from '../errors/errors.ts'
import { convertSystemError } from '../errors/system.ts'
import { deadline } from './deadline.ts'
import { splitAddress } from './server-index.ts'

/** Milliseconds. */
const dialTimeout = 10_000

/** Connects to `host:port`. Throws ConnectionProblem. */
export async function dialTcp(
  address: string,
  defaultPort: number,
  env: Env,
  signal?: AbortSignal,
): Promise<net.Socket> {
  const { host, port = defaultPort } = splitAddress(address)
  const late = () =>
    new ConnectionProblem(
      `cannot connect to ${address}: no answer within ${dialTimeout / 1000} s; check address and firewall`,
    )
  const limit = deadline(env, dialTimeout, late, signal)
  const socket = net.connect({ host, port, noDelay: true, keepAlive: true })
  const { promise, resolve, reject } = Promise.withResolvers<net.Socket>()
  const onAbort = () => reject(limit.signal.reason)
  limit.signal.addEventListener('abort', onAbort, { once: true })
  socket.once('connect', () => resolve(socket))
  socket.once('error', (error) => reject(convertSystemError(error, `connect to ${address}`)))
  try {
    if (limit.signal.aborted) throw limit.signal.reason
    return await promise
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    limit.signal.removeEventListener('abort', onAbort)
    limit.dispose()
  }
}
