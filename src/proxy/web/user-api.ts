/**
 * Calls of the page that auth answers: over an SSH connection to auth with the user's own certificate, signed for by the key that
 * auth keeps. The proxy adds no right of its own, so what the page may do is decided where it is decided for `tsh`.
 */

import type { AuthConnection } from '../../api/auth-channel.ts'
import type { ApiClient } from '../../api/client.ts'
import type { Env } from '../../common/env.ts'
import { ConnectionProblem, LimitExceeded } from '../../errors/errors.ts'
import type { PeerAddress } from '../../ssh/server-types.ts'
import type { BrowserSessions, HeldSession } from './browser-sessions.ts'
import { patiently } from './patience.ts'
import type { WebClient } from './routes.ts'

export interface UserApiOptions {
  readonly sessions: Pick<BrowserSessions, 'hold'>
  /** The auth API for the session's user, whose browser is at `peer`. Throws AccessDenied, ConnectionProblem. */
  connect(held: HeldSession, peer: PeerAddress, signal: AbortSignal): Promise<AuthConnection>
  readonly env: Env
}

/** Whose browser calls, and from where. */
export interface UserVisit {
  readonly token: string
  /** The session's: another one has other roles. */
  readonly certificate: string
  readonly client: WebClient
}

/** Milliseconds without a call after which a connection ends. */
const idleAfter = 60_000
/** Milliseconds for a connection to stand. */
const connectTimeout = 15_000
const maxConnections = 1_000

export class UserApi {
  readonly #options: UserApiOptions
  readonly #lines = new Map<string, Promise<Line>>()

  constructor(options: UserApiOptions) {
    this.#options = options
  }

  /**
   * Runs `work` with the API of the session's user, and again if it is `repeatable` and auth was lost meanwhile. Throws what it
   * throws, AccessDenied, ConnectionProblem, LimitExceeded.
   */
  async run<T>(
    visit: UserVisit,
    work: (api: ApiClient) => Promise<T>,
    { repeatable, signal }: { readonly repeatable: boolean; readonly signal: AbortSignal },
  ): Promise<T> {
    const { env } = this.#options
    const once = async (line: Line) => {
      const done = line.use()
      try {
        return await work(line.api)
      } finally {
        done()
      }
    }
    if (repeatable) return patiently(env, async () => once(await this.#line(visit)), signal)
    // Nothing is sent before there is a line.
    return once(await patiently(env, () => this.#line(visit), signal))
  }

  /** The same for a stream of lines: the connection stays while it is read. */
  async *stream<T>(
    visit: UserVisit,
    work: (api: ApiClient) => AsyncIterable<T>,
    signal: AbortSignal,
  ): AsyncIterable<T> {
    const line = await patiently(this.#options.env, () => this.#line(visit), signal)
    const done = line.use()
    try {
      yield* work(line.api)
    } finally {
      done()
    }
  }

  close(): void {
    for (const line of this.#lines.values()) {
      void line.then(
        (made) => made.close(),
        () => undefined,
      )
    }
  }

  /** Of one browser session from one address: auth is told of the address, and roles may insist on it. */
  async #line(visit: UserVisit): Promise<Line> {
    const key = `${visit.certificate} ${visit.client.address}`
    const known = this.#lines.get(key)
    if (known !== undefined) {
      const line = await known
      if (line.isUsable) return line
      if (this.#lines.get(key) === known) this.#lines.delete(key)
      return this.#line(visit)
    }
    if (this.#lines.size >= maxConnections) {
      throw new LimitExceeded(`this proxy speaks to auth for ${maxConnections} browsers already; try again in a minute`)
    }
    const made = this.#open(visit, () => {
      if (this.#lines.get(key) === made) this.#lines.delete(key)
    })
    this.#lines.set(key, made)
    made.catch(() => {
      if (this.#lines.get(key) === made) this.#lines.delete(key)
    })
    return made
  }

  async #open(visit: UserVisit, gone: () => void): Promise<Line> {
    const { sessions, env } = this.#options
    // The call itself has said whether somebody is there.
    const held = await sessions.hold(visit.token, visit.client, false)
    const late = new AbortController()
    const given = new AbortController()
    void env.sleep(connectTimeout, given.signal).then(
      () => late.abort(new ConnectionProblem('the auth server did not answer in time; try again')),
      () => undefined,
    )
    try {
      const signal = AbortSignal.any([held.signal, late.signal])
      const peer = { address: visit.client.address, port: 0 }
      return new Line(await this.#options.connect(held, peer, signal), held, env, gone)
    } catch (error) {
      held.release()
      throw late.signal.aborted ? late.signal.reason : error
    } finally {
      given.abort()
    }
  }
}

/** One connection, closed when its session ends, when it has broken, or when nobody used it for a while. */
class Line {
  readonly api: AuthConnection
  readonly #held: HeldSession
  readonly #env: Env
  readonly #gone: () => void
  readonly #over = new AbortController()
  #users = 0
  #round = 0

  constructor(api: AuthConnection, held: HeldSession, env: Env, gone: () => void) {
    this.api = api
    this.#held = held
    this.#env = env
    this.#gone = gone
    if (held.signal.aborted) this.close()
    else held.signal.addEventListener('abort', () => this.close(), { once: true })
  }

  get isUsable(): boolean {
    return !this.#over.signal.aborted && this.api.connected
  }

  /** Keeps it from being closed for want of use until the answer is called. */
  use(): () => void {
    this.#users++
    this.#round++
    return () => {
      this.#users--
      if (this.#users === 0) void this.#wait(++this.#round)
    }
  }

  close(): void {
    if (this.#over.signal.aborted) return
    this.#over.abort()
    this.#gone()
    this.#held.release()
    // The far end may have closed it already.
    void this.api.close().catch(() => undefined)
  }

  async #wait(round: number): Promise<void> {
    try {
      await this.#env.sleep(idleAfter, this.#over.signal)
    } catch {
      return
    }
    if (round === this.#round) this.close()
  }
}
