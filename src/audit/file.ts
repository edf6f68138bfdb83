/**
 * The log's SQLite file, as the worker thread uses it: append, read in order, sign, cut. Events and checkpoints only grow; triggers
 * refuse everything else but the removal of what a signed cut covers.
 */

import { hash } from 'node:crypto'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { openSqlite, type SqliteSchema, sqliteError } from '../common/sqlite.ts'
import { parseFields } from './bound.ts'
import {
  type AuditKey,
  type Checkpoint,
  type Cut,
  checkpointText,
  firstHash,
  type Head,
  type Link,
  nextHash,
  parseCheckpoint,
  type Signed,
  signText,
  textHash,
} from './chain.ts'

export const auditSchema: SqliteSchema = {
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
    // What a log from before holds is tied together when it is opened, a piece at a time. `once` is the time: an event that is
    // delivered again has the same one, so that the index which finds repeats grows at its end instead of all over. It is another
    // number where the time does not count, see `onceOf`.
    `DROP TRIGGER events_keep; DROP TRIGGER events_fixed; DROP INDEX events_time; DROP INDEX events_sid;
     ALTER TABLE events RENAME TO events_unchained;
     CREATE TABLE events (
       ei INTEGER PRIMARY KEY, time INTEGER NOT NULL, once INTEGER NOT NULL, uid BLOB NOT NULL, hash TEXT NOT NULL,
       body TEXT NOT NULL, UNIQUE (once, uid)
     ) STRICT;
     CREATE TABLE checkpoints (
       n INTEGER PRIMARY KEY, ei INTEGER NOT NULL, cut INTEGER NOT NULL, text TEXT NOT NULL, signature TEXT NOT NULL
     ) STRICT;
     CREATE INDEX checkpoints_ei ON checkpoints (ei);
     CREATE TRIGGER events_keep BEFORE DELETE ON events WHEN OLD.ei > (SELECT coalesce(max(cut), 0) FROM checkpoints)
       BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
     CREATE TRIGGER events_fixed BEFORE UPDATE ON events BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
     CREATE TRIGGER checkpoints_keep BEFORE DELETE ON checkpoints
       WHEN OLD.ei > (SELECT coalesce(max(cut), 0) FROM checkpoints)
       BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;
     CREATE TRIGGER checkpoints_fixed BEFORE UPDATE ON checkpoints
       BEGIN SELECT RAISE(ABORT, 'the audit log only grows'); END;`,
  ],
}

export interface NewRow {
  readonly timeMs: number
  /** 16 bytes. */
  readonly uid: Buffer
  readonly body: string
}

/** A row as searches read it, in half the time of one that can be checked. */
export interface FoundRow extends Link {
  readonly timeMs: number
}

/** A row with everything that can be checked against its body. */
export interface StoredRow extends FoundRow {
  readonly uid: Buffer
}

export interface StoredCheckpoint extends Signed {
  readonly n: number
  readonly ei: number
}

/** Rows of a log from before the chain that are tied together in one transaction. */
const ADOPT_ROWS = 5000

export class AuditFile {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #key: AuditKey
  readonly #insert: StatementSync
  readonly #statements = new Map<string, StatementSync>()
  #head: Head
  #last: { readonly n: number; readonly ei: number; readonly text: string }
  #cutTo: number

  /** Throws the errors of `openSqlite`. `now` in milliseconds since 1970. */
  constructor(path: string, key: AuditKey, now: number) {
    this.#path = path
    this.#key = key
    this.#database = openSqlite(path, auditSchema)
    this.#database.exec('PRAGMA cache_size = -32768')
    this.#insert = this.#database.prepare(
      'INSERT INTO events (ei, time, once, uid, hash, body) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (once, uid) DO NOTHING',
    )
    const last = this.#get('SELECT ei, hash FROM events ORDER BY ei DESC LIMIT 1')
    const checkpoint = this.#get('SELECT n, ei, text FROM checkpoints ORDER BY n DESC LIMIT 1')
    this.#last = {
      n: Number(checkpoint?.n ?? 0),
      ei: Number(checkpoint?.ei ?? 0),
      text: String(checkpoint?.text ?? ''),
    }
    this.#cutTo = Number(this.#get('SELECT coalesce(max(cut), 0) AS cut FROM checkpoints')?.cut)
    // When the last events were taken away, their numbers are not given again: the gap then shows.
    const signed = parseCheckpoint(this.#last.text)
    const inFile = last === undefined ? { ei: 0, hash: firstHash } : { ei: Number(last.ei), hash: String(last.hash) }
    this.#head = signed !== undefined && signed.ei > inFile.ei ? { ei: signed.ei, hash: signed.hash } : inFile
    this.#adopt(now)
  }

  get head(): Head {
    return this.#head
  }

  get lastCheckpoint(): { readonly n: number; readonly ei: number } {
    return this.#last
  }

  /** Everything up to this event was removed by retention. */
  get cutTo(): number {
    return this.#cutTo
  }

  /** All or nothing, durable when it returns; an event that is there already changes nothing. Checkpoints after `signEvery` events. */
  append(rows: Iterable<NewRow>, signEvery: number, now: number): void {
    this.#transaction(() => {
      for (const row of rows) this.#add(row)
      if (this.#head.ei - this.#last.ei >= signEvery) this.#sign(now)
    })
  }

  /** Signs the head, when there is something new to sign. */
  checkpoint(now: number): void {
    if (this.#head.ei === this.#last.ei) return
    this.#transaction(() => this.#sign(now))
  }

  /** Up to `limit` rows with `from <= ei < to`. */
  rows(from: number, to: number, limit: number, order: 'ASC' | 'DESC' = 'ASC'): StoredRow[] {
    const sql = `SELECT ei, time, uid, hash, body FROM events WHERE ei >= ? AND ei < ? ORDER BY ei ${order} LIMIT ?`
    return this.#guard(() => this.#prepared(sql).all(from, to, limit)).map(toRow)
  }

  /** Like `rows`, for proof: `exact` is false when the row cannot be what was stored: bytes that are no UTF-8, columns that
   * disagree. */
  exactRows(from: number, limit: number): (StoredRow & { readonly exact: boolean })[] {
    const sql =
      'SELECT ei, time, once, uid, hash, CAST(body AS BLOB) AS body FROM events WHERE ei >= ? ORDER BY ei LIMIT ?'
    return this.#guard(() => this.#prepared(sql).all(from, limit)).map((row) => {
      const bytes = row.body instanceof Uint8Array ? Buffer.from(row.body) : Buffer.alloc(0)
      const body = bytes.toString('utf8')
      // Bytes that are no UTF-8 read as U+FFFD, which the text may have held itself.
      const stored = toRow({ ...row, body })
      const exact = bytes.equals(Buffer.from(body)) && onceOf(stored) === row.once
      return { ...stored, exact }
    })
  }

  row(ei: number): StoredRow | undefined {
    const found = this.#guard(() => this.#prepared('SELECT ei, time, uid, hash, body FROM events WHERE ei = ?').get(ei))
    return found === undefined ? undefined : toRow(found)
  }

  /** Those of them that are there, in the order given. */
  rowsAt(numbers: readonly number[]): FoundRow[] {
    const sql = `SELECT ei, time, hash, body FROM json_each(?) AS wanted CROSS JOIN events ON ei = wanted.value ORDER BY wanted.key`
    return this.#guard(() => this.#prepared(sql).all(JSON.stringify(numbers))).map(toFound)
  }

  /** In the order of their numbers, those after `n`. */
  checkpoints(n: number, limit: number): StoredCheckpoint[] {
    const sql = 'SELECT n, ei, text, signature FROM checkpoints WHERE n > ? ORDER BY n LIMIT ?'
    return this.#guard(() => this.#prepared(sql).all(n, limit)).map(toCheckpoint)
  }

  /** The statement with which the log begins, after a cut. */
  lastCut(): StoredCheckpoint | undefined {
    const row = this.#get('SELECT n, ei, text, signature FROM checkpoints WHERE cut > 0 ORDER BY n DESC LIMIT 1')
    return row === undefined ? undefined : toCheckpoint(row)
  }

  /** Cached pages go, so that the next read shows what is on the disk. */
  forget(): void {
    this.#guard(() => this.#database.exec('PRAGMA shrink_memory'))
  }

  /**
   * Declares everything up to `ei` removed: the given event, which says so, and a signed checkpoint, in one step. The rows go later,
   * with `removeCut`.
   */
  cut(ei: number, event: (cut: Head & { readonly events: number }) => NewRow, now: number): Cut {
    const row = this.row(ei)
    if (row === undefined) throw new Error(`there is no event ${ei} to cut at`)
    const count = Number(
      this.#get('SELECT count(*) AS count FROM events WHERE ei > ? AND ei <= ?', this.#cutTo, ei)?.count,
    )
    const first = Number(this.#get('SELECT min(n) AS n FROM checkpoints WHERE ei > ?', ei)?.n ?? 0) || this.#last.n + 1
    const cut: Cut = { ei, hash: row.hash, events: count, first }
    this.#transaction(() => {
      this.#add(event({ ei, hash: row.hash, events: count }))
      this.#sign(now, cut)
    })
    this.#cutTo = ei
    return cut
  }

  /** Removes up to `limit` rows that a cut covers; how many there were. */
  removeCut(limit: number): number {
    return this.#guard(() => {
      const sql = 'DELETE FROM events WHERE ei IN (SELECT ei FROM events WHERE ei <= ? ORDER BY ei LIMIT ?)'
      const removed = Number(this.#prepared(sql).run(this.#cutTo, limit).changes)
      if (removed < limit) this.#prepared('DELETE FROM checkpoints WHERE ei <= ?').run(this.#cutTo)
      return removed
    })
  }

  /** Bytes that SQLite holds, free pages included. */
  get bytes(): number {
    const [pages, size] = ['PRAGMA page_count', 'PRAGMA page_size'].map((sql) =>
      Number(Object.values(this.#get(sql) ?? {})[0]),
    )
    return (pages ?? 0) * (size ?? 0)
  }

  close(): void {
    this.#guard(() => this.#database.close())
  }

  #add({ timeMs, uid, body }: NewRow): void {
    const ei = this.#head.ei + 1
    const link = nextHash(this.#head.hash, ei, body)
    const { changes } = this.#insert.run(ei, timeMs, onceOf({ timeMs, uid, body }), uid, link, body)
    if (changes !== 0) this.#head = { ei, hash: link }
  }

  #sign(now: number, cut?: Cut, adopted = false): void {
    const n = this.#last.n + 1
    const checkpoint: Checkpoint = {
      n,
      ...this.#head,
      time: new Date(now).toISOString(),
      previous: n === 1 ? '' : textHash(this.#last.text),
      ...(cut === undefined ? {} : { cut }),
      ...(adopted ? { adopted } : {}),
    }
    const { text, signature } = signText('checkpoint', checkpointText(checkpoint), this.#key)
    this.#prepared('INSERT INTO checkpoints (n, ei, cut, text, signature) VALUES (?, ?, ?, ?, ?)').run(
      n,
      this.#head.ei,
      cut?.ei ?? 0,
      text,
      signature,
    )
    this.#last = { n, ei: this.#head.ei, text }
  }

  /** Ties a log from before the chain together. A crash on the way leaves a beginning that the next start goes on from. */
  #adopt(now: number): void {
    if (this.#get("SELECT 1 FROM sqlite_schema WHERE name = 'events_unchained'") === undefined) return
    const next = this.#database.prepare(
      'SELECT ei, uid, time, body FROM events_unchained WHERE ei > ? ORDER BY ei LIMIT ?',
    )
    for (;;) {
      const rows = this.#guard(() => next.all(this.#head.ei, ADOPT_ROWS))
      if (rows.length === 0) break
      this.#transaction(() => {
        for (const row of rows) {
          const ei = Number(row.ei)
          const body = String(row.body)
          const link = nextHash(this.#head.hash, ei, body)
          const [timeMs, uid] = [Number(row.time), uidBytes(String(row.uid))]
          this.#insert.run(ei, timeMs, onceOf({ timeMs, uid, body }), uid, link, body)
          this.#head = { ei, hash: link }
        }
      })
    }
    this.#transaction(() => {
      if (this.#head.ei > 0) this.#sign(now, undefined, true)
      this.#database.exec('DROP TABLE events_unchained')
    })
  }

  #transaction(run: () => void): void {
    const [head, last] = [this.#head, this.#last]
    try {
      this.#database.exec('BEGIN IMMEDIATE')
      run()
      this.#database.exec('COMMIT')
    } catch (error) {
      this.#head = head
      this.#last = last
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
      throw sqliteError(error, this.#path, auditSchema)
    }
  }

  #get(sql: string, ...values: number[]): Record<string, unknown> | undefined {
    return this.#guard(() => this.#prepared(sql).get(...values))
  }

  #prepared(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #guard<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw sqliteError(error, this.#path, auditSchema)
    }
  }
}

/**
 * A uid of version 8 (RFC 9562) is made from what it tells of, and may be told again at another time: once for each kind of event, so
 * that nobody can keep somebody else's event out by taking its uid first.
 */
function onceOf({ timeMs, uid, body }: NewRow): number {
  if ((uid[6] ?? 0) >> 4 !== 8) return timeMs
  return -1 - Number.parseInt(hash('sha256', String(parseFields(body).event), 'hex').slice(0, 12), 16)
}

export const uidBytes = (uid: string): Buffer => Buffer.from(uid.replaceAll('-', ''), 'hex')

function toRow(row: Record<string, unknown>): StoredRow {
  const uid = row.uid instanceof Uint8Array ? Buffer.from(row.uid) : Buffer.alloc(0)
  return { ...toFound(row), uid }
}

function toFound(row: Record<string, unknown>): FoundRow {
  return { ei: Number(row.ei), timeMs: Number(row.time), hash: String(row.hash), body: String(row.body) }
}

const toCheckpoint = (row: Record<string, unknown>): StoredCheckpoint => ({
  n: Number(row.n),
  ei: Number(row.ei),
  text: String(row.text),
  signature: String(row.signature),
})
