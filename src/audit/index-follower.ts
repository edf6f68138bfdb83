/** Keeps the search index of the audit log not far behind it, and out of the way of what is appended. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Env } from '../common/env.ts'
import { Rush } from '../common/rush.ts'
import { hasErrno } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { AuditFile } from './file.ts'
import { TextIndex } from './text-index.ts'

const INDEX_ROWS = 500
/** Events above which the index waits. */
const rush = { window: 250, from: 1000 }
/** Milliseconds until the index looks again whether a rush is over: what was taken in one is indexed after it. */
const BUSY_MS = 250
/** Events the index may lag behind all the same; a search looks at each of them. */
const INDEX_LAG = 250_000
const INDEX_RETRY_MS = 30_000

export interface IndexFollowerOptions {
  /** Of the index. */
  readonly path: string
  readonly file: AuditFile
  readonly env: Pick<Env, 'monotonicMs' | 'sleep'>
  /** Ends it. */
  readonly signal: AbortSignal
  /** Whether events wait to be appended. */
  isBusy(): boolean
  warn(message: string, reason: string): void
}

export class IndexFollower {
  readonly #options: IndexFollowerOptions
  readonly #rush = new Rush(rush)
  #index: TextIndex | undefined
  /** Monotonic milliseconds before which the index is not tried again. */
  #notBefore = 0
  #running = false

  constructor(options: IndexFollowerOptions) {
    this.#options = options
  }

  /** The last event that it knows; 0 while there is no index. */
  get indexedTo(): number {
    return this.#index?.indexedTo ?? 0
  }

  /** The index for a search; undefined while it cannot be had, and then each event is looked at. */
  get(): TextIndex | undefined {
    if (this.#index !== undefined) return this.#index
    const { path, file, env } = this.#options
    if (env.monotonicMs() < this.#notBefore) return undefined
    try {
      this.#index = new TextIndex(path, file)
    } catch (error) {
      this.#failed(error)
    }
    return this.#index
  }

  /** So many events were appended, of which `wake` is told afterwards. */
  appended(events: number): void {
    this.#rush.add(events, this.#options.env.monotonicMs())
  }

  wake(): void {
    if (this.#running) return
    this.#running = true
    void this.#follow().finally(() => {
      this.#running = false
    })
  }

  close(): void {
    this.#index?.close()
  }

  async #follow(): Promise<void> {
    const { file, env, signal, isBusy } = this.#options
    await nextTurn()
    while (!signal.aborted) {
      const index = this.get()
      if (index === undefined) return
      const next = Math.max(index.indexedTo, file.cutTo) + 1
      const lag = file.head.ei + 1 - next
      if (lag <= 0) return
      if (lag <= INDEX_LAG && this.#rush.now(env.monotonicMs())) {
        await env.sleep(BUSY_MS, signal).catch(() => undefined)
        continue
      }
      if (!isBusy() || lag > INDEX_LAG) {
        try {
          const rows = file.rows(next, Number.MAX_SAFE_INTEGER, INDEX_ROWS)
          if (rows.length === 0) return
          index.add(rows)
        } catch (error) {
          return this.#failed(error)
        }
      }
      // Messages that came meanwhile are read first.
      await nextTurn()
    }
  }

  #failed(error: unknown): void {
    this.#notBefore = this.#options.env.monotonicMs() + INDEX_RETRY_MS
    this.#options.warn('the search index of the audit log cannot be written', messageOf(error))
    try {
      if (hasErrno(error, 'ECORRUPT')) this.#index?.reset()
    } catch {
      // Tried again later.
      this.#index = undefined
    }
  }
}
