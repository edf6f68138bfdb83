/**
 * The SQLite store in a thread of its own, so that a slow disk delays who waits for the store and nobody else. This is the caller's end:
 * it bounds what waits, hands the events to the watchers, and starts the thread again when it dies.
 */

import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { AnsweringThread } from '../common/answering-thread.ts'
import type { Env } from '../common/env.ts'
import { checkPrivateDir } from '../common/files.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { programFile } from '../common/program-file.ts'
import { ConnectionProblem, LimitExceeded } from '../errors/errors.ts'
import {
  type Backend,
  type Item,
  type Key,
  type NewItem,
  type Operation,
  type Page,
  type RangeOptions,
  ResyncNeeded,
  type WatchEvent,
  type Watcher,
} from './contract.ts'
import { encodePrefix } from './key.ts'
import type { Call, FromThread, Part, ToThread } from './messages.ts'
import { Watchers } from './watchers.ts'

const MAX_CALLS = 10_000
/** Of values that wait to be written. */
const MAX_BYTES = 64 * 1024 * 1024
const TICK_EVERY_MS = 1000
/** That a blocked thread may have waiting. */
const MAX_TICKS = 16

export interface ThreadOptions {
  /** Events that a slow watcher may have waiting. Default 10000. */
  readonly maxQueuedEvents?: number
  readonly logger?: Logger
}

/** As `openSqliteBackend`, with the same errors. When the thread dies, watchers get ResyncNeeded and calls ConnectionProblem. */
export async function openThreadBackend(path: string, env: Env, options: ThreadOptions = {}): Promise<Backend> {
  await checkPrivateDir(dirname(path))
  const backend = new ThreadBackend(path, env, options)
  try {
    await backend.opened
  } catch (error) {
    await backend.close()
    throw error
  }
  return backend
}

class ThreadBackend implements Backend {
  readonly opened: Promise<void>
  readonly #thread: AnsweringThread<FromThread>
  readonly #env: Env
  readonly #log: Logger
  readonly #watchers: Watchers
  readonly #closing = new AbortController()
  #waitingBytes = 0
  #ticks = 0

  constructor(path: string, env: Env, { logger = silentLogger, maxQueuedEvents }: ThreadOptions) {
    this.#env = env
    this.#log = logger
    this.#watchers = new Watchers(maxQueuedEvents)
    this.#thread = new AnsweringThread<FromThread>({
      what: 'the cluster state',
      env,
      logger,
      start: () => {
        this.#ticks = 0
        const file = programFile(new URL('./worker.ts', import.meta.url), 'backend-worker', import.meta.url)
        return new Worker(file, { workerData: { path }, execArgv: [] })
      },
      take: ({ parts }) => {
        for (const part of parts) this.#receive(part)
      },
      died: () =>
        this.#watchers.endAll(new ResyncNeeded('the store stopped unexpectedly: list again, then watch again')),
    })
    this.opened = this.#thread.opened
    this.#tickLoop().catch(() => undefined)
  }

  create(item: NewItem): Promise<string> {
    return this.#call({ method: 'create', args: [own(item)] }, size(item))
  }

  put(item: NewItem): Promise<string> {
    return this.#call({ method: 'put', args: [own(item)] }, size(item))
  }

  update(item: NewItem): Promise<string> {
    return this.#call({ method: 'update', args: [own(item)] }, size(item))
  }

  compareAndSwap(item: NewItem, expectedRevision: string): Promise<string> {
    return this.#call({ method: 'compareAndSwap', args: [own(item), expectedRevision] }, size(item))
  }

  async get(key: Key): Promise<Item> {
    return toItem(await this.#call<Item>({ method: 'get', args: [key] }))
  }

  async range(prefix: Key, options: RangeOptions = {}): Promise<Page> {
    const page = await this.#call<Page>({ method: 'range', args: [prefix, options] })
    return { ...page, items: page.items.map(toItem) }
  }

  delete(key: Key): Promise<void> {
    return this.#call({ method: 'delete', args: [key] })
  }

  conditionalDelete(key: Key, expectedRevision: string): Promise<void> {
    return this.#call({ method: 'conditionalDelete', args: [key, expectedRevision] })
  }

  deleteRange(prefix: Key): Promise<number> {
    return this.#call({ method: 'deleteRange', args: [prefix] })
  }

  keepAlive(key: Key, expires: Date): Promise<string> {
    return this.#call({ method: 'keepAlive', args: [key, expires] })
  }

  commit(operations: readonly Operation[]): Promise<string> {
    const owned = operations.map((operation) =>
      operation.op === 'put' ? { op: operation.op, item: own(operation.item) } : operation,
    )
    const bytes = operations.reduce((sum, operation) => sum + (operation.op === 'put' ? size(operation.item) : 0), 0)
    return this.#call({ method: 'commit', args: [owned] }, bytes)
  }

  async watch(prefix: Key, signal: AbortSignal): Promise<Watcher> {
    const encoded = encodePrefix(prefix)
    // Within the answer: what comes after it belongs to this watcher.
    return await this.#call({ method: 'watch' }, 0, () => this.#watchers.subscribe(encoded, signal))
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#thread.close((id) => this.#question(id, { method: 'close' }))
    this.#watchers.endAll(new ConnectionProblem('the store was closed'))
  }

  async #call<T>(call: Call, bytes = 0, convert?: () => T): Promise<T> {
    if (this.#thread.waiting >= MAX_CALLS || this.#waitingBytes + bytes > MAX_BYTES) {
      throw new LimitExceeded('too many requests wait for the cluster state; try again')
    }
    this.#waitingBytes += bytes
    try {
      return (await this.#thread.call((id) => this.#question(id, call), convert)) as T
    } finally {
      this.#waitingBytes -= bytes
    }
  }

  #question(id: number, call: Call): ToThread {
    return { now: this.#env.now().getTime(), id, call }
  }

  #receive(part: Part): void {
    switch (part.type) {
      case 'done':
        this.#thread.answer(part.id, part.value)
        break
      case 'error':
        this.#thread.refuse(part.id, { error: part.error.error }, part.status)
        break
      case 'events':
        this.#watchers.publish(part.events.map(toEvent))
        break
      case 'ticked':
        this.#ticks--
        break
      case 'log':
        this.#log.error('the cluster state failed', { reason: part.reason })
        break
    }
  }

  /** The thread has no clock: whoever moves the time of this process moves the time of the store. */
  async #tickLoop(): Promise<void> {
    for (;;) {
      await this.#env.sleep(TICK_EVERY_MS, this.#closing.signal)
      if (!this.#thread.running || this.#ticks >= MAX_TICKS) continue
      this.#ticks++
      this.#thread.post({ now: this.#env.now().getTime(), tick: true } satisfies ToThread)
    }
  }
}

const size = ({ value }: NewItem): number => value.length

/** With memory of its own: a small Buffer is part of a large one, all of which would cross. */
function own(item: NewItem): NewItem {
  return typeof item.value === 'string' ? item : { ...item, value: new Uint8Array(item.value) }
}

/** A thread gives bytes as plain arrays. */
function toItem(item: Item): Item {
  const { buffer, byteOffset, byteLength } = item.value
  return { ...item, value: Buffer.from(buffer, byteOffset, byteLength) }
}

const toEvent = (event: WatchEvent): WatchEvent =>
  event.type === 'put' ? { type: 'put', item: toItem(event.item) } : event
