/**
 * The SQLite store in a thread of its own, so that a slow disk delays who waits for the store and nobody else. This is the caller's end:
 * it bounds what waits, hands the events to the watchers, and starts the thread again when it dies.
 */

import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import type { Env } from '../common/env.ts'
import { checkPrivateDir } from '../common/files.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { programFile } from '../common/program-file.ts'
import { ConnectionProblem, LimitExceeded } from '../errors/errors.ts'
import { errorFromJson } from '../errors/json.ts'
import { messageOf } from '../errors/system.ts'
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
const RESTART_AFTER_MS = 250
const RETRY_AFTER_MS = 5000

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

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
  readonly bytes: number
}

class ThreadBackend implements Backend {
  readonly opened: Promise<void>
  readonly #path: string
  readonly #env: Env
  readonly #log: Logger
  readonly #watchers: Watchers
  readonly #closing = new AbortController()
  readonly #waiting = new Map<number, Waiting>()
  /** Undefined after it died, until it is started again. */
  #worker: Worker | undefined
  #ready: Promise<void>
  #end: Promise<void> | undefined
  #lastId = 0
  #waitingBytes = 0
  #ticks = 0

  constructor(path: string, env: Env, options: ThreadOptions) {
    this.#path = path
    this.#env = env
    this.#log = options.logger ?? silentLogger
    this.#watchers = new Watchers(options.maxQueuedEvents)
    this.#ready = this.#start()
    this.opened = this.#ready
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

  close(): Promise<void> {
    this.#end ??= this.#close()
    return this.#end
  }

  async #close(): Promise<void> {
    this.#closing.abort()
    await this.#ready.catch(() => undefined)
    const worker = this.#worker
    if (worker !== undefined) {
      worker.ref()
      const ended = new Promise((resolve) => worker.once('exit', resolve))
      await this.#send(worker, { method: 'close' }).catch((error: unknown) => {
        this.#log.error('the cluster state was not closed cleanly', { reason: messageOf(error) })
        return worker.terminate()
      })
      await ended
    }
    this.#watchers.endAll(new ConnectionProblem('the store was closed'))
  }

  async #call<T>(call: Call, bytes = 0, convert?: () => T): Promise<T> {
    this.#assertOpen()
    const worker = this.#worker
    if (worker === undefined) throw new ConnectionProblem('the cluster state is being opened again; try again')
    if (this.#waiting.size >= MAX_CALLS || this.#waitingBytes + bytes > MAX_BYTES) {
      throw new LimitExceeded('too many requests wait for the cluster state; try again')
    }
    return (await this.#send(worker, call, bytes, convert)) as T
  }

  #send(worker: Worker, call: Call, bytes = 0, convert?: () => unknown): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      worker.postMessage({ now: this.#env.now().getTime(), id, call } satisfies ToThread)
      // It keeps the process alive only while somebody waits for it.
      if (this.#waiting.size === 0) worker.ref()
      const settle = convert === undefined ? resolve : () => resolve(convert())
      this.#waiting.set(id, { resolve: settle, reject, bytes })
      this.#waitingBytes += bytes
    })
  }

  #start(): Promise<void> {
    const file = programFile(new URL('./worker.ts', import.meta.url), 'backend-worker', import.meta.url)
    const worker = new Worker(file, { workerData: { path: this.#path }, execArgv: [] })
    return new Promise((resolve, reject) => {
      let problem: unknown
      worker.on('message', (message: FromThread) => {
        if (message.type === 'failed') problem = errorFromJson(message.error, message.status)
        else if (message.type === 'ready') {
          this.#worker = worker
          this.#ticks = 0
          worker.unref()
          resolve()
        } else for (const part of message.parts) this.#receive(part)
      })
      worker.on('error', (error) => {
        problem ??= error
      })
      worker.on('exit', () => {
        if (this.#worker === worker) this.#died(problem)
        else reject(problem ?? new ConnectionProblem('the cluster state could not be opened'))
      })
    })
  }

  #receive(part: Part): void {
    switch (part.type) {
      case 'done':
        this.#take(part.id)?.resolve(part.value)
        break
      case 'error':
        this.#take(part.id)?.reject(errorFromJson({ error: part.error.error }, part.status))
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

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    this.#waitingBytes -= waiting?.bytes ?? 0
    // While it closes, its end is waited for.
    if (this.#waiting.size === 0 && this.#end === undefined) this.#worker?.unref()
    return waiting
  }

  /** Whoever waits is told at once; nobody knows whether their writes were stored, so they look and try again. */
  #died(problem: unknown): void {
    this.#worker = undefined
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    this.#waitingBytes = 0
    const error = new ConnectionProblem('the cluster state stopped unexpectedly; try again', { cause: problem })
    for (const { reject } of waiting) reject(error)
    if (this.#end !== undefined) return
    this.#watchers.endAll(new ResyncNeeded('the store stopped unexpectedly: list again, then watch again'))
    this.#log.error('the cluster state stopped unexpectedly and is opened again', {
      reason: messageOf(problem ?? 'no reason'),
    })
    this.#ready = this.#restart()
    // Those who need it get the error from their own call.
    this.#ready.catch(() => undefined)
  }

  async #restart(): Promise<void> {
    await this.#env.sleep(RESTART_AFTER_MS, this.#closing.signal)
    for (;;) {
      this.#assertOpen()
      try {
        return await this.#start()
      } catch (error) {
        this.#log.error('the cluster state cannot be opened', { reason: messageOf(error) })
        await this.#env.sleep(RETRY_AFTER_MS, this.#closing.signal)
      }
    }
  }

  /** The thread has no clock: whoever moves the time of this process moves the time of the store. */
  async #tickLoop(): Promise<void> {
    for (;;) {
      await this.#env.sleep(TICK_EVERY_MS, this.#closing.signal)
      if (this.#worker === undefined || this.#ticks >= MAX_TICKS) continue
      this.#ticks++
      this.#worker.postMessage({ now: this.#env.now().getTime(), tick: true } satisfies ToThread)
    }
  }

  #assertOpen(): void {
    if (this.#closing.signal.aborted) throw new ConnectionProblem('the store is closed')
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
