/** `-L`, `-D`, `-W`: connections that leave this node on behalf of a user, made with the user's rights. */

import { lookup } from 'node:dns/promises'
import { stat } from 'node:fs/promises'
import { isIP, type Socket } from 'node:net'
import { AccessDenied, BadParameter, ConnectionProblem } from '../../errors/errors.ts'
import { convertSystemError, messageOf } from '../../errors/system.ts'
import { ChannelOpenError } from '../../ssh/connection/types.ts'
import type { DirectTcpip } from '../../ssh/server-types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import { connectionFields, keep, record } from '../node-events.ts'
import { connectTcp, connectUnix, type UserSockets } from '../os/user-socket.ts'

/** Milliseconds for the name and all its addresses. */
const timeoutMs = 30_000
const lookTimeoutMs = 2000

/** A connected stream. Throws ChannelOpenError: `prohibited` when the roles forbid it, `connect-failed` otherwise. */
export function dialTcp(request: DirectTcpip, connection: NodeConnection, node: NodeContext): Promise<Socket> {
  const { host, port } = request
  const target = host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
  return dial(target, connection, node, async (owner) => {
    if (host === '' || port < 1 || port > 65_535) throw new BadParameter('target', `${target} is not a valid target`)
    const signal = AbortSignal.any([connection.signal, timeout(node)])
    return connectAny(owner, await addressesOf(host), port, signal)
  })
}

/** The same for a unix socket. */
export function dialUnix(path: string, connection: NodeConnection, node: NodeContext): Promise<Socket> {
  return dial(path, connection, node, async (owner) => {
    await look(path, node)
    return connectUnix(owner, path)
  })
}

async function dial(
  target: string,
  connection: NodeConnection,
  node: NodeContext,
  connect: (owner: UserSockets) => Promise<Socket>,
): Promise<Socket> {
  const fields = { ...connectionFields(node, connection), addr: target }
  let socket: Socket | undefined
  try {
    const owner = await forwardingOwner(connection, node)
    socket = await connect(owner)
    socket.on('error', () => {})
    await keep(node, { event: 'port', ...fields, success: true })
    return socket
  } catch (error) {
    socket?.destroy()
    record(node, { event: 'port', ...fields, success: false, error: messageOf(error) })
    if (error instanceof ForwardingDenied) throw new ChannelOpenError('prohibited', error.message)
    throw new ChannelOpenError('connect-failed', messageOf(error))
  }
}

class ForwardingDenied extends AccessDenied {}

/** Whose rights a forward uses. Throws AccessDenied when the roles or the certificate do not permit forwarding (any more). */
export async function forwardingOwner(connection: NodeConnection, node: NodeContext): Promise<UserSockets> {
  const user = await node.recheck(connection).catch((error: unknown) => {
    throw new ForwardingDenied(messageOf(error))
  })
  if (!user.permissions.portForwarding) throw new ForwardingDenied('port forwarding is not permitted by your roles')
  return { account: user.account.target, privileges: node.privileges }
}

async function addressesOf(host: string): Promise<readonly string[]> {
  if (isIP(host) !== 0) return [host]
  try {
    return (await lookup(host, { all: true, order: 'verbatim' })).map(({ address }) => address)
  } catch (error) {
    throw convertSystemError(error, `look up ${host}`)
  }
}

async function connectAny(
  owner: UserSockets,
  addresses: readonly string[],
  port: number,
  signal: AbortSignal,
): Promise<Socket> {
  let last: unknown = new ConnectionProblem('the name has no address')
  for (const address of addresses) {
    try {
      return await connectTcp(owner, address, port, signal)
    } catch (error) {
      last = error
      if (signal.aborted) break
    }
  }
  throw last
}

function timeout(node: NodeContext): AbortSignal {
  const controller = new AbortController()
  node.env.sleep(timeoutMs).then(
    () => controller.abort(),
    () => {},
  )
  return controller.signal
}

/** The connect itself happens on the main thread, so a path on a file server that does not answer is noticed here first. */
async function look(path: string, node: NodeContext): Promise<void> {
  const timer = new AbortController()
  const waited = node.env.sleep(lookTimeoutMs, timer.signal).then(
    () => 'late' as const,
    () => 'late' as const,
  )
  const looked = await Promise.race([stat(path).catch(() => undefined), waited])
  timer.abort()
  if (looked === 'late') throw new ConnectionProblem(`cannot connect to ${path}: its file system does not answer`)
}
