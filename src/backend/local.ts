/**
 * The contract on top of an ordered table in this process: checks, expiry, revisions, watchers and group commit are the
 * same for every local driver; `memory.ts` and `sqlite.ts` only bring the table.
 */

import type { Env } from '../common/env.ts'
import { AlreadyExists, BadParameter, CompareFailed, ConnectionProblem, KindError, NotFound } from '../errors/errors.ts'
import type { Backend, Item, Key, NewItem, Operation, Page, RangeOptions, WatchEvent, Watcher } from './contract.ts'
import { decodeCursor, decodeKey, encodeCursor, encodeKey, encodePrefix, endOfPrefix, showKey } from './key.ts'
import { Watchers } from './watchers.ts'

const MAX_VALUE_BYTES = 1024 * 1024
const MAX_OPERATIONS = 128
const MAX_PAGE = 1000
const SWEEP_EVERY_MS = 1000
const SWEEP_BATCH = 500

export interface Row {
  readonly value: Buffer
  /** Milliseconds since 1970. */
  readonly expires: number | undefined
  readonly revision: number
}

/** An ordered map from encoded keys to rows. `begin` to `commit` is one atomic, durable unit. */
export interface Table {
  begin(): void
  /** Stores the revision counter too. Throws when the unit could not be made durable. */
  commit(revision: number): void
  rollback(): void
  get(key: string): Row | undefined
  set(key: string, row: Row): void
  delete(key: string): void
  /** Rows with `from < key < to` (`from` included when `inclusive`) that have not expired at `now`, in key order. */
  scan(from: string, inclusive: boolean, to: string, limit: number, now: number): readonly (readonly [string, Row])[]
  expired(now: number, limit: number): readonly string[]
  lastRevision(): number
  close(): void
}

/** A table could not read or write. Kept apart from refusals such as NotFound, since it undoes a whole batch. */
export class TableFailure extends Error {
  readonly error: KindError
  constructor(error: KindError) {
    super(error.message, { cause: error })
    this.error = error
  }
}

interface Write {
  readonly run: (revision: number, events: WatchEvent[]) => void
  readonly resolve: (revision: string) => void
  readonly reject: (error: unknown) => void
}

export interface LocalOptions {
  /** Events that a slow watcher may have waiting. Default 10000. */
  readonly maxQueuedEvents?: number
  /** Called with the events of each turn, before the writes resolve. */
  readonly onEvents?: (events: readonly WatchEvent[]) => void
}

export class LocalBackend implements Backend {
  readonly #table: Table
  readonly #env: Env
  readonly #watchers: Watchers
  readonly #onEvents: ((events: readonly WatchEvent[]) => void) | undefined
  readonly #closing = new AbortController()
  #revision: number
  #writes: Write[] = []
  #closed = false

  constructor(table: Table, env: Env, options: LocalOptions = {}) {
    this.#table = table
    this.#env = env
    this.#watchers = new Watchers(options.maxQueuedEvents)
    this.#onEvents = options.onEvents
    this.#revision = table.lastRevision()
    this.#sweepLoop().catch(() => undefined)
  }

  create(item: NewItem): Promise<string> {
    return this.#putIf(item, (row) => {
      if (row !== undefined) throw new AlreadyExists(`${showKey(item.key)} exists already`)
    })
  }

  put(item: NewItem): Promise<string> {
    return this.#putIf(item, () => undefined)
  }

  update(item: NewItem): Promise<string> {
    return this.#putIf(item, (row) => {
      if (row === undefined) throw notFound(item.key)
    })
  }

  compareAndSwap(item: NewItem, expectedRevision: string): Promise<string> {
    return this.#putIf(item, (row) => checkRevision(item.key, row, expectedRevision))
  }

  async get(key: Key): Promise<Item> {
    this.#assertOpen()
    const encoded = encodeKey(key)
    const row = reading(() => this.#live(encoded))
    if (row === undefined) throw notFound(key)
    return toItem([...key], row)
  }

  async range(prefix: Key, options: RangeOptions = {}): Promise<Page> {
    this.#assertOpen()
    const { limit = MAX_PAGE, after } = options
    if (!Number.isInteger(limit) || limit < 1)
      throw new BadParameter('limit', 'the page limit must be a whole number of at least 1')
    const size = Math.min(limit, MAX_PAGE)
    const encoded = encodePrefix(prefix)
    const from = after === undefined ? encoded : decodeCursor(after, encoded)
    const rows = reading(() =>
      this.#table.scan(from, after === undefined, endOfPrefix(encoded), size + 1, this.#nowMs()),
    )
    const items = rows.slice(0, size).map(([key, row]) => toItem(decodeKey(key), row))
    const last = rows[size - 1]
    return rows.length > size && last !== undefined ? { items, next: encodeCursor(last[0]) } : { items }
  }

  async delete(key: Key): Promise<void> {
    await this.#deleteIf(key, (row) => {
      if (row === undefined) throw notFound(key)
    })
  }

  async conditionalDelete(key: Key, expectedRevision: string): Promise<void> {
    await this.#deleteIf(key, (row) => checkRevision(key, row, expectedRevision))
  }

  async deleteRange(prefix: Key): Promise<number> {
    const encoded = encodePrefix(prefix)
    let count = 0
    await this.#write((_revision, events) => {
      for (;;) {
        const rows = this.#table.scan(encoded, true, endOfPrefix(encoded), MAX_PAGE, this.#nowMs())
        for (const [key] of rows) {
          this.#table.delete(key)
          events.push({ type: 'delete', key: decodeKey(key) })
        }
        count += rows.length
        if (rows.length < MAX_PAGE) return
      }
    })
    return count
  }

  async keepAlive(key: Key, expires: Date): Promise<string> {
    const encoded = encodeKey(key)
    const at = checkDate(expires)
    return this.#write((revision, events) => {
      const row = this.#live(encoded)
      if (row === undefined) throw notFound(key)
      this.#set(key, encoded, { value: row.value, expires: at, revision }, events)
    })
  }

  async commit(operations: readonly Operation[]): Promise<string> {
    const prepared = prepare(operations)
    return this.#write((revision, events) => {
      for (const { key, condition } of prepared.checks) condition(this.#live(encodeKey(key)))
      for (const { key, encoded, row } of prepared.puts) this.#set(key, encoded, { ...row, revision }, events)
      for (const key of prepared.deletes) this.#remove(key, encodeKey(key), events)
    })
  }

  async watch(prefix: Key, signal: AbortSignal): Promise<Watcher> {
    this.#assertOpen()
    return this.#watchers.subscribe(encodePrefix(prefix), signal)
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#flush()
    this.#closed = true
    this.#closing.abort()
    this.#watchers.endAll(new ConnectionProblem('the store was closed'))
    this.#table.close()
  }

  async #putIf(item: NewItem, condition: (row: Row | undefined) => void): Promise<string> {
    const encoded = encodeKey(item.key)
    const row = toRow(item)
    const key = [...item.key]
    return this.#write((revision, events) => {
      condition(this.#live(encoded))
      this.#set(key, encoded, { ...row, revision }, events)
    })
  }

  async #deleteIf(key: Key, condition: (row: Row | undefined) => void): Promise<void> {
    const encoded = encodeKey(key)
    await this.#write((_revision, events) => {
      condition(this.#live(encoded))
      this.#remove([...key], encoded, events)
    })
  }

  #set(key: Key, encoded: string, row: Row, events: WatchEvent[]): void {
    this.#table.set(encoded, row)
    events.push({ type: 'put', item: toItem(key, row) })
  }

  #remove(key: Key, encoded: string, events: WatchEvent[]): void {
    if (this.#table.get(encoded) === undefined) return
    this.#table.delete(encoded)
    events.push({ type: 'delete', key })
  }

  #live(encoded: string): Row | undefined {
    const row = this.#table.get(encoded)
    return row?.expires !== undefined && row.expires <= this.#nowMs() ? undefined : row
  }

  /**
   * Group commit: writes that arrive in the same turn of the event loop share one transaction and one fsync. `run` throws
   * a KindError before it changes anything, so one refused write does not disturb the others.
   */
  #write(run: Write['run']): Promise<string> {
    this.#assertOpen()
    return new Promise((resolve, reject) => {
      if (this.#writes.length === 0) setImmediate(() => this.#flush())
      this.#writes.push({ run, resolve, reject })
    })
  }

  #flush(): void {
    const writes = this.#writes
    if (writes.length === 0) return
    this.#writes = []
    const events: WatchEvent[] = []
    const done: (() => void)[] = []
    const before = this.#revision
    try {
      this.#table.begin()
      for (const write of writes) {
        const revision = this.#revision + 1
        try {
          write.run(revision, events)
          this.#revision = revision
          done.push(() => write.resolve(String(revision)))
        } catch (error) {
          if (!(error instanceof KindError)) throw error
          done.push(() => write.reject(error))
        }
      }
      this.#table.commit(this.#revision)
    } catch (error) {
      // The disk refused: nothing of this batch happened.
      this.#revision = before
      this.#table.rollback()
      const reason = error instanceof TableFailure ? error.error : error
      for (const write of writes) write.reject(reason)
      return
    }
    this.#watchers.publish(events)
    this.#onEvents?.(events)
    for (const settle of done) settle()
  }

  /** Removes expired items, so that they give delete events and do not fill the disk. Reads never depend on it. */
  async #sweepLoop(): Promise<void> {
    while (!this.#closed) {
      await this.#env.sleep(SWEEP_EVERY_MS, this.#closing.signal)
      if (this.#closed || this.#table.expired(this.#nowMs(), 1).length === 0) continue
      // A full disk stops the cleaning, not the loop.
      await this.#write((_revision, events) => {
        for (const encoded of this.#table.expired(this.#nowMs(), SWEEP_BATCH)) {
          this.#table.delete(encoded)
          events.push({ type: 'delete', key: decodeKey(encoded) })
        }
      }).catch(() => undefined)
    }
  }

  #nowMs(): number {
    return this.#env.now().getTime()
  }

  #assertOpen(): void {
    if (this.#closed) throw new ConnectionProblem('the store is closed')
  }
}

function reading<T>(run: () => T): T {
  try {
    return run()
  } catch (error) {
    throw error instanceof TableFailure ? error.error : error
  }
}

function notFound(key: Key): NotFound {
  return new NotFound(`${showKey(key)} is not found`)
}

function checkRevision(key: Key, row: Row | undefined, expected: string): void {
  if (row === undefined) throw new CompareFailed(`${showKey(key)} does not exist any more`)
  if (String(row.revision) !== expected) {
    throw new CompareFailed(`${showKey(key)} was changed meanwhile; read it again and repeat the change`)
  }
}

function checkDate(date: Date): number {
  const at = date.getTime()
  if (!Number.isSafeInteger(at)) throw new BadParameter('expires', 'the expiry is not a valid time')
  return at
}

function toRow(item: NewItem): Omit<Row, 'revision'> {
  // Copied: the caller may reuse its buffer before the write happens.
  const value = typeof item.value === 'string' ? Buffer.from(item.value, 'utf8') : Buffer.from(item.value)
  if (value.length > MAX_VALUE_BYTES) {
    throw new BadParameter('value', `the value of ${showKey(item.key)} is larger than ${MAX_VALUE_BYTES} bytes`)
  }
  return { value, expires: item.expires === undefined ? undefined : checkDate(item.expires) }
}

function toItem(key: Key, row: Row): Item {
  const item = { key, value: Buffer.from(row.value), revision: String(row.revision) }
  return row.expires === undefined ? item : { ...item, expires: new Date(row.expires) }
}

interface Prepared {
  readonly checks: readonly { readonly key: Key; readonly condition: (row: Row | undefined) => void }[]
  readonly puts: readonly { readonly key: Key; readonly encoded: string; readonly row: Omit<Row, 'revision'> }[]
  readonly deletes: readonly Key[]
}

/** Everything that can be wrong with the request itself, found before the transaction. */
function prepare(operations: readonly Operation[]): Prepared {
  if (operations.length === 0) throw new BadParameter('operations', 'an atomic change needs at least one operation')
  if (operations.length > MAX_OPERATIONS) {
    throw new BadParameter('operations', `an atomic change has at most ${MAX_OPERATIONS} operations`)
  }
  const checks: Prepared['checks'][number][] = []
  const puts: Prepared['puts'][number][] = []
  const deletes: Key[] = []
  const seen = new Set<string>()
  let bytes = 0
  for (const operation of operations) {
    const key = [...(operation.op === 'put' ? operation.item.key : operation.key)]
    const encoded = encodeKey(key)
    const mark = `${operation.op === 'check' ? 'check' : 'write'} ${encoded}`
    if (seen.has(mark)) throw new BadParameter('operations', `${showKey(key)} appears twice in one atomic change`)
    seen.add(mark)
    if (operation.op === 'put') {
      const row = toRow(operation.item)
      bytes += row.value.length
      puts.push({ key, encoded, row })
    } else if (operation.op === 'delete') deletes.push(key)
    else checks.push({ key, condition: conditionOf(operation, key) })
  }
  if (bytes > MAX_VALUE_BYTES)
    throw new BadParameter('operations', `an atomic change holds at most ${MAX_VALUE_BYTES} bytes`)
  return { checks, puts, deletes }
}

function conditionOf(check: Extract<Operation, { op: 'check' }>, key: Key): (row: Row | undefined) => void {
  if ('revision' in check) return (row) => checkRevision(key, row, check.revision)
  return (row) => {
    if ((row !== undefined) === check.exists) return
    throw new CompareFailed(check.exists ? `${showKey(key)} does not exist` : `${showKey(key)} exists already`)
  }
}
