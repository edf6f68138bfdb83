/** One authenticated connection of a server: routes what the client opens and asks for to the caller's handlers. */

import type { Duplex } from 'node:stream'
import type { Logger } from '../common/log.ts'
import { ConnectionProblem, KindError } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { ServerAuthResult } from './auth/types.ts'
import type { Certificate } from './certificate/types.ts'
import {
  encodeForwardedStreamlocal,
  encodeTcpip,
  encodeX11Origin,
  readDirectStreamlocal,
  readForward,
  readStreamlocalForward,
  readTcpip,
} from './connection/forward-requests.ts'
import { disconnectReason, noBytes } from './connection/messages.ts'
import { ConnectionMux } from './connection/mux.ts'
import type { IncomingOpen } from './connection/mux-types.ts'
import { serveSession } from './connection/server-session.ts'
import { type Channel, ChannelOpenError } from './connection/types.ts'
import { spliceStreams } from './forward/splice.ts'
import type { PeerAddress, PendingConnection, ServerConnection, ServerHandlers } from './server-types.ts'
import { PeerDisconnected, ProtocolProblem } from './transport/problem.ts'
import type { Limits, Transport } from './transport/types.ts'
import { WireError, type WireReader } from './wire/reader.ts'
import { WireWriter } from './wire/writer.ts'

export interface AuthenticatedOptions<Identity> {
  readonly pending: PendingConnection
  readonly transport: Transport
  readonly auth: ServerAuthResult<Identity>
  readonly handlers: ServerHandlers<Identity>
  readonly limits: Limits
  readonly logger: Logger
}

export class AuthenticatedConnection<Identity> implements ServerConnection<Identity> {
  readonly id: string
  readonly peer: PeerAddress
  readonly socketPeer: PeerAddress
  readonly localAddress: PeerAddress
  readonly clientVersion: string
  readonly user: string
  readonly identity: Identity
  readonly certificate: Certificate | undefined
  readonly mux: ConnectionMux
  readonly #transport: Transport
  readonly #handlers: ServerHandlers<Identity>
  readonly #limits: Limits
  readonly #logger: Logger
  readonly #abort = new AbortController()
  #forwards = 0
  #noMoreSessions = false
  #wasLost = false

  constructor(options: AuthenticatedOptions<Identity>) {
    const { pending, transport, auth } = options
    this.id = pending.id
    this.peer = pending.peer
    this.socketPeer = pending.socketPeer
    this.localAddress = pending.localAddress
    this.clientVersion = pending.clientVersion
    this.user = auth.user
    this.identity = auth.identity
    this.certificate = auth.certificate
    this.#transport = transport
    this.#handlers = options.handlers
    this.#limits = options.limits
    this.#logger = options.logger
    this.mux = new ConnectionMux({
      transport,
      limits: options.limits,
      logger: options.logger,
      onOpen: (open) => this.#onOpen(open),
      onGlobalRequest: (name, extra, reply) => this.#onGlobalRequest(name, extra, reply),
    })
    void transport.closed.then((error) => {
      this.#wasLost = error !== undefined && !(error instanceof PeerDisconnected) && !(error instanceof ProtocolProblem)
      this.#abort.abort(error ?? new ConnectionProblem('the SSH connection is closed'))
    })
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  get wasLost(): boolean {
    return this.#wasLost
  }

  openForwardedTcpip(request: {
    readonly boundAddress: string
    readonly boundPort: number
    readonly originAddress: string
    readonly originPort: number
  }): Promise<Channel> {
    const { boundAddress: host, boundPort: port, originAddress, originPort } = request
    return this.mux.open('forwarded-tcpip', encodeTcpip({ host, port, originAddress, originPort }))
  }

  openForwardedStreamlocal(path: string): Promise<Channel> {
    return this.mux.open('forwarded-streamlocal@openssh.com', encodeForwardedStreamlocal(path))
  }

  openAgent(): Promise<Channel> {
    return this.mux.open('auth-agent@openssh.com', noBytes)
  }

  openX11(originAddress: string, originPort: number): Promise<Channel> {
    return this.mux.open('x11', encodeX11Origin(originAddress, originPort))
  }

  disconnect(message: string): void {
    this.#transport.disconnect(disconnectReason.byApplication, message)
  }

  // ---- channels ----

  #onOpen(open: IncomingOpen): void {
    switch (open.type) {
      case 'session':
        this.#openSession(open)
        return
      case 'direct-tcpip': {
        const { directTcpip } = this.#handlers
        this.#connect(open, directTcpip && ((extra) => directTcpip.call(this.#handlers, readTcpip(extra), this)))
        return
      }
      case 'direct-streamlocal@openssh.com': {
        const { directStreamlocal: dial } = this.#handlers
        this.#connect(open, dial && ((extra) => dial.call(this.#handlers, readDirectStreamlocal(extra), this)))
        return
      }
      default:
        open.refuse('unknown-channel-type', 'this channel type is not supported')
    }
  }

  #openSession(open: IncomingOpen): void {
    open.extra.end()
    const handler = this.#handlers.session
    if (this.#noMoreSessions) {
      // The client said it would open no more: whoever asks now is not the user (OpenSSH PROTOCOL section 2.2).
      this.mux.protocolError('a session was opened after no-more-sessions')
      return
    }
    if (handler === undefined) {
      open.refuse('prohibited', 'sessions are not permitted')
      return
    }
    try {
      this.#handlers.admitSession?.(this.mux.sessionCount, this)
    } catch (error) {
      const refusal = refusalOf(error)
      open.refuse(refusal.failure, refusal.message)
      return
    }
    const channel = open.accept({ stderr: 'write', holdOpen: true })
    if (channel === undefined) return
    serveSession({
      channel,
      allow: (request) => this.#handlers.allowSessionRequest?.(request, this) ?? true,
      onStart: (session) => {
        this.guard(
          'session',
          () => handler.call(this.#handlers, session, this),
          () => channel.destroy(),
        )
      },
    })
  }

  #connect(open: IncomingOpen, connect: ((extra: WireReader) => Promise<Duplex>) | undefined): void {
    if (connect === undefined) {
      open.refuse('prohibited', 'forwarding is not permitted')
      return
    }
    const dial = async (): Promise<void> => {
      let stream: Duplex
      try {
        stream = await connect(open.extra)
      } catch (error) {
        const refusal = refusalOf(error)
        open.refuse(refusal.failure, refusal.message)
        return
      }
      const channel = open.accept()
      if (channel === undefined) stream.destroy()
      else await spliceStreams(channel, stream)
    }
    this.guard('forwarding', dial, () => {})
  }

  // ---- global requests ----

  #onGlobalRequest(name: string, extra: WireReader, reply: (answer: Buffer | false) => void): void {
    const handlers = this.#handlers
    switch (name) {
      case 'tcpip-forward': {
        const { address, port } = readForward(extra)
        this.#forward(reply, 1, async () => {
          const bound = await handlers.tcpipForward?.(address, port, this)
          if (bound === undefined) return undefined
          return port === 0 ? new WireWriter(4).uint32(bound).take() : noBytes
        })
        return
      }
      case 'cancel-tcpip-forward': {
        const { address, port } = readForward(extra)
        this.#forward(reply, -1, async () => {
          if (handlers.cancelTcpipForward === undefined) return undefined
          await handlers.cancelTcpipForward(address, port, this)
          return noBytes
        })
        return
      }
      case 'streamlocal-forward@openssh.com': {
        const path = readStreamlocalForward(extra)
        this.#forward(reply, 1, async () => {
          if (handlers.streamlocalForward === undefined) return undefined
          await handlers.streamlocalForward(path, this)
          return noBytes
        })
        return
      }
      case 'cancel-streamlocal-forward@openssh.com': {
        const path = readStreamlocalForward(extra)
        this.#forward(reply, -1, async () => {
          if (handlers.cancelStreamlocalForward === undefined) return undefined
          await handlers.cancelStreamlocalForward(path, this)
          return noBytes
        })
        return
      }
      case 'no-more-sessions@openssh.com':
        this.#noMoreSessions = true
        reply(noBytes)
        return
      case 'keepalive@openssh.com':
        reply(noBytes)
        return
      default:
        reply(false)
    }
  }

  /** Runs a request that listens (`change` 1) or stops listening (-1); as many may listen as channels may be open. */
  #forward(reply: (answer: Buffer | false) => void, change: 1 | -1, run: () => Promise<Buffer | undefined>): void {
    if (change === 1 && this.#forwards >= this.#limits.maxChannels) {
      reply(false)
      return
    }
    if (change === 1) this.#forwards++
    run().then(
      (content) => {
        if (content === undefined ? change === 1 : change === -1) this.#forwards--
        reply(content ?? false)
      },
      (error: unknown) => {
        if (change === 1) this.#forwards--
        this.#logger.debug('forwarding refused', { error: messageOf(error) })
        reply(false)
      },
    )
  }

  /** Runs a caller's handler so that neither a throw nor a rejection leaves this connection. */
  guard(what: string, run: () => unknown, failed: () => void): void {
    const fail = (error: unknown): void => {
      this.#logger.error(`SSH ${what} handler failed`, { error: messageOf(error), connection: this.id })
      failed()
    }
    try {
      const result = run()
      if (result instanceof Promise) result.catch(fail)
    } catch (error) {
      fail(error)
    }
  }
}

function refusalOf(error: unknown): ChannelOpenError {
  if (error instanceof ChannelOpenError) return error
  if (error instanceof WireError) return new ChannelOpenError('prohibited', error.message)
  // Only messages of our own kinds are meant for people on the other side.
  return new ChannelOpenError('connect-failed', error instanceof KindError ? error.message : 'connection failed')
}
