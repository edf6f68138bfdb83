/**
 * The default audit store: one append-only SQLite file beside the cluster state, in a worker thread of its own, so that neither a slow
 * disk nor a long search delays anything else. This is the caller's end: it bounds what waits, and starts the thread again when it dies.
 */

import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { type Env, realEnv } from '../common/env.ts'
import { checkPrivateDir } from '../common/files.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { programFile } from '../common/program-file.ts'
import { ConnectionProblem, LimitExceeded } from '../errors/errors.ts'
import { errorFromJson } from '../errors/json.ts'
import { messageOf } from '../errors/system.ts'
import { type BoundEvent, boundEvent, parseFields } from './bound.ts'
import type { Cut, Head, Link } from './chain.ts'
import type { AuditEvent, EventName, StoredEvent } from './events.ts'
import type { Call, FoundPage, FromWorker, ToWorker, WorkerSettings } from './messages.ts'
import type {
  AuditFilter,
  AuditPage,
  AuditQuery,
  AuditStatus,
  AuditStore,
  CutEvent,
  DiskState,
  VerifyStep,
} from './store.ts'

const MAX_QUEUED_EVENTS = 20_000
const MAX_QUEUED_CHARS = 64 * 1024 * 1024
const MAX_CALLS = 1000
const RESTART_AFTER_MS = 250

export interface SqliteAuditOptions {
  /** PKCS#8 in PEM, Ed25519: signs the checkpoints. */
  readonly privateKey: string
  /** A checkpoint at least every so many events, and at the latest so many milliseconds after an event. */
  readonly signEvery?: number
  readonly signAfterMs?: number
  /** What the log is known to contain; what it does not is in its status. */
  readonly expected?: readonly Head[]
  /** A checkpoint is on disk. */
  readonly onSigned?: (head: Head) => void
  readonly env?: Env
  readonly logger?: Logger
}

/** Opens or creates the file; its directory must be private already. Throws the errors of `openSqlite`. */
export async function openSqliteAudit(path: string, options: SqliteAuditOptions): Promise<AuditStore> {
  await checkPrivateDir(dirname(path))
  const store = new SqliteAudit(path, options)
  await store.opened
  return store
}

/** Without these nobody could log in to make room on a full disk. */
const vital: ReadonlySet<string> = new Set<EventName>(['user.login', 'cert.create', 'session.recording.removed'])

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

class SqliteAudit implements AuditStore {
  readonly opened: Promise<void>
  readonly #settings: WorkerSettings
  readonly #options: SqliteAuditOptions
  readonly #env: Env
  readonly #log: Logger
  readonly #waiting = new Map<number, Waiting>()
  /** Undefined after it died, until it is started again. */
  #worker: Worker | undefined
  #ready: Promise<void>
  #lastId = 0
  #queued = 0
  #queuedChars = 0
  #closed = false

  constructor(path: string, options: SqliteAuditOptions) {
    const { privateKey, signEvery = 1000, signAfterMs = 60_000, expected = [] } = options
    const { env = realEnv, logger = silentLogger } = options
    this.#settings = { path, privateKey, signEvery, signAfterMs, expected }
    this.#options = options
    this.#env = env
    this.#log = logger
    this.#ready = this.#start()
    this.opened = this.#ready
  }

  async append(events: readonly AuditEvent[]): Promise<void> {
    this.#assertOpen()
    const bounded = events.map(boundEvent)
    if (bounded.length === 0) return
    const chars = bounded.reduce((sum, { body }) => sum + body.length, 0)
    if (this.#queued + bounded.length > MAX_QUEUED_EVENTS || this.#queuedChars + chars > MAX_QUEUED_CHARS) {
      throw new LimitExceeded('the audit log cannot keep up with the events; try again')
    }
    this.#queued += bounded.length
    this.#queuedChars += chars
    try {
      await this.#call(appendCall(bounded))
    } finally {
      this.#queued -= bounded.length
      this.#queuedChars -= chars
    }
  }

  async search(query: AuditQuery): Promise<AuditPage> {
    const { found, ...page } = await this.#call<FoundPage>({ op: 'search', query })
    return { events: found.map(toEvent), ...page }
  }

  export(filter: AuditFilter): AsyncGenerator<readonly string[]> {
    return this.#stream<readonly string[]>({ op: 'export', filter })
  }

  verify(expected: readonly Head[] = []): AsyncGenerator<VerifyStep> {
    return this.#stream<VerifyStep>({ op: 'verify', expected })
  }

  async cut(before: Date, event: CutEvent): Promise<Cut | undefined> {
    return await this.#call<Cut | undefined>({ op: 'cut', before: before.getTime(), event })
  }

  async status(): Promise<AuditStatus> {
    return await this.#call<AuditStatus>({ op: 'status' })
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#ready.catch(() => undefined)
    const worker = this.#worker
    if (worker === undefined) return
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    await this.#send({ op: 'close' }).catch((error: unknown) => {
      this.#log.error('the audit log was not closed cleanly', { reason: messageOf(error) })
      return worker.terminate()
    })
    await ended
  }

  async *#stream<T>(call: Call): AsyncGenerator<T> {
    const stream = await this.#call<number>(call)
    let done = false
    try {
      for (;;) {
        const result = await this.#call<IteratorResult<T>>({ op: 'next', stream })
        if (result.done === true) {
          done = true
          return
        }
        yield result.value
      }
    } finally {
      if (!done && !this.#closed) await this.#call({ op: 'return', stream }).catch(() => undefined)
    }
  }

  async #call<T>(call: Call): Promise<T> {
    this.#assertOpen()
    return (await this.#send(call)) as T
  }

  #send(call: Call): Promise<unknown> {
    const worker = this.#worker
    if (worker === undefined) throw new ConnectionProblem('the audit log is being opened again; try again')
    // Appends have a bound of their own.
    if (call.op !== 'append' && call.op !== 'close' && this.#waiting.size >= MAX_CALLS) {
      throw new LimitExceeded('too many requests wait for the audit log; try again')
    }
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      // It keeps the process alive only while somebody waits for it.
      if (this.#waiting.size === 0) worker.ref()
      this.#waiting.set(id, { resolve, reject })
      worker.postMessage({ id, call } satisfies ToWorker)
    })
  }

  #start(): Promise<void> {
    const file = programFile(new URL('./worker.ts', import.meta.url), 'audit-worker', import.meta.url)
    const worker = new Worker(file, { workerData: this.#settings, execArgv: [] })
    return new Promise((resolve, reject) => {
      let problem: unknown
      worker.on('message', (message: FromWorker) => {
        if (message.type === 'failed') problem = errorFromJson(message.error, message.status)
        else if (message.type === 'ready') {
          this.#worker = worker
          worker.unref()
          resolve()
        } else this.#receive(message)
      })
      worker.on('error', (error) => {
        problem ??= error
      })
      worker.on('exit', () => {
        if (this.#worker === worker) this.#died(problem)
        else reject(problem ?? new ConnectionProblem('the audit log could not be opened'))
      })
    })
  }

  #receive(message: Exclude<FromWorker, { type: 'ready' | 'failed' }>): void {
    switch (message.type) {
      case 'done':
      case 'error': {
        const waiting = this.#waiting.get(message.id)
        this.#waiting.delete(message.id)
        // While it closes, its end is waited for.
        if (this.#waiting.size === 0 && !this.#closed) this.#worker?.unref()
        if (message.type === 'done') waiting?.resolve(message.value)
        else waiting?.reject(errorFromJson(message.error, message.status))
        break
      }
      case 'signed':
        this.#options.onSigned?.(message.head)
        break
      case 'disk':
        this.#tellDisk(message.state, message.free)
        break
      case 'log':
        this.#log[message.level](message.message, { reason: message.reason })
        break
    }
  }

  #tellDisk(state: DiskState, free: number): void {
    const file = this.#settings.path
    if (state === 'ok') this.#log.info('the disk of the audit log has room again', { file })
    else if (state === 'low') this.#log.warn('the disk of the audit log is nearly full', { file, freeBytes: free })
    else if (state === 'reserve')
      this.#log.error('the disk of the audit log is full: of what must be recorded, only logins are still possible', {
        file,
      })
    else this.#log.error('the disk of the audit log is full: nothing that must be recorded is possible', { file })
  }

  /** Whoever waits is told at once; nobody knows whether their events were stored, so they try again. */
  #died(problem: unknown): void {
    this.#worker = undefined
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    const error = new ConnectionProblem('the audit log stopped unexpectedly; try again', { cause: problem })
    for (const { reject } of waiting) reject(error)
    if (this.#closed) return
    this.#log.error('the audit log stopped unexpectedly and is opened again', {
      reason: messageOf(problem ?? 'no reason'),
    })
    this.#ready = this.#restart()
    // Those who need it get the error from their own call.
    this.#ready.catch(() => undefined)
  }

  async #restart(): Promise<void> {
    for (;;) {
      await this.#env.sleep(RESTART_AFTER_MS)
      if (this.#closed) throw new ConnectionProblem('the audit log is closed')
      try {
        return await this.#start()
      } catch (error) {
        this.#log.error('the audit log cannot be opened', { reason: messageOf(error) })
        await this.#env.sleep(RESTART_AFTER_MS * 20)
      }
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new ConnectionProblem('the audit log is closed')
  }
}

function appendCall(events: readonly BoundEvent[]): Call {
  return {
    op: 'append',
    times: events.map(({ timeMs }) => timeMs),
    uids: events.map(({ uid }) => uid),
    bodies: events.map(({ body }) => body),
    vital: events.every(({ event }) => vital.has(event)),
  }
}

const toEvent = ({ ei, hash, body }: Link): StoredEvent =>
  ({ ei, hash, ...parseFields(body) }) as unknown as StoredEvent
