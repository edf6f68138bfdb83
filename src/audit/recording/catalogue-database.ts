/**
 * The SQLite file behind the list and the search. Everything in it is derived from the files of the recordings, so it is thrown away
 * and made again when it is damaged. Used by the catalogue's thread alone.
 *
 * A recording's id grows with the second in which it began, so the newest come first in the order of the primary key; a line of its
 * screen has the row id `id * 2^20 + n`, so that the full-text index is in the same order and skips from recording to recording.
 */

import { rmSync } from 'node:fs'
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite'
import { openSqlite, type SqliteSchema, sqliteError } from '../../common/sqlite.ts'
import { isSystemError } from '../../errors/errors.ts'
import type { ScreenTextState } from './screen-text.ts'
import type { RecordingMatch } from './store.ts'
import type { RecordingSummary } from './types.ts'

const schema: SqliteSchema = {
  what: 'catalogue of recordings',
  applicationId: 0x54505243,
  migrations: [
    `CREATE TABLE recordings (
       id INTEGER PRIMARY KEY, sid TEXT NOT NULL UNIQUE, started INTEGER NOT NULL, directory TEXT NOT NULL,
       chunks INTEGER NOT NULL, running INTEGER NOT NULL, summary TEXT NOT NULL,
       indexed INTEGER NOT NULL DEFAULT 0, lines INTEGER NOT NULL DEFAULT 0, characters INTEGER NOT NULL DEFAULT 0,
       screen TEXT NOT NULL DEFAULT ''
     ) STRICT;
     CREATE INDEX recordings_behind ON recordings (id) WHERE indexed < chunks OR (running = 0 AND screen <> '');
     CREATE INDEX recordings_running ON recordings (id) WHERE running = 1;
     CREATE TABLE keys (key TEXT NOT NULL, id INTEGER NOT NULL, PRIMARY KEY (key, id)) STRICT, WITHOUT ROWID;
     CREATE VIRTUAL TABLE lines USING fts5(text, at UNINDEXED, columnsize = 0, tokenize = "unicode61 remove_diacritics 2");`,
  ],
}

/** 2^20 lines fit between two ids. */
const LINE_BITS = 20n
const SLOTS = 256
/** Above every id: the year 3000. Its lines' row ids are within 63 bits. */
export const MAX_ID = 8_500_000_000_000
/** No recording's id is further than this behind the second of its start. */
const MAX_ID_SHIFT = SLOTS << 16

export interface CatalogueRow {
  readonly id: number
  readonly summary: RecordingSummary
}

/** What the text index knows of a recording. */
export interface IndexProgress {
  readonly id: number
  readonly sid: string
  readonly directory: string
  readonly chunks: number
  readonly running: boolean
  /** Chunks that are in the index. */
  readonly indexed: number
  readonly lines: number
  readonly characters: number
  readonly screen: ScreenTextState | undefined
}

/** A line: which recording, and the how many-th there. */
export interface Hit {
  readonly id: number
  readonly n: number
}

export interface ListFilter {
  readonly from?: Date | undefined
  readonly to?: Date | undefined
  /** All must match: see `personKey` and `nodeKey`. */
  readonly keys: readonly string[]
}

export const personKey = (name: string): string => `p:${name}`
export const nodeKey = (name: string): string => `n:${name}`
/** The smallest id of a recording that began then. */
const idAt = (time: number): number => Math.floor(time / 1000) * SLOTS

/** Opens it; a damaged one is removed first, and `onDamage` hears why. */
export function openCatalogueDatabase(path: string, onDamage: (reason: string) => void): CatalogueDatabase {
  try {
    return new CatalogueDatabase(path)
  } catch (error) {
    if (!isSystemError(error) || !['ECORRUPT', 'EVERSION'].includes(error.errno)) throw error
    onDamage(error.message)
    removeDatabase(path)
    return new CatalogueDatabase(path)
  }
}

export function removeDatabase(path: string): void {
  for (const suffix of ['', '-wal', '-journal', '-shm']) rmSync(path + suffix, { force: true })
}

export class CatalogueDatabase {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #statements = new Map<string, StatementSync>()

  constructor(path: string) {
    this.#path = path
    this.#database = openSqlite(path, schema)
    // What is lost with the power is read from the files again.
    this.#database.exec('PRAGMA synchronous = NORMAL')
  }

  /** All or nothing. Throws the kinds of `sqliteError`. */
  transaction<T>(run: () => T): T {
    return this.#guard(() => {
      this.#database.exec('BEGIN IMMEDIATE')
      try {
        const result = run()
        this.#database.exec('COMMIT')
        return result
      } catch (error) {
        if (this.#database.isTransaction) this.#database.exec('ROLLBACK')
        throw error
      }
    })
  }

  /** Adds or brings up to date; what is older than what is there changes nothing. */
  put(directory: string, summary: RecordingSummary): void {
    this.transaction(() => {
      const running = summary.state === 'running'
      const known = this.#one('SELECT id, chunks, running FROM recordings WHERE sid = ?', summary.sid)
      if (known === undefined) {
        const id = this.#newId(summary)
        this.#run(
          'INSERT INTO recordings (id, sid, started, directory, chunks, running, summary) VALUES (?, ?, ?, ?, ?, ?, ?)',
          id,
          summary.sid,
          Date.parse(summary.started),
          directory,
          summary.chunks,
          Number(running),
          JSON.stringify(summary),
        )
        if (summary.command !== undefined) this.#addLine(id, 0, 0, summary.command)
        this.#addKeys(id, summary)
        return
      }
      if (Number(known.chunks) > summary.chunks || (Number(known.running) === 0 && running)) return
      const id = Number(known.id)
      this.#run(
        'UPDATE recordings SET chunks = ?, running = ?, summary = ? WHERE id = ?',
        summary.chunks,
        Number(running),
        JSON.stringify(summary),
        id,
      )
      if (!running) this.#addKeys(id, summary)
    })
  }

  /** Removes a recording, some thousand lines at a time. True when nothing of it is left. */
  removeSome(sid: string): boolean {
    return this.transaction(() => {
      const row = this.#one('SELECT id, summary FROM recordings WHERE sid = ?', sid)
      if (row === undefined) return true
      const id = Number(row.id)
      const removed = this.#run(
        'DELETE FROM lines WHERE rowid IN (SELECT rowid FROM lines WHERE rowid >= ? AND rowid < ? LIMIT 2000)',
        rowId(id, 0),
        rowId(id + 1, 0),
      )
      if (Number(removed) > 0) return false
      for (const key of keysOf(JSON.parse(String(row.summary)) as RecordingSummary)) {
        this.#run('DELETE FROM keys WHERE key = ? AND id = ?', key, id)
      }
      this.#run('DELETE FROM recordings WHERE id = ?', id)
      return true
    })
  }

  /** Ids of recordings with their states, to be compared with the files. */
  known(): ReadonlyMap<string, { readonly running: boolean }> {
    const rows = this.#all('SELECT sid, running FROM recordings')
    return new Map(rows.map(({ sid, running }) => [String(sid), { running: Number(running) === 1 }]))
  }

  /** The next recording of which not all is in the text index (or, when it is complete, its last line), newest first, after that one. */
  behind(before: number): IndexProgress | undefined {
    const row = this.#one(
      `SELECT id, sid, directory, chunks, running, indexed, lines, characters, screen FROM recordings
       WHERE (indexed < chunks OR (running = 0 AND screen <> '')) AND id < ? ORDER BY id DESC LIMIT 1`,
      before,
    )
    if (row === undefined) return undefined
    return {
      id: Number(row.id),
      sid: String(row.sid),
      directory: String(row.directory),
      chunks: Number(row.chunks),
      running: Number(row.running) === 1,
      indexed: Number(row.indexed),
      lines: Number(row.lines),
      characters: Number(row.characters),
      screen: row.screen === '' ? undefined : (JSON.parse(String(row.screen)) as ScreenTextState),
    }
  }

  /** Lines and the new progress together: a crash never indexes a chunk twice. */
  addLines(progress: IndexProgress, lines: readonly RecordingMatch[]): void {
    const { id, indexed, characters, screen } = progress
    this.transaction(() => {
      let n = progress.lines
      for (const { atMs, text } of lines) this.#addLine(id, ++n, atMs, text)
      this.#run(
        'UPDATE recordings SET indexed = ?, lines = ?, characters = ?, screen = ? WHERE id = ?',
        indexed,
        n,
        characters,
        screen === undefined ? '' : JSON.stringify(screen),
        id,
      )
    })
  }

  /** Newest first, below that id. */
  list(filter: ListFilter, below: number, limit: number): readonly CatalogueRow[] {
    const { from, to, keys } = filter
    const joins = keys.map((_, n) => (n === 0 ? 'keys k0' : `keys k${n} ON k${n}.id = k0.id AND k${n}.key = ?`))
    const [id, source] =
      keys.length === 0
        ? ['r.id', 'recordings r']
        : ['k0.id', `${joins.join(' CROSS JOIN ')} CROSS JOIN recordings r ON r.id = k0.id`]
    const conditions = [`${id} < ?`, `${id} >= ?`, 'r.started >= ?', 'r.started < ?']
    if (keys.length > 0) conditions.push('k0.key = ?')
    const sql = `SELECT r.id, r.summary FROM ${source} WHERE ${conditions.join(' AND ')} ORDER BY ${id} DESC LIMIT ?`
    const values: SQLInputValue[] = [
      ...keys.slice(1),
      Math.min(below, to === undefined ? below : idAt(to.getTime()) + MAX_ID_SHIFT),
      from === undefined ? 0 : idAt(from.getTime()),
      from?.getTime() ?? 0,
      to?.getTime() ?? Number.MAX_SAFE_INTEGER,
      ...keys.slice(0, 1),
      limit,
    ]
    return this.#all(sql, ...values).map((row) => ({
      id: Number(row.id),
      summary: JSON.parse(String(row.summary)) as RecordingSummary,
    }))
  }

  /** Lines that match an FTS5 expression, of recordings below that id, newest first. The caller must end it before anything else runs. */
  *hits(words: string, below: number): Generator<Hit> {
    const sql =
      'SELECT rowid >> 20 AS id, rowid & 1048575 AS n FROM lines WHERE lines MATCH ? AND rowid < ? ORDER BY rowid DESC'
    const statement = this.#statement(sql)
    const rows = this.#guard(() => statement.iterate(words, rowId(below, 0)))
    for (;;) {
      const next = this.#guard(() => rows.next())
      if (next.done === true) return
      yield { id: Number(next.value.id), n: Number(next.value.n) }
    }
  }

  /** One line. */
  line({ id, n }: Hit): RecordingMatch | undefined {
    const row = this.#one('SELECT at, text FROM lines WHERE rowid = ?', rowId(id, n))
    return row === undefined ? undefined : { atMs: Number(row.at), text: String(row.text) }
  }

  /** The first lines of a recording that match. */
  firstHits(words: string, id: number, limit: number): readonly Hit[] {
    const sql =
      'SELECT rowid & 1048575 AS n FROM lines WHERE lines MATCH ? AND rowid >= ? AND rowid < ? ORDER BY rowid LIMIT ?'
    const rows = this.#all(sql, words, rowId(id, 0), rowId(id + 1, 0), limit)
    return rows.map(({ n }) => ({ id, n: Number(n) }))
  }

  close(): void {
    this.#database.close()
  }

  /** Some place from the second of its start on; further on when many began then. */
  #newId({ started, sid }: RecordingSummary): number {
    const base = idAt(Date.parse(started))
    const seed = Number.parseInt(sid.slice(0, 8), 16)
    for (let spread = 0; ; spread = Math.min(spread + 1, 16)) {
      const id = base + (((seed + Math.imul(spread, 0x9e37)) >>> 0) % (SLOTS << spread))
      if (this.#one('SELECT 1 FROM recordings WHERE id = ?', id) === undefined) return id
      if (spread === 16) return this.#nextFree(base)
    }
  }

  #nextFree(base: number): number {
    const row = this.#one(
      'SELECT coalesce(max(id) + 1, ?) AS id FROM recordings WHERE id >= ? AND id < ?',
      base,
      base,
      base + MAX_ID_SHIFT,
    )
    return Number(row?.id ?? base)
  }

  #addLine(id: number, n: number, atMs: number, text: string): void {
    this.#run('INSERT INTO lines (rowid, text, at) VALUES (?, ?, ?)', rowId(id, n), text, atMs)
  }

  #addKeys(id: number, summary: RecordingSummary): void {
    for (const key of keysOf(summary)) this.#run('INSERT OR IGNORE INTO keys (key, id) VALUES (?, ?)', key, id)
  }

  #statement(sql: string): StatementSync {
    let statement = this.#statements.get(sql)
    if (statement === undefined) {
      statement = this.#database.prepare(sql)
      // Row ids are larger than a number holds exactly.
      statement.setReadBigInts(true)
      this.#statements.set(sql, statement)
    }
    return statement
  }

  #run(sql: string, ...values: SQLInputValue[]): number | bigint {
    return this.#guard(() => this.#statement(sql).run(...values).changes)
  }

  #one(sql: string, ...values: SQLInputValue[]): Record<string, unknown> | undefined {
    return this.#guard(() => this.#statement(sql).get(...values))
  }

  #all(sql: string, ...values: SQLInputValue[]): readonly Record<string, unknown>[] {
    return this.#guard(() => this.#statement(sql).all(...values))
  }

  #guard<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw sqliteError(error, this.#path, schema)
    }
  }
}

const rowId = (id: number, n: number): bigint => (BigInt(id) << LINE_BITS) + BigInt(n)

const keysOf = ({ user, participants, serverId, serverHostname }: RecordingSummary): ReadonlySet<string> =>
  new Set([...[user, ...participants].map(personKey), nodeKey(serverId), nodeKey(serverHostname)])
