/** `ssh -R` on the server's side: listens for a connection and opens a channel towards the client for everyone who comes. */

import { unlink } from 'node:fs/promises'
import { AlreadyExists, NotFound } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { Channel } from '../connection/types.ts'
import type { ServerConnection } from '../server-types.ts'
import { type ForwardListener, listenForward } from './listen.ts'
import { spliceStreams } from './splice.ts'

export interface RemoteForwardOptions {
  /**
   * Where to listen when the client asks for this address. Default: 127.0.0.1 whatever was asked (`GatewayPorts no`), ::1 for ::1.
   * Throw to refuse.
   */
  bindAddress?(requested: string): string
  /** Remove a left-over socket file first (`StreamLocalBindUnlink`). Default false. */
  readonly unlinkFirst?: boolean
  onError?(message: string): void
}

/** The remote forwards of one connection. They end with it. The methods are what ServerHandlers wants. */
export class RemoteForwards {
  readonly #connection: ServerConnection<unknown>
  readonly #options: RemoteForwardOptions
  readonly #listeners = new Map<string, ForwardListener>()

  constructor(connection: ServerConnection<unknown>, options: RemoteForwardOptions = {}) {
    this.#connection = connection
    this.#options = options
    connection.signal.addEventListener('abort', () => void this.close(), { once: true })
  }

  /** Returns the bound port. Throws what the bind throws. */
  async tcpipForward(address: string, port: number): Promise<number> {
    const host = (this.#options.bindAddress ?? loopbackOnly)(address)
    const listener = await listenForward(
      { host, port },
      {
        onConnection: (socket) =>
          this.#carry(socket, () =>
            this.#connection.openForwardedTcpip({
              // The client finds its forward by exactly what it asked for (RFC 4254 section 7.2).
              boundAddress: address,
              boundPort: listener.port,
              originAddress: socket.remoteAddress ?? '',
              originPort: socket.remotePort ?? 0,
            }),
          ),
        onError: (message) => this.#options.onError?.(message),
      },
    )
    await this.#keep(`tcp ${address} ${listener.port}`, listener)
    return listener.port
  }

  async cancelTcpipForward(address: string, port: number): Promise<void> {
    await this.#cancel(`tcp ${address} ${port}`)
  }

  /** The socket is made with mode 0600. */
  async streamlocalForward(path: string): Promise<void> {
    if (this.#options.unlinkFirst === true) await unlink(path).catch(() => {})
    const listener = await listenForward(
      { path },
      {
        onConnection: (socket) => this.#carry(socket, () => this.#connection.openForwardedStreamlocal(path)),
        onError: (message) => this.#options.onError?.(message),
      },
    )
    await this.#keep(`unix ${path}`, listener)
  }

  async cancelStreamlocalForward(path: string): Promise<void> {
    await this.#cancel(`unix ${path}`)
  }

  /** Stops listening everywhere. */
  async close(): Promise<void> {
    const listeners = [...this.#listeners.values()]
    this.#listeners.clear()
    await Promise.all(listeners.map((listener) => listener.close()))
  }

  async #carry(socket: Parameters<typeof spliceStreams>[0], open: () => Promise<Channel>): Promise<void> {
    try {
      await spliceStreams(socket, await open())
    } catch (error) {
      socket.destroy()
      this.#options.onError?.(messageOf(error))
    }
  }

  async #keep(key: string, listener: ForwardListener): Promise<void> {
    if (this.#connection.signal.aborted || this.#listeners.has(key)) {
      await listener.close(true)
      throw new AlreadyExists('this forwarding exists already')
    }
    this.#listeners.set(key, listener)
  }

  async #cancel(key: string): Promise<void> {
    const listener = this.#listeners.get(key)
    if (listener === undefined) throw new NotFound('there is no such forwarding')
    this.#listeners.delete(key)
    await listener.close()
  }
}

const loopbackOnly = (requested: string): string => (requested === '::1' ? '::1' : '127.0.0.1')
