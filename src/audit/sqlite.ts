/**
 * The default audit store: one append-only SQLite file beside the cluster state. Events that arrive together share one
 * transaction and one fsync, so that many logins a second are possible with every event on disk before its login is answered.
 */

import { dirname } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { checkPrivateDir } from '../common/files.ts'
import { openSqlite, type SqliteSchema, sqliteError } from '../common/sqlite.ts'
import { BadParameter, ConnectionProblem, LimitExceeded } from '../errors/errors.ts'
import { type BoundEvent, boundEvent, parseBody } from './bound.ts'
import type { AuditEvent, StoredEvent } from './events.ts'
import type { AuditPage, AuditQuery, AuditStore } from './store.ts'

const schema: SqliteSchema = {
  what: 'audit log',
  applicationId: 0x54504155,
  migrations: [
    `CREATE TABLE events (
       ei INTEGER PRIMARY KEY AUTOINCREMENT, uid TEXT NOT NULL UNIQUE, time INTEGER NOT NULL, event TEXT NOT NULL,
       user TEXT NOT NULL, sid TEXT NOT NULL, body TEXT NOT NULL
     ) STRICT;
     CREATE INDEX events_time ON events (time);
     CREATE INDEX events_sid ON events (sid) WHERE sid <> '';
     CREATE TRIGGER events_keep BEFORE DELETE ON events BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
     CREATE TRIGGER events_fixed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;`,
  ],
}

const MAX_QUEUED_EVENTS = 20_000
const MAX_PAGE = 1000
/** Rows looked at before other work gets its turn: a few milliseconds. */
const SCAN_ROWS = 2000

interface Pending {
  readonly events: readonly BoundEvent[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

interface StoredRow {
  readonly ei: number
  readonly body: string
}

/** Opens or creates the file; its directory must be private already. Throws the errors of `openSqlite`. */
export async function openSqliteAudit(path: string): Promise<AuditStore> {
  await checkPrivateDir(dirname(path))
  return new SqliteAudit(path)
}

class SqliteAudit implements AuditStore {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #insert: StatementSync
  readonly #bounds: StatementSync
  #pending: Pending[] = []
  #queued = 0
  #closed = false

  constructor(path: string) {
    this.#path = path
    this.#database = openSqlite(path, schema)
    this.#insert = this.#database.prepare(
      'INSERT INTO events (uid, time, event, user, sid, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (uid) DO NOTHING',
    )
    this.#bounds = this.#database.prepare(
      'SELECT coalesce(min(ei), 1) AS low, coalesce(max(ei), 0) AS high FROM events',
    )
  }

  async append(events: readonly AuditEvent[]): Promise<void> {
    this.#assertOpen()
    const bounded = events.map(boundEvent)
    if (bounded.length === 0) return
    if (this.#queued + bounded.length > MAX_QUEUED_EVENTS) {
      throw new LimitExceeded('the audit log cannot keep up with the events; try again')
    }
    await new Promise<void>((resolve, reject) => {
      if (this.#pending.length === 0) setImmediate(() => this.#flush())
      this.#pending.push({ events: bounded, resolve, reject })
      this.#queued += bounded.length
    })
  }

  async search(query: AuditQuery): Promise<AuditPage> {
    const { limit = 100, order = 'newest' } = query
    if (!Number.isInteger(limit) || limit < 1)
      throw new BadParameter('limit', 'the page limit must be a whole number of at least 1')
    const size = Math.min(limit, MAX_PAGE)
    const rows: StoredRow[] = []
    for await (const row of this.#scan(query, order, parseCursor(query.cursor))) {
      rows.push(row)
      if (rows.length > size) break
    }
    const events = rows.slice(0, size).map(toEvent)
    const last = events.at(-1)
    return rows.length > size && last !== undefined ? { events, next: String(last.ei) } : { events }
  }

  async *exportLines(query: Omit<AuditQuery, 'limit' | 'cursor'>): AsyncGenerator<string> {
    for await (const row of this.#scan(query, query.order ?? 'oldest', undefined)) yield JSON.stringify(toEvent(row))
  }

  async close(): Promise<void> {
    if (this.#closed) return
    this.#flush()
    this.#closed = true
    this.#database.close()
  }

  #flush(): void {
    const pending = this.#pending
    if (pending.length === 0) return
    this.#pending = []
    this.#queued = 0
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      for (const { events } of pending) {
        for (const event of events) {
          this.#insert.run(event.uid, event.timeMs, event.event, event.user, event.sid, event.body)
        }
      }
      this.#database.exec('COMMIT')
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      const reason = sqliteError(error, this.#path, schema)
      for (const { reject } of pending) reject(reason)
      return
    }
    for (const { resolve } of pending) resolve()
  }

  /** Windows of `SCAN_ROWS`, with a turn of the event loop between them: a search never stalls logins. */
  async *#scan(
    query: Omit<AuditQuery, 'limit' | 'cursor'>,
    order: 'newest' | 'oldest',
    after: number | undefined,
  ): AsyncGenerator<StoredRow> {
    this.#assertOpen()
    const { where, values } = conditions(query)
    const direction = order === 'newest' ? 'DESC' : 'ASC'
    const statement = this.#guard(() =>
      this.#database.prepare(`SELECT ei, body FROM events WHERE ei >= ? AND ei < ?${where} ORDER BY ei ${direction}`),
    )
    const bounds = this.#guard(() => this.#bounds.get())
    const [low, high] = [Number(bounds?.low), Number(bounds?.high)]
    let from = order === 'newest' ? Math.min(after ?? high + 1, high + 1) : Math.max((after ?? low - 1) + 1, low)
    while (order === 'newest' ? from > low : from <= high) {
      this.#assertOpen()
      const start = order === 'newest' ? Math.max(low, from - SCAN_ROWS) : from
      const end = order === 'newest' ? from : from + SCAN_ROWS
      const rows = this.#guard(() => statement.all(start, end, ...values))
      for (const row of rows) yield { ei: Number(row.ei), body: String(row.body) }
      from = order === 'newest' ? start : end
      await nextTurn()
    }
  }

  #guard<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw sqliteError(error, this.#path, schema)
    }
  }

  #assertOpen(): void {
    if (this.#closed) throw new ConnectionProblem('the audit log is closed')
  }
}

function conditions(query: Omit<AuditQuery, 'limit' | 'cursor'>): { where: string; values: (string | number)[] } {
  const parts: string[] = []
  const values: (string | number)[] = []
  const add = (part: string, ...more: (string | number)[]) => {
    parts.push(` AND ${part}`)
    values.push(...more)
  }
  if (query.from !== undefined) add('time >= ?', query.from.getTime())
  if (query.to !== undefined) add('time < ?', query.to.getTime())
  if (query.types !== undefined) {
    const types = query.types.slice(0, 200)
    add(`event IN (${types.map(() => '?').join(', ')})`, ...types)
  }
  if (query.user !== undefined) add('user = ?', query.user)
  if (query.sid !== undefined) add('sid = ?', query.sid)
  if (query.text !== undefined && query.text !== '') {
    if (query.text.length > 1000)
      throw new BadParameter('text', 'the text to search for is longer than 1000 characters')
    // As JSON writes it, so that quotes and backslashes are found too.
    const escaped = JSON.stringify(query.text)
      .slice(1, -1)
      .replace(/[\\%_]/g, '\\$&')
    add("body LIKE ? ESCAPE '\\'", `%${escaped}%`)
  }
  return { where: parts.join(''), values }
}

function parseCursor(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined
  if (!/^[1-9]\d{0,14}$/.test(cursor))
    throw new BadParameter('cursor', 'the page cursor is not one that this search returned')
  return Number(cursor)
}

const toEvent = ({ ei, body }: StoredRow): StoredEvent => ({ ei, ...parseBody(body) })
