/**
 * All web sessions in memory, kept in step with the store by a watch: who has how many, and which have ended, here or through another
 * auth server. The store is what decides; this is what reacts.
 */

import { type Backend, isResyncNeeded, type Operation, type WatchEvent } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { isCompareFailed, LimitExceeded } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { StoredWebSession, Tables } from './records.ts'

const endTries = 16
/** Milliseconds. */
const followAgainAfter = 1_000

export class WebSessionIndex {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #env: Env
  readonly #logger: Logger
  readonly #closing = new AbortController()
  readonly #byHash = new Map<string, StoredWebSession>()
  #ended: (id: string) => void = () => {}
  #running: Promise<void> = Promise.resolve()

  constructor(options: {
    readonly backend: Backend
    readonly tables: Tables
    readonly env: Env
    readonly logger: Logger
  }) {
    this.#backend = options.backend
    this.#tables = options.tables
    this.#env = options.env
    this.#logger = options.logger
  }

  /** `ended` is called with the id of each session that is gone. */
  async start(ended: (id: string) => void): Promise<void> {
    this.#ended = ended
    this.#running = this.#follow(await this.#load())
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  entries(): IterableIterator<[string, StoredWebSession]> {
    return this.#byHash.entries()
  }

  has(id: string): boolean {
    for (const record of this.#byHash.values()) if (record.id === id) return true
    return false
  }

  /** What this process has just written, or found in the store. */
  add(hash: string, record: StoredWebSession): void {
    this.#byHash.set(hash, record)
  }

  remove(hash: string): void {
    const record = this.#byHash.get(hash)
    this.#byHash.delete(hash)
    // A renewed session lives on under another token.
    if (record !== undefined && !this.has(record.id)) this.#ended(record.id)
  }

  /** Hashes of a user's tokens, the one that was used the longest ago first. */
  hashesOf(user: string): string[] {
    const mine = [...this.#byHash].filter(([, record]) => record.user === user)
    mine.sort(([, a], [, b]) => (a.lastSeen < b.lastSeen ? -1 : 1))
    return mine.map(([hash]) => hash)
  }

  idsOf(user: string): string[] {
    return [...this.#byHash.values()].filter((record) => record.user === user).map(({ id }) => id)
  }

  /**
   * Ends sessions, here and in the store. A renewal at the same moment gives a session another token, which has to go too: otherwise
   * whoever renews all the time could not be put out. Throws LimitExceeded when even that does not help.
   */
  async end(ids: ReadonlySet<string>): Promise<void> {
    const table = this.#tables.webSessions
    let hashes = [...this.#byHash].filter(([, { id }]) => ids.has(id)).map(([hash]) => hash)
    for (let tries = 0; tries < endTries; tries++) {
      let missed = 0
      for (const hash of hashes) {
        try {
          await this.#backend.commit([{ op: 'check', key: table.key(hash), exists: true }, table.remove(hash)])
        } catch (error) {
          if (!isCompareFailed(error)) throw error
          missed++
        }
        this.remove(hash)
      }
      if (missed === 0) return
      hashes = []
      for await (const found of table.all()) if (ids.has(found.value.id)) hashes.push(found.id)
    }
    throw new LimitExceeded('the session is renewed faster than it can be ended; try again')
  }

  /** Operations that end all sessions of a user, for changes that must not leave one open. */
  removalsOf(user: string): Operation[] {
    return this.hashesOf(user).map((hash) => this.#tables.webSessions.remove(hash))
  }

  async #load(): Promise<AsyncIterable<WatchEvent>> {
    const table = this.#tables.webSessions
    // Watch first: what changes while we read comes twice rather than never.
    const watcher = await this.#backend.watch(table.prefix, this.#closing.signal)
    const found = new Map<string, StoredWebSession>()
    for await (const { id, value } of table.all()) found.set(id, value)
    for (const hash of [...this.#byHash.keys()]) if (!found.has(hash)) this.remove(hash)
    for (const [hash, record] of found) this.#byHash.set(hash, record)
    return watcher
  }

  async #follow(first: AsyncIterable<WatchEvent>): Promise<void> {
    const { signal } = this.#closing
    let watcher: AsyncIterable<WatchEvent> | undefined = first
    while (!signal.aborted) {
      try {
        watcher ??= await this.#load()
        for await (const event of watcher) this.#apply(event)
      } catch (error) {
        if (!signal.aborted && !isResyncNeeded(error)) {
          this.#logger.error('lost track of the web sessions', { reason: messageOf(error) })
        }
      }
      watcher = undefined
      if (!signal.aborted) await this.#env.sleep(followAgainAfter, signal).catch(() => undefined)
    }
  }

  #apply(event: WatchEvent): void {
    if (event.type === 'delete') {
      this.remove(event.key[1] ?? '')
      return
    }
    const { id, value } = this.#tables.webSessions.read(event.item)
    this.#byHash.set(id, value)
  }
}
