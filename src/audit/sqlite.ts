/**
 * The default audit store: one append-only SQLite file beside the cluster state, in a worker thread of its own, so that neither a slow
 * disk nor a long search delays anything else. This is the caller's end: it bounds what waits, and starts the thread again when it dies.
 */

import { dirname } from 'node:path'
import { Worker } from 'node:worker_threads'
import { AnsweringThread } from '../common/answering-thread.ts'
import { type Env, realEnv } from '../common/env.ts'
import { checkPrivateDir } from '../common/files.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { programFile } from '../common/program-file.ts'
import { LimitExceeded } from '../errors/errors.ts'
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

class SqliteAudit implements AuditStore {
  readonly opened: Promise<void>
  readonly #thread: AnsweringThread<FromWorker>
  readonly #file: string
  readonly #options: SqliteAuditOptions
  readonly #log: Logger
  #queued = 0
  #queuedChars = 0

  constructor(path: string, options: SqliteAuditOptions) {
    const { privateKey, signEvery = 1000, signAfterMs = 60_000, expected = [] } = options
    const { env = realEnv, logger = silentLogger } = options
    const workerData: WorkerSettings = { path, privateKey, signEvery, signAfterMs, expected }
    this.#file = path
    this.#options = options
    this.#log = logger
    this.#thread = new AnsweringThread<FromWorker>({
      what: 'the audit log',
      env,
      logger,
      start: () => {
        const file = programFile(new URL('./worker.ts', import.meta.url), 'audit-worker', import.meta.url)
        return new Worker(file, { workerData, execArgv: [] })
      },
      take: (message) => this.#receive(message),
    })
    this.opened = this.#thread.opened
  }

  async append(events: readonly AuditEvent[]): Promise<void> {
    this.#thread.assertRunning()
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
    await this.#thread.close((id) => ({ id, call: { op: 'close' } }) satisfies ToWorker)
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
      if (!done) await this.#call({ op: 'return', stream }).catch(() => undefined)
    }
  }

  async #call<T>(call: Call): Promise<T> {
    // Appends have a bound of their own.
    if (call.op !== 'append' && this.#thread.waiting >= MAX_CALLS) {
      throw new LimitExceeded('too many requests wait for the audit log; try again')
    }
    return (await this.#thread.call((id) => ({ id, call }) satisfies ToWorker)) as T
  }

  #receive(message: Exclude<FromWorker, { type: 'ready' | 'failed' }>): void {
    switch (message.type) {
      case 'done':
        this.#thread.answer(message.id, message.value)
        break
      case 'error':
        this.#thread.refuse(message.id, message.error, message.status)
        break
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
    const file = this.#file
    if (state === 'ok') this.#log.info('the disk of the audit log has room again', { file })
    else if (state === 'low') this.#log.warn('the disk of the audit log is nearly full', { file, freeBytes: free })
    else if (state === 'reserve')
      this.#log.error('the disk of the audit log is full: of what must be recorded, only logins are still possible', {
        file,
      })
    else this.#log.error('the disk of the audit log is full: nothing that must be recorded is possible', { file })
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
