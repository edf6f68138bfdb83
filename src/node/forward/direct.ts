/** `-L`, `-D`, `-W`: connections that leave this node on behalf of a user, made with the user's rights. */

import { lookup } from 'node:dns/promises'
import { realpath, stat } from 'node:fs/promises'
import { isIP, type Socket } from 'node:net'
import { decideForward, type ForwardRule, forwardRules } from '../../access/forward-rules.ts'
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
  return dial(hostPort(host, port), connection, node, async ({ owner, rules }) => {
    if (host === '' || port < 1 || port > 65_535) {
      throw new BadParameter('target', `${hostPort(host, port)} is not a valid target`)
    }
    const found = await addressesOf(host)
    // Judged one by one: of a name that has several addresses, only those are tried that a rule allows.
    const decisions = found.map((address) => ({ address, ...decideForward(rules, { host, address, port }) }))
    const allowed = decisions.filter(({ allow }) => allow).map(({ address }) => address)
    const refused = decisions.find(({ allow }) => !allow)
    if (allowed.length === 0 && refused !== undefined) throw new ForwardingDenied(refused.reason)
    const signal = AbortSignal.any([connection.signal, timeout(node)])
    const { socket, address } = await connectAny(owner, allowed, port, signal)
    return { socket, resolved: address === host ? undefined : hostPort(address, port), isSsh: port === sshPort }
  })
}

/** The same for a unix socket. Rules hold for the path that is left when all links are followed. */
export function dialUnix(path: string, connection: NodeConnection, node: NodeContext): Promise<Socket> {
  return dial(path, connection, node, async ({ owner, rules }) => {
    await look(path, node)
    if (rules === undefined) return { socket: connectUnix(owner, path), resolved: undefined, isSsh: false }
    const real = await realpath(path).catch(() => path)
    const { allow, reason } = decideForward(rules, { path: real })
    if (!allow) throw new ForwardingDenied(reason)
    return { socket: connectUnix(owner, real), resolved: real === path ? undefined : real, isSsh: false }
  })
}

const hostPort = (host: string, port: number): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)

const sshPort = 22
const sshWarning = 'the target is an SSH server: what is done through it is not recorded here'

interface Dialled {
  readonly socket: Socket
  readonly resolved: string | undefined
  readonly isSsh: boolean
}

async function dial(
  target: string,
  connection: NodeConnection,
  node: NodeContext,
  connect: (permit: ForwardPermit) => Promise<Dialled>,
): Promise<Socket> {
  const fields = { ...connectionFields(node, connection), addr: target, direction: 'local' as const }
  let socket: Socket | undefined
  try {
    const dialled = await connect(await forwardPermit(connection, node))
    socket = dialled.socket
    socket.on('error', () => {})
    const known = { ...fields, ...(dialled.resolved === undefined ? {} : { resolved: dialled.resolved }) }
    const warning = dialled.isSsh ? { warning: sshWarning } : {}
    await keep(node, { event: 'port', ...known, success: true, ...warning })
    if (!dialled.isSsh) {
      onSshGreeting(socket, () => record(node, { event: 'port', ...known, success: true, warning: sshWarning }))
    }
    return socket
  } catch (error) {
    socket?.destroy()
    record(node, { event: 'port', ...fields, success: false, error: messageOf(error) })
    if (error instanceof ForwardingDenied) throw new ChannelOpenError('prohibited', error.message)
    throw new ChannelOpenError('connect-failed', messageOf(error))
  }
}

const greeting = Buffer.from('SSH-')

/** Looks at the first bytes that arrive, without holding them up: whoever splices the socket gets them too. */
function onSshGreeting(socket: Socket, found: () => void): void {
  let seen = Buffer.alloc(0)
  const look = (chunk: Buffer): void => {
    seen = Buffer.concat([seen, chunk.subarray(0, greeting.length - seen.length)])
    if (!greeting.subarray(0, seen.length).equals(seen)) socket.off('data', look)
    else if (seen.length === greeting.length) {
      socket.off('data', look)
      found()
    }
  }
  // A listener would start the flow before the splice is there to take part; the splice resumes it.
  socket.pause()
  socket.on('data', look)
}

class ForwardingDenied extends AccessDenied {}

export interface ForwardPermit {
  /** Whose rights the forward uses. */
  readonly owner: UserSockets
  /** Undefined: any target. */
  readonly rules: readonly ForwardRule[] | undefined
}

/** Throws AccessDenied when the roles or the certificate do not permit forwarding (any more). */
export async function forwardPermit(connection: NodeConnection, node: NodeContext): Promise<ForwardPermit> {
  const user = await node.recheck(connection).catch((error: unknown) => {
    throw new ForwardingDenied(messageOf(error))
  })
  if (!user.permissions.portForwarding) throw new ForwardingDenied('port forwarding is not permitted by your roles')
  return {
    owner: { account: user.account.target, privileges: node.privileges },
    rules: forwardRules(user.identity.roles),
  }
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
): Promise<{ readonly socket: Socket; readonly address: string }> {
  let last: unknown = new ConnectionProblem('the name has no address')
  for (const address of addresses) {
    try {
      return { socket: await connectTcp(owner, address, port, signal), address }
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
