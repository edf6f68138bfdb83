/**
 * X11 for one session, as sshd does it (RFC 4254 section 6.3, OpenSSH session.c and channels.c): a display on loopback whose connections
 * go to the client. The cookie that the client sent is passed on as it is; the client is the one that checks it with each connection, so
 * whoever else on this machine finds the port gets no further.
 */

import { once } from 'node:events'
import type { Server, Socket } from 'node:net'
import { AccessDenied, LimitExceeded, SystemError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { X11Request } from '../../ssh/connection/types.ts'
import { spliceStreams } from '../../ssh/forward/splice.ts'
import type { NodeConnection, NodeContext, X11Displays } from '../context.ts'
import { connectionFields, keep, record } from '../node-events.ts'
import { listenTcp, type UserSockets } from '../os/user-socket.ts'
import { addXauth, removeXauth } from './xauth.ts'

export interface X11Ask {
  readonly sid: string
  readonly request: X11Request
  readonly connection: NodeConnection
  readonly node: NodeContext
  readonly owner: UserSockets
  /** Of the session, for `xauth`. */
  readonly env: Readonly<Record<string, string>>
}

export interface X11Display {
  /** For DISPLAY: `localhost:10.0`. */
  readonly display: string
  /** Ends the listener and forgets the cookie. Connections that are open go on until the program or the client ends them, as with sshd. */
  close(): void
}

const firstPort = 6000
/** Connections to one display at a time: anybody on the machine may connect, and must not use up the channels of the user's connection. */
const maxConnections = 64

/**
 * A display that is ready for programs of the session. Throws a kind of `src/errors` that says what is missing; each outcome is an
 * `x11-forward` event. Nothing listens when it throws.
 */
export async function openDisplay(ask: X11Ask): Promise<X11Display> {
  const { node, connection, sid } = ask
  const fields = { ...connectionFields(node, connection), sid }
  let listening: Listening | undefined
  try {
    if (ask.request.authCookie === '') throw new AccessDenied('the client sent no X11 cookie')
    listening = await listen(ask)
    const { name, display } = listening
    await addXauth(xauthUser(ask), { name, protocol: ask.request.authProtocol, cookie: ask.request.authCookie })
    await keep(node, { event: 'x11-forward', ...fields, display, success: true })
  } catch (error) {
    listening?.close()
    record(node, { event: 'x11-forward', ...fields, success: false, error: messageOf(error) })
    throw error
  }
  const { name, display, close } = listening
  return {
    display,
    close() {
      close()
      removeXauth(xauthUser(ask), name).catch((error: unknown) => {
        node.logger.debug('the cookie of a display stays', { display, reason: messageOf(error) })
      })
    },
  }
}

/** Records that a client asked for X11 and may not have it. */
export function recordX11Refusal(connection: NodeConnection, node: NodeContext): void {
  const error = node.x11.enabled
    ? 'X11 forwarding is not permitted by your roles'
    : 'X11 forwarding is switched off on this node (ssh_service.x11)'
  record(node, { event: 'x11-forward', ...connectionFields(node, connection), success: false, error })
}

const xauthUser = ({ owner, env, node }: X11Ask) => ({ owner, env, clock: node.env })

interface Listening {
  readonly display: string
  /** In the user's authority file. Programs look `localhost` up under the name of the machine's own displays. */
  readonly name: string
  close(): void
}

async function listen(ask: X11Ask): Promise<Listening> {
  const { number, servers } = await freeDisplay(ask.owner, ask.node.x11)
  const close = (): void => {
    for (const server of servers) server.close()
  }
  let used = false
  let open = 0
  const serve = (socket: Socket): void => {
    socket.on('error', () => {})
    socket.setNoDelay(true)
    if (open >= maxConnections) {
      socket.destroy()
      return
    }
    open++
    socket.once('close', () => open--)
    if (ask.request.singleConnection) {
      if (used) {
        socket.destroy()
        return
      }
      used = true
      close()
    }
    void carry(ask, socket)
  }
  for (const server of servers) {
    server.on('error', (error) => ask.node.logger.warn('an X11 display failed', { reason: messageOf(error) }))
    server.on('connection', serve)
  }
  const screen = ask.request.screenNumber
  return { display: `localhost:${number}.${screen}`, name: `unix:${number}.${screen}`, close }
}

/** Asked again for each connection: a role that is taken away counts for displays that are there already. */
async function carry({ node, connection }: X11Ask, socket: Socket): Promise<void> {
  try {
    const user = await node.recheck(connection)
    if (!user.permissions.x11Forwarding) throw new AccessDenied('X11 forwarding is not permitted any more')
    const channel = await connection.openX11(socket.remoteAddress ?? '127.0.0.1', socket.remotePort ?? 0)
    await spliceStreams(socket, channel)
  } catch (error) {
    node.logger.debug('an X11 connection was refused', { reason: messageOf(error) })
    socket.destroy()
  }
}

/**
 * The first display that is free for both versions of IP: `localhost` may mean either, and somebody else on the other one would be
 * handed the cookie (CVE-2008-1483).
 */
async function freeDisplay(
  owner: UserSockets,
  { firstDisplay, lastDisplay }: X11Displays,
): Promise<{ readonly number: number; readonly servers: readonly Server[] }> {
  for (let number = firstDisplay; number <= lastDisplay; number++) {
    const servers = bindBoth(owner, firstPort + number)
    if (servers === undefined) continue
    await Promise.all(servers.map((server) => (server.listening ? undefined : once(server, 'listening'))))
    return { number, servers }
  }
  throw new LimitExceeded(`all ${lastDisplay - firstDisplay + 1} X11 displays of this node are in use`)
}

/** Undefined when the port is taken. */
function bindBoth(owner: UserSockets, port: number): readonly Server[] | undefined {
  const servers: Server[] = []
  for (const address of ['127.0.0.1', '::1'] as const) {
    try {
      servers.push(listenTcp(owner, address, port))
    } catch (error) {
      // A machine without IPv6 has nobody else there either.
      if (address === '::1' && !isInUse(error)) return servers
      for (const server of servers) server.close()
      if (isInUse(error)) return undefined
      throw error
    }
  }
  return servers
}

const isInUse = (error: unknown): boolean => error instanceof SystemError && error.errno === 'EADDRINUSE'
