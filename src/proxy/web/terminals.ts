/**
 * Terminals in a browser: a WebSocket here, SSH to the server with a key that signs at auth, and the server's host certificate
 * checked as `tsh` does. To the server it is a session like any other: same checks, same recording, the browser's own address.
 */

import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import type { WebSocket } from 'ws'
import { checkNodeHost } from '../../api/host-check.ts'
import { parseCertificateLine } from '../../api/lines.ts'
import { announceVariable, readAnnouncement } from '../../api/session-announcement.ts'
import { filesProtocol, terminalLeft, terminalProtocol } from '../../api/web-app.ts'
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
import { PeerDisconnected } from '../../ssh/transport/problem.ts'
import { atExpiry, type Clients } from '../ssh/clients.ts'
import { openTarget, type TargetOptions } from '../ssh/targets.ts'
import { identityOf } from './backend.ts'
import type { BrowserSessions, HeldSession } from './browser-sessions.ts'
import { type FileAsk, FileSocket, readFileAsk } from './file-socket.ts'
import { firstWords } from './first-words.ts'
import { plainAddress } from './rate-limit.ts'
import type { WebClient } from './routes.ts'
import {
  type JoinAsk,
  type ModerateAction,
  pageSocketServer,
  readTerminalAsk,
  type TerminalAsk,
  TerminalSocket,
} from './terminal-socket.ts'
import { WhyOver } from './why-over.ts'

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
const lastMoment = 500

export class Terminals {
  readonly #options: TerminalsOptions
  readonly #server = pageSocketServer(terminalProtocol)
  readonly #fileServer = pageSocketServer(filesProtocol)
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
      const ask = readTerminalAsk(request) ?? readFileAsk(request)
      if (ask === undefined) throw new NotFound('there is no such WebSocket')
      const client: WebClient = { address }
      const held = await this.#options.sessions.hold(ask.token, client)
      if (socket.destroyed || this.#closing.signal.aborted) {
        held.release()
        socket.destroy()
        return
      }
      const release = () => held.release()
      socket.once('close', release)
      const server = 'action' in ask ? this.#fileServer : this.#server
      server.handleUpgrade(request, socket, head, (opened) => {
        // From here on the terminal lets go of it, in its own order: without its key it could only take leave of the server.
        socket.off('close', release)
        if ('action' in ask) void this.#copy(opened, held, ask, { address, port })
        else void this.#serve(opened, held, ask, { address, port })
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
    const ends = new Ends(socket, held.signal, this.#closing.signal)
    socket.on('error', (error) => this.#options.logger.debug('a terminal broke', { error: messageOf(error) }))
    const page = new TerminalSocket(socket)
    this.#running++
    void keepAlive(socket, this.#options.env, ends.any)
    const why = this.#why(held, ask, peer.address)
    let leave: (() => void) | undefined
    try {
      leave = this.#options.clients.enter(held.session.user)
      const result = await this.#run(page, held, ask, peer, ends)
      if (result !== 'lost') page.end(result.message, result.status)
      else if (why.known !== undefined) page.end(why.known)
      else page.lose()
    } catch (error) {
      if (!(error instanceof KindError) && !ends.any.aborted) {
        this.#options.logger.error('a terminal failed', { error: messageOf(error) })
      }
      if (ends.lost.aborted) page.lose()
      else if (held.signal.aborted) page.end(await why.words(messageOf(held.signal.reason)))
      else page.end(ends.good.aborted ? messageOf(ends.good.reason) : wordsFor(error))
    } finally {
      why.close()
      leave?.()
      held.release()
      if (--this.#running === 0) this.#idle?.()
    }
  }

  /** One file, over a connection of its own: to the server it is SFTP like any other. */
  async #copy(
    socket: WebSocket,
    held: HeldSession,
    ask: FileAsk,
    peer: { readonly address: string; readonly port: number },
  ): Promise<void> {
    const { targets, env, logger, clients } = this.#options
    const ends = new Ends(socket, held.signal, this.#closing.signal)
    socket.on('error', (error) => logger.debug('a file transfer broke', { error: messageOf(error) }))
    this.#running++
    void keepAlive(socket, env, ends.any)
    const files = new FileSocket(socket, ask, { env, used: () => held.touch() })
    const why = this.#why(held, ask, peer.address)
    const over = new AbortController()
    let leave: (() => void) | undefined
    try {
      leave = clients.enter(held.session.user)
      const identity = identityOf(targets.state, held.session, peer.address, env)
      const either = AbortSignal.any([ends.any, over.signal])
      void atExpiry(identity.expires, env, either, () => over.abort(new AccessDenied('your login has expired')))
      const subject = { roles: identity.roles, traits: identity.traits }
      const stream = await openTarget(
        targets,
        { user: identity.user, subject, peer, signal: either },
        { host: ask.node, port: 0, cluster: undefined },
      )
      // A page that goes away leaves something to tidy up at the server; the end of the login does not.
      const ssh = await this.#login(stream, held, ask, AbortSignal.any([held.signal, over.signal]))
      try {
        await files.serve(ssh, either)
      } finally {
        await ssh.close()
      }
      files.end(undefined)
    } catch (error) {
      if (!(error instanceof KindError) && !ends.any.aborted) {
        logger.error('a file transfer failed', { error: messageOf(error) })
      }
      const reason = ends.any.aborted ? ends.any.reason : error
      if (held.signal.aborted) files.end(new AccessDenied(await why.words(messageOf(held.signal.reason))))
      else files.end(reason instanceof KindError ? reason : new ConnectionProblem(wordsFor(reason)))
    } finally {
      why.close()
      over.abort()
      leave?.()
      held.release()
      if (--this.#running === 0) this.#idle?.()
    }
  }

  #why(held: HeldSession, ask: { readonly node: string }, sourceAddress: string): WhyOver {
    const { state } = this.#options.targets
    const hostname = state.serverByUuid('node', ask.node)?.hostname
    const names = hostname === undefined ? [] : [hostname, `${hostname}.${state.clusterName}`]
    const certificate = parseCertificateLine(held.session.certificate)
    return new WhyOver(this.#options.targets, { certificate, sourceAddress, node: [ask.node, ...names] })
  }

  async #run(
    page: TerminalSocket,
    held: HeldSession,
    ask: TerminalAsk,
    peer: { readonly address: string; readonly port: number },
    ends: Ends,
  ): Promise<TerminalResult> {
    const { targets, env } = this.#options
    const identity = identityOf(targets.state, held.session, peer.address, env)
    const over = new AbortController()
    const good = AbortSignal.any([ends.good, over.signal])
    const either = AbortSignal.any([ends.any, over.signal])
    void atExpiry(identity.expires, env, either, () => over.abort(new AccessDenied('your login has expired')))
    const subject = { roles: identity.roles, traits: identity.traits }
    const stream = await openTarget(
      targets,
      { user: identity.user, subject, peer, signal: either },
      { host: ask.node, port: 0, cluster: undefined },
    )
    // Without a word to the server: a session of which nobody took leave waits for its owner, as long as the cluster says.
    const lose = () => stream.destroy()
    ends.lost.addEventListener('abort', lose)
    if (ends.lost.aborted) lose()
    const ssh = await this.#login(stream, held, ask, good)
    try {
      const session = await ssh.openSession()
      const { columns, rows, attach } = ask
      const size = { columns, rows, widthPixels: 0, heightPixels: 0 }
      session.onTold = (name, extra) => {
        const opened = readAnnouncement(name, extra)
        if (opened === undefined) return
        page.notify({ type: 'session', ...opened })
        if (attach !== undefined) page.notify({ type: 'ready' })
      }
      session.setEnv(announceVariable, '1')
      // UTF-8 whatever the server's default is; the language stays the server's.
      session.setEnv('LC_CTYPE', 'C.UTF-8')
      await session.requestPty({ ...size, term: 'xterm-256color', modes: new Map() })
      const refusal = firstWords(session.stderr)
      if (attach !== undefined) await session.subsystem(`attach:${attach}`)
      else if (ask.join !== undefined) await session.subsystem(`join:${ask.join.sid}:${ask.join.mode}`)
      else await session.shell()
      session.channel.on('error', () => {})
      if (attach === undefined) page.notify({ type: 'ready' })
      page.listen(session.channel, {
        resize: (wide, high) => session.windowChange({ ...size, columns: wide, rows: high }),
        used: () => held.touch(),
        moderate: (action) => moderate(ssh, ask.join, action, (message) => page.notify({ type: 'refused', message })),
      })
      await page.show(session.channel, either).catch((error: unknown) => {
        // Told apart below from a server that closed it.
        if (!ssh.signal.aborted) throw error
      })
      either.throwIfAborted()
      const exited = await session.exited
      if (exited?.kind === 'signal') return { message: `the session ended: ${exited.message || exited.signal}` }
      if (exited !== undefined) return { message: refusal() ?? 'the session has ended', status: exited.status }
      // A channel knows a moment before its connection.
      const closed = await Promise.race([ssh.closed, env.sleep(lastMoment)])
      if (ssh.signal.aborted && closed instanceof Error && !(closed instanceof PeerDisconnected)) return 'lost'
      return { message: ssh.farewell ?? 'the connection was closed by the server' }
    } finally {
      over.abort()
      ends.lost.removeEventListener('abort', lose)
      await ssh.close()
    }
  }

  async #login(
    stream: Duplex,
    held: HeldSession,
    ask: Pick<TerminalAsk, 'node' | 'login'> & { readonly join?: JoinAsk | undefined },
    signal: AbortSignal,
  ): Promise<SshClient> {
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
      // A server that has proven who it is, to a user who has done so too, says that there is a lock.
      const { cause } = error
      if (cause instanceof PeerDisconnected && cause.text.startsWith('access denied: '))
        throw new AccessDenied(cause.text)
      const node = targets.state.serverByUuid('node', ask.node)?.hostname ?? ask.node
      if (ask.join !== undefined)
        throw new AccessDenied(`access denied: ${held.session.user} may join no session on ${node}`)
      throw new AccessDenied(`access denied: ${held.session.user} may not log in to ${node} as ${ask.login}`)
    })
  }
}

type TerminalResult = 'lost' | { readonly message: string; readonly status?: number }

/** Why a terminal may end before its program: with a good-bye to the server, or as if the network had gone. */
class Ends {
  readonly good: AbortSignal
  readonly lost: AbortSignal
  readonly any: AbortSignal

  constructor(socket: WebSocket, sessionOver: AbortSignal, closing: AbortSignal) {
    const left = new AbortController()
    const gone = new AbortController()
    socket.on('close', (code: number) => {
      const reason = new ConnectionProblem('the page has gone')
      // A page that closes its terminal says so. A browser that closes or reloads the page says so too, in other words; from here
      // that is no different from one that will be back in a second.
      if (code === terminalLeft) left.abort(reason)
      else gone.abort(reason)
    })
    this.good = AbortSignal.any([left.signal, sessionOver])
    this.lost = AbortSignal.any([gone.signal, closing])
    this.any = AbortSignal.any([this.good, this.lost])
  }
}

/** What a moderator asks for goes beside the terminal, on the same connection. The node decides, and says why not. */
function moderate(
  ssh: SshClient,
  join: JoinAsk | undefined,
  action: ModerateAction,
  refused: (message: string) => void,
): void {
  const ask = async () => {
    if (join === undefined) throw new AccessDenied('only one who joined a session can moderate it')
    const session = await ssh.openSession()
    const refusal = firstWords(session.stderr)
    session.channel.on('error', () => {})
    session.channel.resume()
    await session.subsystem(`control:${join.sid}:${action}`)
    const exited = await session.exited
    if (exited?.kind !== 'exit' || exited.status !== 0) {
      throw new AccessDenied(refusal() ?? 'the server did not do it')
    }
  }
  ask().catch((error: unknown) => {
    // With the session the connection ends, and what was asked last may have no answer.
    if (!ssh.signal.aborted) refused(wordsFor(error))
  })
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
