/** The SSH client: one connected stream in, an authenticated connection out. Trust is the caller's: `verifyHost` must be given. */

import type { Duplex } from 'node:stream'
import { type Env, realEnv } from '../common/env.ts'
import { ConnectionProblem } from '../errors/errors.ts'
import { authenticateClient } from './auth/client.ts'
import type { SshClient, SshClientOptions } from './client-types.ts'
import { ChannelSession } from './connection/client-session.ts'
import {
  encodeDirectStreamlocal,
  encodeForward,
  encodeStreamlocalForward,
  encodeTcpip,
  readForwardedStreamlocal,
  readTcpip,
  readX11Origin,
} from './connection/forward-requests.ts'
import { keepAlive } from './connection/keep-alive.ts'
import { disconnectReason, noBytes } from './connection/messages.ts'
import { ConnectionMux } from './connection/mux.ts'
import type { IncomingOpen } from './connection/mux-types.ts'
import { type Channel, ChannelOpenError, type ClientSession, type ForwardedOrigin } from './connection/types.ts'
import { spliceStreams } from './forward/splice.ts'
import { connectTransport } from './transport/connect.ts'
import { resolveLimits } from './transport/limits.ts'
import type { PresentedHostKey, Transport } from './transport/types.ts'
import { WireReader } from './wire/reader.ts'

/**
 * Exchanges keys, checks the host and logs in. Rejects with AccessDenied when host or user are refused, ConnectionProblem when
 * the connection ends; the stream is destroyed then.
 */
export async function connectSsh(options: SshClientOptions, env: Env = realEnv): Promise<SshClient> {
  const limits = resolveLimits(options.limits)
  options.stream.on('error', () => {}) // the transport reports it
  noDelay(options.stream)
  const { logger, signal } = options
  const shared = { ...(logger === undefined ? {} : { logger }) }
  const transport = await connectTransport({
    stream: options.stream,
    ident: options.ident,
    verifyHost: (presented) => options.verifyHost(presented),
    ...(options.preamble === undefined ? {} : { preamble: options.preamble }),
    ...(options.algorithms === undefined ? {} : { algorithms: options.algorithms }),
    ...(options.guess === undefined ? {} : { guess: options.guess }),
    ...(signal === undefined ? {} : { signal }),
    limits,
    env,
    ...shared,
  })
  try {
    await authenticateClient({
      transport,
      user: options.user,
      identities: options.identities,
      ...(options.password === undefined ? {} : { password: options.password }),
      onBanner: (text) => options.onBanner?.(text),
      ...shared,
    })
  } catch (error) {
    transport.disconnect(disconnectReason.byApplication, 'login failed')
    throw error
  }
  const presented = transport.presentedHostKey
  if (presented === undefined) throw new ConnectionProblem('the server showed no host key')
  const mux = new ConnectionMux({
    transport,
    limits,
    onOpen: (open) => serveOpen(open, options),
    // hostkeys-00@openssh.com is ignored: hosts are trusted by certificate, or by what the caller stored itself.
    onGlobalRequest: (name, _extra, reply) => reply(name === 'keepalive@openssh.com' ? noBytes : false),
    ...shared,
  })
  const client = new EstablishedClient(transport, mux, presented, env)
  mux.start()
  if (options.keepAlive !== undefined) void keepAlive(mux, transport, options.keepAlive, env, client.signal)
  return client
}

class EstablishedClient implements SshClient {
  readonly serverVersion: string
  readonly hostKey: PresentedHostKey
  readonly closed: Promise<Error | undefined>
  readonly #transport: Transport
  readonly #mux: ConnectionMux
  readonly #env: Env
  readonly #abort = new AbortController()

  constructor(transport: Transport, mux: ConnectionMux, hostKey: PresentedHostKey, env: Env) {
    this.#transport = transport
    this.#mux = mux
    this.#env = env
    this.serverVersion = transport.remoteVersion
    this.hostKey = hostKey
    this.closed = transport.closed
    void this.closed.then((error) => this.#abort.abort(error ?? new ConnectionProblem('the SSH connection is closed')))
  }

  get farewell(): string | undefined {
    return this.#transport.farewell
  }

  get signal(): AbortSignal {
    return this.#abort.signal
  }

  async openSession(): Promise<ClientSession> {
    // Held open until the server closes: the exit status may come long after both directions have ended.
    return new ChannelSession(await this.#mux.open('session', noBytes, { stderr: 'read', holdOpen: true }))
  }

  openDirectTcpip(host: string, port: number, origin: ForwardedOrigin = loopback): Promise<Channel> {
    const addresses = { host, port, originAddress: origin.address, originPort: origin.port }
    return this.#mux.open('direct-tcpip', encodeTcpip(addresses))
  }

  openDirectStreamlocal(path: string): Promise<Channel> {
    return this.#mux.open('direct-streamlocal@openssh.com', encodeDirectStreamlocal(path))
  }

  async requestTcpipForward(address: string, port: number): Promise<number> {
    const answer = await this.#ask('tcpip-forward', encodeForward(address, port), 'the port forwarding')
    return port === 0 ? new WireReader(answer).uint32() : port
  }

  async cancelTcpipForward(address: string, port: number): Promise<void> {
    await this.#ask('cancel-tcpip-forward', encodeForward(address, port), 'to cancel the port forwarding')
  }

  async requestStreamlocalForward(path: string): Promise<void> {
    await this.#ask('streamlocal-forward@openssh.com', encodeStreamlocalForward(path), 'the socket forwarding')
  }

  async cancelStreamlocalForward(path: string): Promise<void> {
    const extra = encodeStreamlocalForward(path)
    await this.#ask('cancel-streamlocal-forward@openssh.com', extra, 'to cancel the socket forwarding')
  }

  async ping(): Promise<number> {
    const start = this.#env.monotonicMs()
    await this.#mux.globalRequest('keepalive@openssh.com')
    if (this.#transport.isClosed) throw new ConnectionProblem('the SSH connection is closed')
    return this.#env.monotonicMs() - start
  }

  async close(): Promise<void> {
    this.#transport.disconnect(disconnectReason.byApplication, 'disconnected by user')
    await this.closed
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #ask(name: string, extra: Buffer, what: string): Promise<Buffer> {
    const answer = await this.#mux.globalRequest(name, extra)
    if (answer !== false) return answer
    if (this.#transport.isClosed) throw new ConnectionProblem('the SSH connection is closed')
    throw new ChannelOpenError('prohibited', `the server refused ${what}`)
  }
}

/** What the server opens towards us: only what the caller has a handler for. */
function serveOpen(open: IncomingOpen, options: SshClientOptions): void {
  switch (open.type) {
    case 'forwarded-tcpip': {
      const { host, port, originAddress, originPort } = readTcpip(open.extra)
      const origin = { address: originAddress, port: originPort }
      void connect(
        open,
        options.onForwardedTcpip && (() => options.onForwardedTcpip?.({ address: host, port }, origin)),
      )
      return
    }
    case 'forwarded-streamlocal@openssh.com': {
      const path = readForwardedStreamlocal(open.extra)
      void connect(open, options.onForwardedStreamlocal && (() => options.onForwardedStreamlocal?.(path)))
      return
    }
    case 'auth-agent@openssh.com':
      void connect(open, options.onAgent && (() => options.onAgent?.()))
      return
    case 'x11': {
      const origin = readX11Origin(open.extra)
      void connect(open, options.onX11 && (() => options.onX11?.(origin)))
      return
    }
    default:
      open.refuse('unknown-channel-type', 'this channel type is not supported')
  }
}

async function connect(open: IncomingOpen, dial: (() => Promise<Duplex> | undefined) | undefined): Promise<void> {
  let stream: Duplex | undefined
  try {
    stream = await dial?.()
  } catch (error) {
    const refusal =
      error instanceof ChannelOpenError ? error : new ChannelOpenError('connect-failed', 'connection failed')
    open.refuse(refusal.failure, refusal.message)
    return
  }
  if (stream === undefined) {
    open.refuse('prohibited', 'this was not asked for')
    return
  }
  const channel = open.accept()
  if (channel === undefined) stream.destroy()
  else await spliceStreams(channel, stream)
}

const loopback: ForwardedOrigin = { address: '127.0.0.1', port: 0 }

function noDelay(stream: Duplex): void {
  if ('setNoDelay' in stream && typeof stream.setNoDelay === 'function') stream.setNoDelay(true)
}
