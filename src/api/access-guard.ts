/**
 * Ends what was let in and would not be let in any more. Everything open is judged again when something that decides about access
 * has changed, in slices, so that thousands of connections do not hold up the rest.
 */

import { maxLockStaleness } from '../access/locks.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { messageOf } from '../errors/system.ts'
import type { ChangeKind } from './cluster-snapshot.ts'

/** Something open: a connection, or a session that outlived its connection. */
export interface Guarded {
  /** Whose it is. */
  readonly user: string
  /** Why it would be refused now; undefined while it would not. */
  judge(): string | undefined
  /** Called once, when it is refused. */
  end(reason: string): void
}

export interface GuardOptions {
  onChange(listener: (kind: ChangeKind, id: string) => void): unknown
  /** Milliseconds without news, for those who must know of every lock. */
  staleMs(): number
  readonly env: Env
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** How many are judged before others have their turn. */
const slice = 100
/** Milliseconds. Time alone changes an answer when auth is away too long; that is looked at this often. */
const lookEvery = 1_000

export class AccessGuard {
  readonly #options: GuardOptions
  readonly #guarded = new Set<Guarded>()
  /** Users of whom something changed; `all` when it may concern anybody. */
  #due: Set<string> | 'all' | undefined
  #wake: (() => void) | undefined

  constructor(options: GuardOptions) {
    this.#options = options
    options.onChange((kind, id) => this.#changed(kind, id))
    void this.#run()
    void this.#watchSilence()
  }

  get size(): number {
    return this.#guarded.size
  }

  /** Judges it at once, then after each change. Returns the function that takes it out again. */
  add(guarded: Guarded): () => void {
    this.#guarded.add(guarded)
    // Something may have changed since it was let in.
    this.#judge(guarded)
    return () => void this.#guarded.delete(guarded)
  }

  #changed(kind: ChangeKind, id: string): void {
    if (kind === 'presence') return
    if (kind !== 'user') this.#due = 'all'
    else if (this.#due !== 'all') this.#due = (this.#due ?? new Set()).add(id)
    this.#wake?.()
  }

  async #run(): Promise<void> {
    const { signal } = this.#options
    signal.addEventListener('abort', () => this.#wake?.(), { once: true })
    while (!signal.aborted) {
      if (this.#due === undefined) {
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = undefined
        continue
      }
      const due = this.#due
      this.#due = undefined
      let judged = 0
      for (const guarded of [...this.#guarded]) {
        if (due !== 'all' && !due.has(guarded.user)) continue
        if (signal.aborted) return
        this.#judge(guarded)
        if (++judged % slice === 0) await new Promise((resolve) => setImmediate(resolve))
      }
    }
  }

  #judge(guarded: Guarded): void {
    if (!this.#guarded.has(guarded)) return
    try {
      const reason = guarded.judge()
      if (reason === undefined) return
      this.#guarded.delete(guarded)
      guarded.end(reason)
    } catch (error) {
      // One that cannot be judged must not keep the others from it.
      this.#options.logger.error('an open connection could not be judged', { reason: messageOf(error) })
    }
  }

  async #watchSilence(): Promise<void> {
    const { env, signal, staleMs } = this.#options
    let before = 0
    while (!signal.aborted) {
      await env.sleep(lookEvery, signal).catch(() => undefined)
      const now = staleMs()
      if (now !== 0 && isBeyond(now) !== isBeyond(before)) {
        this.#due = 'all'
        this.#wake?.()
      }
      before = now
    }
  }
}

const isBeyond = (ms: number): boolean => ms > maxLockStaleness
