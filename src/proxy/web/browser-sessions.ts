/**
 * Sessions of browsers as the proxy uses them: auth is asked about each request, and while a terminal is open an agent at auth signs
 * for it. When auth ends the session it closes the agent, and everything that hangs on it here ends too.
 */

import type { Duplex } from 'node:stream'
import { parseCertificateLine } from '../../api/lines.ts'
import type { WebSession } from '../../api/web-session-routes.ts'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import { AccessDenied, ConnectionProblem, isAccessDenied } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { AgentClient, agentSigner } from '../../ssh/agent/client.ts'
import type { ClientIdentity } from '../../ssh/client-types.ts'
import { patiently } from './patience.ts'
import type { WebClient } from './routes.ts'

/** What auth does for sessions. */
export interface SessionBackend {
  open(
    body: { readonly user: string; readonly password: string; readonly otp?: string | undefined },
    client: WebClient,
  ): Promise<{ token: string; session: WebSession }>
  check(token: string, touch: boolean, client: WebClient): Promise<WebSession>
  renew(
    token: string,
    client: WebClient,
    accessRequests?: readonly string[],
  ): Promise<{ token: string; session: WebSession }>
  end(token: string, everywhere: boolean, client: WebClient): Promise<void>
  /** A stream on which the token is the first line and the agent protocol follows. */
  openAgent(): Promise<Duplex>
}

/** A session that something long-lived hangs on. */
export interface HeldSession {
  readonly session: WebSession
  /** Signs with the session's key, at auth. */
  readonly identity: ClientIdentity
  /** Aborted, with the reason, when the session has ended. */
  readonly signal: AbortSignal
  /** Somebody is there: the idle time begins anew. */
  touch(): void
  release(): void
}

/** Milliseconds. */
const agentTimeout = 10_000
const firstRetry = 500
const lastRetry = 10_000
const touchEvery = 60_000
/** Of one session on one proxy. */
const maxHeld = 64

export class BrowserSessions {
  readonly backend: SessionBackend
  readonly #env: Env
  readonly #logger: Logger
  /** By certificate: a session may get another one. */
  readonly #live = new Map<string, LiveSession>()

  constructor(options: { readonly backend: SessionBackend; readonly env: Env; readonly logger: Logger }) {
    this.backend = options.backend
    this.#env = options.env
    this.#logger = options.logger
  }

  /** Throws AccessDenied for a session that has ended, ConnectionProblem when auth stays away. */
  async check(token: string, client: WebClient, touch: boolean): Promise<WebSession> {
    try {
      return await patiently(this.#env, () => this.backend.check(token, touch, client))
    } catch (error) {
      if (isAccessDenied(error)) this.#endToken(token, error)
      throw error
    }
  }

  /** With `accessRequests`, what is opened from now on has the new certificate; what is open goes on with the one it has. */
  async renew(
    token: string,
    client: WebClient,
    accessRequests?: readonly string[],
  ): Promise<{ token: string; session: WebSession }> {
    const renewed = await this.backend.renew(token, client, accessRequests)
    for (const live of this.#live.values()) if (live.token === token) live.token = renewed.token
    return renewed
  }

  async end(token: string, everywhere: boolean, client: WebClient): Promise<void> {
    await this.backend.end(token, everywhere, client)
    // Others of the user's end when auth closes their agents; this one without waiting for that.
    this.#endToken(token, new AccessDenied('you have logged out'))
  }

  /** For as long as a terminal is open. Throws AccessDenied, ConnectionProblem, LimitExceeded. */
  async hold(token: string, client: WebClient, touch = true): Promise<HeldSession> {
    const session = await this.check(token, client, touch)
    const { certificate } = session
    let live = this.#live.get(certificate)
    if (live === undefined) {
      live = new LiveSession(session, token, client, this.backend, this.#env, this.#logger)
      const made = live
      this.#live.set(certificate, made)
      made.signal.addEventListener('abort', () => {
        if (this.#live.get(certificate) === made) this.#live.delete(certificate)
      })
    }
    if (live.holders >= maxHeld) throw new AccessDenied(`this login has ${maxHeld} connections open already`)
    const held = live
    held.holders++
    let released = false
    const release = () => {
      if (released) return
      released = true
      if (--held.holders === 0) held.close(new ConnectionProblem('nothing uses it any more'))
    }
    try {
      await held.started
    } catch (error) {
      release()
      throw error
    }
    return {
      session,
      identity: held.identity,
      signal: held.signal,
      touch: () => held.touch(),
      release,
    }
  }

  close(): void {
    for (const live of [...this.#live.values()]) live.close(new ConnectionProblem('the proxy is stopping'))
  }

  #endToken(token: string, reason: Error): void {
    for (const live of [...this.#live.values()]) if (live.token === token) live.close(reason)
  }
}

class LiveSession {
  readonly started: Promise<void>
  readonly identity: ClientIdentity
  token: string
  holders = 0
  readonly #client: WebClient
  readonly #backend: SessionBackend
  readonly #env: Env
  readonly #logger: Logger
  readonly #over = new AbortController()
  #agent: Promise<AgentClient> | undefined
  #stream: Duplex | undefined
  #touched: number

  constructor(
    session: WebSession,
    token: string,
    client: WebClient,
    backend: SessionBackend,
    env: Env,
    logger: Logger,
  ) {
    this.token = token
    this.#client = client
    this.#backend = backend
    this.#env = env
    this.#logger = logger
    this.#touched = env.monotonicMs()
    const certificate = parseCertificateLine(session.certificate)
    const { publicKey, blob } = certificate
    const signer = agentSigner(
      // The agent may be another one by the time it is needed.
      { sign: async (...args) => (await this.#current()).sign(...args) },
      { publicKey, blob },
    )
    this.identity = { signer, certificate }
    this.started = this.#current().then(() => undefined)
    this.started.then(
      () => this.#follow(),
      (error: Error) => this.close(error),
    )
  }

  get signal(): AbortSignal {
    return this.#over.signal
  }

  close(reason: Error): void {
    this.#over.abort(reason)
    this.#stream?.destroy()
  }

  touch(): void {
    const now = this.#env.monotonicMs()
    if (now - this.#touched < touchEvery) return
    this.#touched = now
    this.#backend.check(this.token, true, this.#client).catch((error: unknown) => {
      if (isAccessDenied(error)) this.close(error)
    })
  }

  #current(): Promise<AgentClient> {
    this.#agent ??= this.#connect().catch((error: unknown) => {
      this.#agent = undefined
      throw error
    })
    return this.#agent
  }

  async #connect(): Promise<AgentClient> {
    const stream = await this.#backend.openAgent()
    if (this.signal.aborted) stream.destroy()
    this.signal.throwIfAborted()
    this.#stream = stream
    stream.on('error', () => {})
    stream.once('close', () => {
      if (this.#stream === stream) this.#agent = undefined
    })
    stream.write(`${this.token}\n`)
    await greeting(stream, this.#env)
    return new AgentClient(stream)
  }

  /**
   * An agent that closes means that the session is over, or that auth cannot be reached, which must not end what goes on: nodes and
   * this proxy decide by themselves about locks and certificates.
   */
  async #follow(): Promise<void> {
    let wait = firstRetry
    while (!this.signal.aborted) {
      try {
        await this.#current()
        wait = firstRetry
        await closed(this.#stream)
        if (this.signal.aborted) return
        await this.#backend.check(this.token, false, this.#client)
      } catch (error) {
        if (isAccessDenied(error)) return this.close(error)
        this.#logger.debug('the agent of a web session is away', { reason: messageOf(error) })
      }
      await this.#env.sleep(wait, this.signal).catch(() => undefined)
      wait = Math.min(wait * 2, lastRetry)
    }
  }
}

async function closed(stream: Duplex | undefined): Promise<void> {
  if (stream === undefined || stream.destroyed) return
  await new Promise<void>((resolve) => stream.once('close', () => resolve()))
}

/** Auth answers a good token with one line before the agent speaks. Throws AccessDenied. */
async function greeting(stream: Duplex, env: Env): Promise<void> {
  const word = Buffer.from('ok\n')
  const over = new AbortController()
  const late = env.sleep(agentTimeout, over.signal).then(
    () => stream.destroy(new ConnectionProblem('the auth service did not answer in time')),
    () => undefined,
  )
  try {
    for (;;) {
      const read: unknown = stream.read(word.length)
      if (Buffer.isBuffer(read)) {
        if (read.equals(word)) return
        break
      }
      if (stream.destroyed || stream.readableEnded) break
      await new Promise<void>((resolve) => {
        const events = ['readable', 'end', 'close'] as const
        const moved = () => {
          for (const event of events) stream.off(event, moved)
          resolve()
        }
        for (const event of events) stream.on(event, moved)
      })
    }
    stream.destroy()
    throw new AccessDenied('the session is over; log in again')
  } finally {
    over.abort()
    await late
  }
}
