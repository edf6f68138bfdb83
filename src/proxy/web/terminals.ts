/**
 * Terminals in a browser: a WebSocket here, SSH to the server with a key that signs at auth, and the server's host certificate
 * checked as `tsh` does. To the server it is a session like any other: same checks, same recording, the browser's own address.
 */

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { checkNodeHost } from '../../api/host-check.ts'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import {
  AccessDenied,
  ConnectionProblem,
  httpStatus,
  isAccessDenied,
  KindError,
  NotFound,
} from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { connectSsh } from '../../ssh/client.ts'
import type { SshClient } from '../../ssh/client-types.ts'
import { atExpiry, type Clients } from '../ssh/clients.ts'
import { openTarget, type TargetOptions } from '../ssh/targets.ts'
import { identityOf } from './backend.ts'
import type { BrowserSessions, HeldSession } from './browser-sessions.ts'
import { plainAddress } from './rate-limit.ts'
import type { WebClient } from './routes.ts'
import { readTerminalAsk, type TerminalAsk, TerminalSocket, terminalServer } from './terminal-socket.ts'

export interface TerminalsOptions {
  readonly sessions: Pick<BrowserSessions, 'hold'>
  readonly targets: TargetOptions & { readonly state: Parameters<typeof identityOf>[0] & TargetOptions['state'] }
  readonly clients: Clients
  readonly env: Env
  readonly logger: Logger
}

/** Milliseconds. */
const loginTimeout = 15_000
const pingEvery = 20_000

export class Terminals {
  readonly #options: TerminalsOptions
  readonly #server = terminalServer()
  readonly #closing = new AbortController()
  #running = 0
  #idle: (() => void) | undefined

  constructor(options: TerminalsOptions) {
    this.#options = options
  }

  /** Of a request to change the protocol. `refuse` answers with a status and ends the connection. */
  async upgrade(
    request: IncomingMessage,
    socket: Duplex,
    head: Buffer,
    refuse: (status: number, error: KindError) => void,
  ): Promise<void> {
    const address = plainAddress(request.socket.remoteAddress ?? '')
    const port = request.socket.remotePort ?? 0
    try {
      const ask = readTerminalAsk(request)
      if (ask === undefined) throw new NotFound('there is no such WebSocket')
      const client: WebClient = { address }
      const held = await this.#options.sessions.hold(ask.token, client)
      if (socket.destroyed || this.#closing.signal.aborted) {
        held.release()
        socket.destroy()
        return
      }
      socket.once('close', () => held.release())
      this.#server.handleUpgrade(request, socket, head, (opened) => {
        void this.#serve(opened, held, ask, { address, port })
      })
    } catch (error) {
      if (!(error instanceof KindError)) throw error
      refuse(httpStatus[error.kind], error)
    }
  }

  /** Ends all terminals. */
  async close(): Promise<void> {
    this.#closing.abort(new ConnectionProblem('the proxy is stopping'))
    if (this.#running > 0) {
      await new Promise<void>((resolve) => {
        this.#idle = resolve
      })
    }
  }

  async #serve(
    socket: WebSocket,
    held: HeldSession,
    ask: TerminalAsk,
    peer: { readonly address: string; readonly port: number },
  ): Promise<void> {
    const gone = new AbortController()
    socket.on('close', () => gone.abort(new ConnectionProblem('the page has gone')))
    socket.on('error', (error) => this.#options.logger.debug('a terminal broke', { error: messageOf(error) }))
    const signal = AbortSignal.any([gone.signal, held.signal, this.#closing.signal])
    const page = new TerminalSocket(socket)
    this.#running++
    void keepAlive(socket, this.#options.env, signal)
    let leave: (() => void) | undefined
    try {
      leave = this.#options.clients.enter(held.session.user)
      const result = await this.#run(page, held, ask, peer, signal)
      page.end(result.message, result.status)
    } catch (error) {
      if (!(error instanceof KindError) && !signal.aborted) {
        this.#options.logger.error('a terminal failed', { error: messageOf(error) })
      }
      page.end(signal.aborted ? messageOf(signal.reason) : wordsFor(error))
    } finally {
      leave?.()
      held.release()
      if (--this.#running === 0) this.#idle?.()
    }
  }

  async #run(
    page: TerminalSocket,
    held: HeldSession,
    ask: TerminalAsk,
    peer: { readonly address: string; readonly port: number },
    signal: AbortSignal,
  ): Promise<{ readonly message: string; readonly status?: number }> {
    const { targets, env } = this.#options
    const identity = identityOf(targets.state, held.session, peer.address, env)
    const over = new AbortController()
    const either = AbortSignal.any([signal, over.signal])
    void atExpiry(identity.expires, env, either, () => over.abort(new AccessDenied('your login has expired')))
    const subject = { roles: identity.roles, traits: identity.traits }
    const stream = await openTarget(
      targets,
      { user: identity.user, subject, peer, signal: either },
      { host: ask.node, port: 0, cluster: undefined },
    )
    const ssh = await this.#login(stream, held, ask, either)
    try {
      const session = await ssh.openSession()
      const { columns, rows } = ask
      const size = { columns, rows, widthPixels: 0, heightPixels: 0 }
      // UTF-8 whatever the server's default is; the language stays the server's.
      session.setEnv('LC_CTYPE', 'C.UTF-8')
      await session.requestPty({ ...size, term: 'xterm-256color', modes: new Map() })
      await session.shell()
      session.stderr.resume()
      session.channel.on('error', () => {})
      page.notify({ type: 'ready' })
      page.listen(session.channel, {
        resize: (wide, high) => session.windowChange({ ...size, columns: wide, rows: high }),
        used: () => held.touch(),
      })
      await page.show(session.channel, either)
      either.throwIfAborted()
      const exited = await session.exited
      if (exited === undefined) return { message: 'the connection was closed by the server' }
      if (exited.kind === 'signal') return { message: `the session ended: ${exited.message || exited.signal}` }
      return { message: 'the session has ended', status: exited.status }
    } finally {
      over.abort()
      await ssh.close()
    }
  }

  async #login(stream: Duplex, held: HeldSession, ask: TerminalAsk, signal: AbortSignal): Promise<SshClient> {
    const { env, logger, targets } = this.#options
    const { clusterName, config, hostAuthorities } = targets.state
    let verified = false
    return connectSsh(
      {
        stream,
        user: ask.login,
        ident: 'Teleport_web',
        identities: [held.identity],
        verifyHost: (presented) => {
          checkNodeHost(presented, { authorities: hostAuthorities, cluster: clusterName, now: env.now() }, ask.node)
          verified = true
        },
        limits: { loginGraceMs: loginTimeout },
        keepAlive: { intervalMs: config.keepAliveInterval * 1000, maxMissed: config.keepAliveCountMax },
        logger,
        signal,
      },
      env,
    ).catch((error: unknown) => {
      if (!verified || !isAccessDenied(error)) throw error
      const node = targets.state.serverByUuid('node', ask.node)?.hostname ?? ask.node
      throw new AccessDenied(`access denied: ${held.session.user} may not log in to ${node} as ${ask.login}`)
    })
  }
}

const wordsFor = (error: unknown): string =>
  error instanceof KindError ? error.message : 'internal error; see the log of the proxy'

/** A page that vanished without a word is noticed by its silence. */
async function keepAlive(socket: WebSocket, env: Env, signal: AbortSignal): Promise<void> {
  let heard = true
  socket.on('pong', () => {
    heard = true
  })
  try {
    for (;;) {
      await env.sleep(pingEvery, signal)
      if (!heard) return socket.terminate()
      heard = false
      socket.ping()
    }
  } catch {
    // The terminal has ended.
  }
}
