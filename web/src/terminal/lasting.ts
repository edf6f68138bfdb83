/**
 * A terminal's way to its session, over as many connections as it takes: after a lost one it comes back to the same shell, for as
 * long as the server keeps it. A login that ran out meanwhile is waited for.
 */

import { ApiError, currentToken, getState } from '../api.ts'
import { TerminalConnection } from './connection.ts'
import { waitBefore } from './tries.ts'

/** Why a terminal is over. `gone`: what it would have come back to is not there any more; `short`: servers keep no lost sessions. */
export type End =
  | { readonly kind: 'ended'; readonly message: string }
  | { readonly kind: 'gone'; readonly message?: string }
  | { readonly kind: 'short' }

export interface LastingOptions {
  readonly node: string
  readonly login: string
  /** A session to go on with from the beginning. */
  readonly attach: string | undefined
  size(): { readonly columns: number; readonly rows: number }
  onOutput(bytes: Uint8Array, shown: () => void): void
  /** Output follows: of a new session, or of one that shows its screen anew. */
  onReady(isBack: boolean): void
  /** Undefined: there is none to come back to. */
  onSession(sid: string | undefined): void
  onLatency(ms: number): void
  onLost(): void
  onLoggedOut(): void
  /** Once. */
  onEnd(end: End): void
}

/** What a session is kept for, until it says so itself: when one comes back to it after a reload of the page. */
const unknownKeep = 60

export class LastingConnection {
  readonly #options: LastingOptions
  #connection: TerminalConnection | undefined
  #sid: string | undefined
  #keepSeconds = 0
  #lostAt: number | undefined
  #tries = 0
  #closed = false
  #wake: (() => void) | undefined
  readonly #online = () => this.#wake?.()

  constructor(options: LastingOptions) {
    this.#options = options
    this.#sid = options.attach
    if (options.attach !== undefined) this.#keepSeconds = unknownKeep
    window.addEventListener('online', this.#online)
    this.#connect()
  }

  write(bytes: Uint8Array<ArrayBuffer>): void {
    if (this.#lostAt === undefined) this.#connection?.write(bytes)
  }

  resize(columns: number, rows: number): void {
    this.#connection?.resize(columns, rows)
  }

  /** Takes leave: the session ends. */
  close(): void {
    this.#closed = true
    window.removeEventListener('online', this.#online)
    this.#wake?.()
    this.#connection?.close()
  }

  #connect(): void {
    const { node, login, onOutput, onLatency, size } = this.#options
    const attach = this.#sid
    let isReady = false
    this.#connection = new TerminalConnection({
      node,
      login,
      ...size(),
      ...(attach === undefined ? {} : { attach }),
      csrfToken: currentToken(),
      onOutput,
      onLatency,
      onReady: () => {
        isReady = true
        this.#lostAt = undefined
        this.#tries = 0
        this.#options.onReady(attach !== undefined)
      },
      onSession: (sid, keepSeconds) => {
        this.#sid = sid
        this.#keepSeconds = keepSeconds
        this.#options.onSession(keepSeconds === 0 ? undefined : sid)
      },
      onEnd: (message) => {
        if (message === undefined) void this.#comeBack()
        else this.#end(isReady || attach === undefined ? { kind: 'ended', message } : { kind: 'gone', message })
      },
    })
  }

  async #comeBack(): Promise<void> {
    if (this.#sid === undefined) return this.#end({ kind: 'gone' })
    if (this.#lostAt === undefined) {
      this.#lostAt = performance.now()
      if (this.#keepSeconds > 0) this.#options.onLost()
    }
    while (!this.#closed) {
      const wait = waitBefore(this.#tries++, performance.now() - this.#lostAt, this.#keepSeconds)
      if (wait === undefined) return this.#end(this.#keepSeconds === 0 ? { kind: 'short' } : { kind: 'gone' })
      await this.#sleep(wait)
      if (this.#closed) return
      if (await this.#mayConnect()) {
        if (!this.#closed) this.#connect()
        return
      }
    }
  }

  /** The proxy answers, and the login is good; the token for the connection comes with the answer. */
  async #mayConnect(): Promise<boolean> {
    try {
      const { user } = await getState(true)
      if (user !== undefined) return true
      this.#options.onLoggedOut()
      // The server keeps the session for its own time, however long the login takes.
      return false
    } catch (error) {
      if (!(error instanceof ApiError)) throw error
      return false
    }
  }

  #sleep(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, ms)
      this.#wake = () => {
        clearTimeout(timer)
        resolve()
      }
    })
  }

  #end(end: End): void {
    if (this.#closed) return
    this.#closed = true
    window.removeEventListener('online', this.#online)
    this.#options.onSession(undefined)
    this.#options.onEnd(end)
  }
}
