/** What every connection to the auth API has in common, whoever opens it. */

import type { Duplex } from 'node:stream'
import type { Env } from '../common/env.ts'
import { ConnectionProblem, isAccessDenied } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { SshClient } from '../ssh/client-types.ts'
import { ChannelAgent } from './channel-agent.ts'
import { type ApiClient, createApiClient } from './client.ts'

/** Where the auth API lives inside an SSH connection (docs/protocol.md). */
export const authApiHost = 'auth.teleport.api'
export const authPort = 3025
export const sshIdent = 'Teleport'
/**
 * An auth server that is gone is noticed after 90 s at the latest, by the watch after 60. It says something every 20 s to those who
 * follow it, so that they need not ask.
 */
export const authKeepAlive = { intervalMs: 30_000, maxMissed: 2 }

/** Milliseconds, from the TCP connection to the end of the SSH login: an auth server that hangs must not look as if it were about to answer. */
export const handshakeTimeout = 10_000

export interface AuthConnection extends ApiClient, AsyncDisposable {
  /** An SSH connection to an auth server stands now. */
  readonly connected: boolean
  /** A stream to another service of the auth server's than the API. Throws ChannelOpenError, ConnectionProblem. */
  openStream(host: string): Promise<Duplex>
  close(): Promise<void>
}

/** One error for all addresses that were tried. */
export function summarize(errors: readonly Error[]): Error {
  const [first] = errors
  if (first === undefined) return new ConnectionProblem('no address of an auth server is known; set auth_servers')
  if (errors.every(isAccessDenied)) return first
  const reasons = errors.map(messageOf).join('; ')
  return new ConnectionProblem(
    `no auth server can be reached (${reasons}); check that it runs and that the address is right`,
  )
}

/** The auth API inside an SSH connection that stands; closing it closes the connection. */
export function apiOver(ssh: SshClient, env: Env): AuthConnection {
  const agent = new ChannelAgent({ openStream: () => ssh.openDirectTcpip(authApiHost, 0) })
  const client = createApiClient({ agent, host: authApiHost, peer: 'the auth server', env })
  const close = async () => {
    agent.destroy()
    await ssh.close()
  }
  return {
    ...client,
    get connected() {
      return !ssh.signal.aborted
    },
    openStream: (host) => ssh.openDirectTcpip(host, 0),
    close,
    [Symbol.asyncDispose]: close,
  }
}
