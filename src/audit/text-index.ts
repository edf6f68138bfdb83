/**
 * The search index: a file of its own beside the log, made from it in the background and made again when it is missing, damaged or
 * of another log. Losing it costs time, never an event; so it is written without waiting for the disk.
 */

import { hash } from 'node:crypto'
import { existsSync, rmSync } from 'node:fs'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import { openSqlite, type SqliteSchema, sqliteError } from '../common/sqlite.ts'
import { hasErrno } from '../errors/errors.ts'
import { parseFields } from './bound.ts'
import type { AuditFile, StoredRow } from './file.ts'
import type { Term } from './words.ts'
import { wordsOf } from './words.ts'

const schema: SqliteSchema = {
  what: 'search index of the audit log',
  applicationId: 0x54504158,
  // The words are cut up before they come here (`words.ts`): what is left for the tokenizer is to split at spaces.
  migrations: [
    `CREATE VIRTUAL TABLE words USING fts5(text, tags, content='', contentless_delete=1, tokenize='ascii');
     CREATE TABLE blocks (block INTEGER PRIMARY KEY, low INTEGER NOT NULL, high INTEGER NOT NULL) STRICT;
     CREATE TABLE state (id INTEGER PRIMARY KEY CHECK (id = 1), ei INTEGER NOT NULL, hash TEXT NOT NULL) STRICT;
     INSERT INTO state VALUES (1, 0, '');`,
  ],
}

/** Events whose times are summed up together, so that a search by time skips the rest. */
const BLOCK = 1024

/** What is asked of the index. */
export interface IndexQuery {
  readonly types: readonly string[] | undefined
  readonly user: string | undefined
  readonly sid: string | undefined
  readonly terms: readonly Term[] | undefined
}

const tag = (kind: 'e' | 'u' | 's', value: string): string => kind + hash('sha256', value, 'hex').slice(0, 16)

/** Tags of an event, for filters. Different values may share one; the event itself decides. */
function tagsOf({ event, user, sid }: Readonly<Record<string, unknown>>): string {
  const tags = [tag('e', String(event))]
  if (typeof user === 'string') tags.push(tag('u', user))
  if (typeof sid === 'string') tags.push(tag('s', sid))
  return tags.join(' ')
}

export class TextIndex {
  readonly #path: string
  readonly #log: AuditFile
  #database: DatabaseSync
  #insert: StatementSync
  #find: { readonly ASC: StatementSync; readonly DESC: StatementSync }
  #block: StatementSync
  #ei = 0

  /** Throws System errors of the disk. */
  constructor(path: string, log: AuditFile) {
    this.#path = path
    this.#log = log
    this.#database = this.#open()
    const prepared = this.#prepare()
    this.#insert = prepared.insert
    this.#find = prepared.find
    this.#block = prepared.block
  }

  /** Events up to this one are in the index. */
  get indexedTo(): number {
    return this.#ei
  }

  /** Adds events in the order of the log. */
  add(rows: readonly StoredRow[]): void {
    const last = rows.at(-1)
    if (last === undefined) return
    this.#guard(() => {
      const database = this.#database
      try {
        database.exec('BEGIN IMMEDIATE')
        const blocks = new Map<number, [number, number]>()
        for (const { ei, timeMs, body } of rows) {
          const event = parseFields(body)
          this.#insert.run(ei, wordsOf(event), tagsOf(event))
          const block = Math.floor(ei / BLOCK)
          const [low, high] = blocks.get(block) ?? [timeMs, timeMs]
          blocks.set(block, [Math.min(low, timeMs), Math.max(high, timeMs)])
        }
        for (const [block, [low, high]] of blocks) this.#block.run(block, low, high)
        database.prepare('UPDATE state SET ei = ?, hash = ?').run(last.ei, last.hash)
        database.exec('COMMIT')
        this.#ei = last.ei
      } catch (error) {
        if (database.isTransaction) database.exec('ROLLBACK')
        throw error
      }
    })
  }

  /** Numbers of events with `from <= ei < to` that may match, nearest to the beginning of the order first. */
  find(query: IndexQuery, from: number, to: number, limit: number, order: 'ASC' | 'DESC'): number[] {
    const match = matchText(query)
    return this.#guard(() => this.#find[order].all(match, from, to, limit)).map((row) => Number(row.rowid))
  }

  /** Blocks whose events' times touch `low <= time < high`, in order of the log, as ranges of numbers. */
  ranges(low: number, high: number): { readonly from: number; readonly to: number }[] {
    const sql = 'SELECT block FROM blocks WHERE high >= ? AND low < ? ORDER BY block'
    const blocks = this.#guard(() => this.#database.prepare(sql).all(low, high)).map((row) => Number(row.block))
    const ranges: { from: number; to: number }[] = []
    for (const block of blocks) {
      const last = ranges.at(-1)
      if (last !== undefined && last.to === block * BLOCK) last.to += BLOCK
      else ranges.push({ from: block * BLOCK, to: (block + 1) * BLOCK })
    }
    return ranges
  }

  /** Forgets events that were removed from the log. */
  remove(upTo: number, limit: number): number {
    return this.#guard(() => {
      const sql = 'DELETE FROM words WHERE rowid IN (SELECT rowid FROM words WHERE rowid <= ? LIMIT ?)'
      return Number(bigInts(this.#database.prepare(sql)).run(upTo, limit).changes)
    })
  }

  /** Starts again from nothing. */
  reset(): void {
    if (this.#database.isOpen) this.#database.close()
    removeFiles(this.#path)
    this.#database = this.#open()
    const prepared = this.#prepare()
    this.#insert = prepared.insert
    this.#find = prepared.find
    this.#block = prepared.block
  }

  close(): void {
    this.#database.close()
  }

  #open(): DatabaseSync {
    let database: DatabaseSync
    try {
      database = openSqlite(this.#path, schema)
    } catch (error) {
      if (!hasErrno(error, 'ECORRUPT')) throw error
      removeFiles(this.#path)
      database = openSqlite(this.#path, schema)
    }
    database.exec('PRAGMA synchronous = NORMAL; PRAGMA cache_size = -32768; PRAGMA wal_autocheckpoint = 4000')
    const state = database.prepare('SELECT ei, hash FROM state').get()
    this.#ei = Number(state?.ei ?? 0)
    if (this.#ei === 0 || this.#ei <= this.#log.cutTo) return database
    if (this.#log.row(this.#ei)?.hash === state?.hash) return database
    // The log is another one: a backup was restored, or somebody removed its end.
    database.close()
    removeFiles(this.#path)
    return this.#open()
  }

  #prepare() {
    const database = this.#database
    const find = (order: string) =>
      database.prepare(
        `SELECT rowid FROM words WHERE words MATCH ? AND rowid >= ? AND rowid < ? ORDER BY rowid ${order} LIMIT ?`,
      )
    return {
      insert: bigInts(database.prepare('INSERT INTO words (rowid, text, tags) VALUES (?, ?, ?)')),
      find: { ASC: find('ASC'), DESC: find('DESC') },
      block: database.prepare(
        `INSERT INTO blocks (block, low, high) VALUES (?, ?, ?)
         ON CONFLICT (block) DO UPDATE SET low = min(low, excluded.low), high = max(high, excluded.high)`,
      ),
    }
  }

  #guard<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw sqliteError(error, this.#path, schema)
    }
  }
}

/** The row numbers that FTS5 uses below, and that each change reports, do not fit a number. */
function bigInts(statement: StatementSync): StatementSync {
  statement.setReadBigInts(true)
  return statement
}

function removeFiles(path: string): void {
  for (const suffix of ['', '-wal', '-shm', '-journal']) if (existsSync(path + suffix)) rmSync(path + suffix)
}

/** In the language of FTS5: only words of letters and digits, each between quotes, so that no question can be a syntax error. */
function matchText({ types, user, sid, terms }: IndexQuery): string {
  const tags: string[] = []
  if (types !== undefined) tags.push(`(${types.map((type) => `"${tag('e', type)}"`).join(' OR ')})`)
  if (user !== undefined) tags.push(`"${tag('u', user)}"`)
  if (sid !== undefined) tags.push(`"${tag('s', sid)}"`)
  const parts = tags.length === 0 ? [] : [`(tags : (${tags.join(' AND ')}))`]
  for (const { words, prefix } of terms ?? []) parts.push(`(text : "${words}"${prefix ? ' *' : ''})`)
  return parts.join(' AND ')
}
