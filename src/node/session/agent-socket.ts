/**
 * The socket through which programs of a session reach the client's agent. Directory (0700), socket (0600) and their removal all
 * happen with the user's rights, so nothing is ever handed over and no link can lead root astray.
 */

import { mkdtempSync, rmdirSync } from 'node:fs'
import type { Server, Socket } from 'node:net'
import type { Logger } from '../../common/log.ts'
import { messageOf } from '../../errors/system.ts'
import { spliceStreams } from '../../ssh/forward/splice.ts'
import type { NodeConnection } from '../context.ts'
import { asUser } from '../os/as-user.ts'
import { listenUnix, type UserSockets, unlinkAsUser } from '../os/user-socket.ts'

export interface AgentSocket {
  /** For SSH_AUTH_SOCK. */
  readonly path: string
  close(): void
}

/** Programs that talk to the agent at the same time. */
const maxConnections = 32

/** Throws a kind of `src/errors` when the socket cannot be made. */
export function openAgentSocket(owner: UserSockets, connection: NodeConnection, logger: Logger): AgentSocket {
  const { account, privileges } = owner
  const directory = asUser(account, privileges, () => mkdtempSync('/tmp/ssh-'))
  const path = `${directory}/agent.${process.pid}`
  const removeDirectory = (): void => {
    try {
      asUser(account, privileges, () => rmdirSync(directory))
    } catch {}
  }
  let server: Server
  try {
    server = listenUnix(owner, path)
  } catch (error) {
    removeDirectory()
    throw error
  }
  server.maxConnections = maxConnections
  const open = new Set<Socket>()
  server.on('connection', (socket) => {
    open.add(socket)
    socket.on('error', () => {})
    socket.on('close', () => open.delete(socket))
    connection.openAgent().then(
      (channel) => spliceStreams(socket, channel),
      (error: unknown) => {
        logger.debug('the client refused its agent', { reason: messageOf(error) })
        socket.destroy()
      },
    )
  })
  server.on('error', (error) => logger.warn('agent socket failed', { reason: messageOf(error) }))
  return {
    path,
    close() {
      server.close()
      for (const socket of open) socket.destroy()
      unlinkAsUser(owner, path)
      removeDirectory()
    },
  }
}
