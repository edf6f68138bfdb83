/**
 * `-R`: listeners on this node for the client. They are the user's own (a low port, or a directory of root's, fails as it would for
 * the user), TCP ones only on loopback as sshd's `GatewayPorts no`, and they end with the connection.
 */

import { once } from 'node:events'
import type { Server, Socket } from 'node:net'
import { AccessDenied, AlreadyExists, LimitExceeded, NotFound } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { Channel } from '../../ssh/connection/types.ts'
import { spliceStreams } from '../../ssh/forward/splice.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import { connectionFields, formatAddress, keep, record } from '../node-events.ts'
import { listenTcp, listenUnix, unlinkAsUser } from '../os/user-socket.ts'
import { forwardPermit } from './direct.ts'

interface Listener {
  close(): void
}

/** Listeners of one connection. */
const maxListeners = 32
/** Connections to one listener at a time. */
const maxConnections = 100
const lowestFreePort = 1024

export class RemoteForwards {
  readonly #node: NodeContext
  readonly #listeners = new WeakMap<NodeConnection, Map<string, Listener>>()

  constructor(node: NodeContext) {
    this.#node = node
  }

  /** The bound port. Throws a kind of `src/errors`. */
  async listenTcp(address: string, port: number, connection: NodeConnection): Promise<number> {
    let bound = port
    await this.#recorded(connection, `${address}:${port}`, async () => {
      const { owner } = await forwardPermit(connection, this.#node)
      if (port !== 0 && port < lowestFreePort && owner.account.uid !== 0) {
        throw new AccessDenied(`port ${port} is reserved for root`)
      }
      const known = this.#of(connection)
      if (port !== 0 && known.has(tcpKey(address, port))) {
        throw new AlreadyExists(`port ${port} is forwarded already`)
      }
      const first = listenTcp(owner, '127.0.0.1', port)
      bound = await boundPort(first)
      const servers = [first]
      try {
        servers.push(listenTcp(owner, '::1', bound))
      } catch {
        // A machine without IPv6, or the port is taken there: the IPv4 one serves.
      }
      for (const server of servers) {
        this.#serve(server, connection, `${address}:${bound}`, (socket) =>
          connection.openForwardedTcpip({
            // The client looks its forward up by the address that it asked for.
            boundAddress: address,
            boundPort: bound,
            originAddress: socket.remoteAddress ?? '127.0.0.1',
            originPort: socket.remotePort ?? 0,
          }),
        )
      }
      this.#keep(connection, known, tcpKey(address, bound), { close: () => closeAll(servers) })
      return tcpKey(address, bound)
    })
    return bound
  }

  async cancelTcp(address: string, port: number, connection: NodeConnection): Promise<void> {
    this.#cancel(connection, tcpKey(address, port))
  }

  /** Throws a kind of `src/errors`. A file that exists already is not replaced. */
  async listenUnix(path: string, connection: NodeConnection): Promise<void> {
    await this.#recorded(connection, path, async () => {
      const { owner } = await forwardPermit(connection, this.#node)
      const known = this.#of(connection)
      const server = listenUnix(owner, path)
      this.#serve(server, connection, path, () => connection.openForwardedStreamlocal(path))
      this.#keep(connection, known, path, {
        close: () => {
          closeAll([server])
          unlinkAsUser(owner, path)
        },
      })
      return path
    })
  }

  async cancelUnix(path: string, connection: NodeConnection): Promise<void> {
    this.#cancel(connection, path)
  }

  /** Ends all listeners of a connection that has closed. */
  closeAll(connection: NodeConnection): void {
    const known = this.#listeners.get(connection)
    this.#listeners.delete(connection)
    for (const listener of known?.values() ?? []) listener.close()
  }

  #of(connection: NodeConnection): Map<string, Listener> {
    const known = this.#listeners.get(connection) ?? new Map<string, Listener>()
    if (known.size >= maxListeners) throw new LimitExceeded(`more than ${maxListeners} forwards on one connection`)
    if (connection.signal.aborted) throw new AccessDenied('the connection is closed')
    this.#listeners.set(connection, known)
    return known
  }

  #keep(connection: NodeConnection, known: Map<string, Listener>, key: string, listener: Listener): void {
    known.set(key, listener)
    // It may have closed while the listener was made; then `closeAll` has been here already.
    if (connection.signal.aborted) listener.close()
  }

  #cancel(connection: NodeConnection, key: string): void {
    const known = this.#listeners.get(connection)
    const listener = known?.get(key)
    if (listener === undefined) throw new NotFound(`${key} is not forwarded`)
    known?.delete(key)
    listener.close()
  }

  #serve(server: Server, connection: NodeConnection, at: string, open: (socket: Socket) => Promise<Channel>): void {
    server.maxConnections = maxConnections
    server.on('error', (error) => this.#node.logger.warn('forward failed', { reason: messageOf(error) }))
    server.on('connection', (socket) => {
      socket.on('error', () => {})
      socket.setNoDelay(true)
      void this.#carry(socket, connection, at, open)
    })
  }

  /** Asked and recorded for each connection: a role that is taken away closes the listeners that stand already. */
  async #carry(
    socket: Socket,
    connection: NodeConnection,
    at: string,
    open: (socket: Socket) => Promise<Channel>,
  ): Promise<void> {
    const { remoteAddress, remotePort } = socket
    const origin = remoteAddress === undefined ? at : formatAddress({ address: remoteAddress, port: remotePort ?? 0 })
    const fields = { ...this.#fields(connection, at), origin }
    try {
      await forwardPermit(connection, this.#node)
      const channel = await open(socket)
      channel.on('error', () => {})
      try {
        await keep(this.#node, { event: 'port', ...fields, success: true })
      } catch (error) {
        channel.destroy()
        throw error
      }
      await spliceStreams(socket, channel)
    } catch (error) {
      socket.destroy()
      record(this.#node, { event: 'port', ...fields, success: false, error: messageOf(error) })
    }
  }

  #fields(connection: NodeConnection, at: string) {
    return { ...connectionFields(this.#node, connection), addr: at, direction: 'remote' as const }
  }

  /** `run` gives the key of the listener it made. */
  async #recorded(connection: NodeConnection, target: string, run: () => Promise<string>): Promise<void> {
    const fields = this.#fields(connection, target)
    let made: string | undefined
    try {
      made = await run()
      // The key names the port that was found, where the client left the choice.
      await keep(this.#node, { event: 'port', ...fields, addr: made, success: true })
    } catch (error) {
      if (made !== undefined && this.#listeners.get(connection)?.has(made) === true) this.#cancel(connection, made)
      record(this.#node, { event: 'port', ...fields, success: false, error: messageOf(error) })
      throw error
    }
  }
}

const tcpKey = (address: string, port: number): string => `${address}:${port}`

function closeAll(servers: readonly Server[]): void {
  for (const server of servers) server.close()
}

async function boundPort(server: Server): Promise<number> {
  if (!server.listening) await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new NotFound('the listener has no port')
  return address.port
}
