/**
 * The SSH server: accepts streams, bounds those that have not logged in, authenticates, then leaves them to the caller's
 * handlers. A connection that misbehaves ends alone.
 */

import { type AddressInfo, createServer, type Server, type Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { type Env, realEnv } from '../common/env.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { SystemError } from '../errors/errors.ts'
import { convertSystemError, messageOf } from '../errors/system.ts'
import { authenticateServer } from './auth/server.ts'
import { keepAlive } from './connection/keep-alive.ts'
import { disconnectReason } from './connection/messages.ts'
import { AuthenticatedConnection } from './server-connection.ts'
import type { PeerAddress, PendingConnection, SshServer, SshServerOptions } from './server-types.ts'
import { acceptTransport } from './transport/connect.ts'
import { resolveLimits } from './transport/limits.ts'
import type { Limits, Transport } from './transport/types.ts'
import { WaitingRoom } from './waiting.ts'

/** Throws BadParameter for limits that make no sense. Nothing listens until `listen` or `handle` is called. */
export function createSshServer<Identity>(options: SshServerOptions<Identity>, env: Env = realEnv): SshServer {
  return new Listener(options, env)
}

interface Live {
  readonly stream: Duplex
  transport: Transport | undefined
}

class Listener<Identity> implements SshServer {
  readonly #options: SshServerOptions<Identity>
  readonly #env: Env
  readonly #limits: Limits
  readonly #logger: Logger
  readonly #live = new Set<Live>()
  readonly #servers = new Set<Server>()
  readonly #idle: (() => void)[] = []
  readonly #waiting: WaitingRoom
  #closing = false

  constructor(options: SshServerOptions<Identity>, env: Env) {
    this.#options = options
    this.#env = env
    this.#limits = resolveLimits(options.limits)
    this.#waiting = new WaitingRoom(this.#limits.maxPreAuthConnections, env)
    this.#logger = options.logger ?? silentLogger
  }

  get connectionCount(): number {
    return this.#live.size
  }

  listen(port: number, host?: string, { reusePort = false } = {}): Promise<AddressInfo> {
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.handle(socket, remoteOf(socket), localOf(socket))
    })
    return new Promise((resolve, reject) => {
      const failed = (error: Error): void => {
        reject(convertSystemError(error, `listen on ${host ?? '*'}:${port}`))
      }
      server.once('error', failed)
      server.listen({ port, reusePort, ...(host === undefined ? {} : { host }) }, () => {
        server.off('error', failed)
        // Running out of file descriptors is no reason to stop: the next accept may succeed.
        server.on('error', (error) => this.#logger.warn('SSH listener', { error: messageOf(error) }))
        this.#servers.add(server)
        const address = server.address()
        if (address === null || typeof address === 'string') reject(new SystemError('EADDRNOTAVAIL', 'not listening'))
        else resolve(address)
      })
    })
  }

  handle(stream: Duplex, peer: PeerAddress, local: PeerAddress = nowhere): void {
    stream.on('error', () => {}) // the transport reports it; this keeps late ones from becoming uncaught exceptions
    const pending: Mutable<PendingConnection> = {
      id: this.#env.randomUuid(),
      peer,
      socketPeer: peer,
      localAddress: local,
      clientVersion: '',
    }
    if (this.#closing) {
      stream.destroy()
      return
    }
    const live: Live = { stream, transport: undefined }
    const leave = this.#waiting.enter({
      address: peer.address,
      isTalking: () => live.transport !== undefined,
      drop: () => stream.destroy(),
    })
    if (leave === undefined) {
      stream.destroy()
      this.#authFailed('too many connections that have not logged in', pending)
      return
    }
    this.#live.add(live)
    void this.#serve(live, pending, leave)
      .catch((error: unknown) => {
        this.#logger.error('SSH connection failed', { error: messageOf(error), connection: pending.id })
        stream.destroy()
      })
      .finally(() => this.#ended(live))
  }

  async close(drainMs = 0): Promise<void> {
    this.#closing = true
    const stopped = [...this.#servers].map((server) => new Promise((resolve) => server.close(resolve)))
    this.#servers.clear()
    const drained = this.#whenIdle()
    if (drainMs > 0 && this.#live.size > 0) {
      const timer = new AbortController()
      await Promise.race([drained, this.#env.sleep(drainMs, timer.signal).catch(() => {})])
      timer.abort()
    }
    for (const { stream, transport } of this.#live) {
      if (transport === undefined) stream.destroy()
      else transport.disconnect(disconnectReason.byApplication, 'the server is closing')
    }
    await drained
    await Promise.all(stopped)
  }

  async #serve(live: Live, pending: Mutable<PendingConnection>, leave: () => void): Promise<void> {
    let connection: AuthenticatedConnection<Identity>
    try {
      connection = await this.#login(live, pending)
    } catch (error) {
      live.stream.destroy()
      this.#logger.debug('SSH connection ended before login', {
        error: messageOf(error),
        address: pending.peer.address,
      })
      // Once there is a transport, user authentication reports what happened, with the request it happened to.
      if (live.transport === undefined) this.#authFailed(messageOf(error), pending)
      return
    } finally {
      leave()
    }
    const { transport } = live
    if (transport === undefined) return
    try {
      const admitted = this.#options.connected?.(connection)
      // Without a promise there is no wait, not even for a microtask.
      if (admitted instanceof Promise) await admitted
    } catch (error) {
      transport.disconnect(disconnectReason.byApplication, messageOf(error))
    }
    connection.mux.start()
    if (this.#options.keepAlive !== undefined) {
      void keepAlive(connection.mux, transport, this.#options.keepAlive, this.#env, connection.signal)
    }
    const error = await transport.closed
    connection.guard(
      'close',
      () => this.#options.closed?.(connection, error),
      () => {},
    )
  }

  async #login(live: Live, pending: Mutable<PendingConnection>): Promise<AuthenticatedConnection<Identity>> {
    const options = this.#options
    const { preamble } = options
    const transport = await acceptTransport({
      stream: live.stream,
      ident: options.ident,
      hostIdentities: (clientVersion) => options.hostIdentities(clientVersion),
      ...(options.algorithms === undefined ? {} : { algorithms: options.algorithms }),
      limits: this.#limits,
      env: this.#env,
      logger: this.#logger,
      ...(preamble === undefined
        ? {}
        : {
            preamble: {
              prefix: preamble.prefix,
              verify: async (text: string): Promise<void> => {
                pending.peer = await preamble.verify(text, pending.socketPeer)
              },
            },
          }),
    })
    live.transport = transport
    pending.clientVersion = transport.remoteVersion
    const auth = await authenticateServer<Identity>({
      transport,
      methods: options.authMethods,
      authenticate: (request) => options.authenticate(request, pending),
      authFailed: (request, reason) => options.authFailed?.(request, reason, pending),
      ...(options.banner === undefined ? {} : { banner: options.banner }),
      limits: this.#limits,
      env: this.#env,
      logger: this.#logger,
    })
    return new AuthenticatedConnection({
      pending,
      transport,
      auth,
      handlers: options,
      limits: this.#limits,
      logger: this.#logger,
    })
  }

  #authFailed(reason: string, pending: PendingConnection): void {
    try {
      this.#options.authFailed?.(undefined, reason, pending)
    } catch (error) {
      this.#logger.error('authFailed handler failed', { error: messageOf(error) })
    }
  }

  #ended(live: Live): void {
    this.#live.delete(live)
    if (this.#live.size === 0) for (const done of this.#idle.splice(0)) done()
  }

  #whenIdle(): Promise<void> {
    if (this.#live.size === 0) return Promise.resolve()
    return new Promise((resolve) => this.#idle.push(resolve))
  }
}

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] }

const nowhere: PeerAddress = { address: '', port: 0 }

const remoteOf = (socket: Socket): PeerAddress => ({
  address: socket.remoteAddress ?? '',
  port: socket.remotePort ?? 0,
})

const localOf = (socket: Socket): PeerAddress => ({ address: socket.localAddress ?? '', port: socket.localPort ?? 0 })
