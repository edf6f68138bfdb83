/** The default store: one SQLite file in the data directory, owned by the one auth process. */

import { dirname } from 'node:path'
import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { Env } from '../common/env.ts'
import { checkPrivateDir } from '../common/files.ts'
import { openSqlite, type SqliteSchema, sqliteError } from '../common/sqlite.ts'
import type { Backend } from './contract.ts'
import { LocalBackend, type LocalOptions, type Row, type Table, TableFailure } from './local.ts'

const schema: SqliteSchema = {
  what: 'cluster state',
  applicationId: 0x54505354,
  migrations: [
    `CREATE TABLE items (
       key BLOB NOT NULL PRIMARY KEY, value BLOB NOT NULL, expires INTEGER, revision INTEGER NOT NULL
     ) STRICT;
     CREATE INDEX items_expires ON items (expires) WHERE expires IS NOT NULL;
     CREATE TABLE counter (id INTEGER PRIMARY KEY CHECK (id = 1), revision INTEGER NOT NULL) STRICT;
     INSERT INTO counter VALUES (1, 0);`,
  ],
}

/**
 * Opens or creates the file at `path`, whose directory must be private (0700) already. Throws the errors of
 * `openSqlite`: in use, damaged, loose permissions, newer release.
 */
export async function openSqliteBackend(path: string, env: Env, options: LocalOptions = {}): Promise<Backend> {
  await checkPrivateDir(dirname(path))
  return new LocalBackend(new SqliteTable(path), env, options)
}

class SqliteTable implements Table {
  readonly #path: string
  readonly #database: DatabaseSync
  readonly #get: StatementSync
  readonly #set: StatementSync
  readonly #delete: StatementSync
  readonly #scan: StatementSync
  readonly #scanAfter: StatementSync
  readonly #expired: StatementSync
  readonly #saveRevision: StatementSync

  constructor(path: string) {
    this.#path = path
    const database = openSqlite(path, schema)
    this.#database = database
    this.#get = database.prepare('SELECT value, expires, revision FROM items WHERE key = ?')
    this.#set = database.prepare('INSERT OR REPLACE INTO items (key, value, expires, revision) VALUES (?, ?, ?, ?)')
    this.#delete = database.prepare('DELETE FROM items WHERE key = ?')
    const scan = (comparison: string) =>
      database.prepare(
        `SELECT key, value, expires, revision FROM items
         WHERE key ${comparison} ? AND key < ? AND (expires IS NULL OR expires > ?) ORDER BY key LIMIT ?`,
      )
    this.#scan = scan('>=')
    this.#scanAfter = scan('>')
    this.#expired = database.prepare('SELECT key FROM items WHERE expires <= ? LIMIT ?')
    this.#saveRevision = database.prepare('UPDATE counter SET revision = ? WHERE id = 1')
  }

  begin(): void {
    this.#guard(() => this.#database.exec('BEGIN IMMEDIATE'))
  }

  commit(revision: number): void {
    this.#guard(() => {
      this.#saveRevision.run(revision)
      this.#database.exec('COMMIT')
    })
  }

  rollback(): void {
    if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec('ROLLBACK')
  }

  get(key: string): Row | undefined {
    return this.#guard(() => {
      const row = this.#get.get(bytes(key))
      return row === undefined ? undefined : toRow(row)
    })
  }

  set(key: string, row: Row): void {
    this.#guard(() => this.#set.run(bytes(key), row.value, row.expires ?? null, row.revision))
  }

  delete(key: string): void {
    this.#guard(() => this.#delete.run(bytes(key)))
  }

  scan(from: string, inclusive: boolean, to: string, limit: number, now: number): readonly (readonly [string, Row])[] {
    const statement = inclusive ? this.#scan : this.#scanAfter
    return this.#guard(() =>
      statement.all(bytes(from), bytes(to), now, limit).map((row) => [text(row.key), toRow(row)] as const),
    )
  }

  expired(now: number, limit: number): readonly string[] {
    return this.#guard(() => this.#expired.all(now, limit).map((row) => text(row.key)))
  }

  lastRevision(): number {
    return this.#guard(() => Number(this.#database.prepare('SELECT revision FROM counter').get()?.revision))
  }

  close(): void {
    this.#guard(() => this.#database.close())
  }

  #guard<T>(run: () => T): T {
    try {
      return run()
    } catch (error) {
      throw new TableFailure(sqliteError(error, this.#path, schema))
    }
  }
}

const bytes = (key: string): Buffer => Buffer.from(key, 'latin1')

function text(value: unknown): string {
  return value instanceof Uint8Array ? Buffer.from(value).toString('latin1') : ''
}

function toRow(row: Record<string, unknown>): Row {
  const { value, expires, revision } = row
  return {
    value:
      value instanceof Uint8Array ? Buffer.from(value.buffer, value.byteOffset, value.byteLength) : Buffer.alloc(0),
    expires: typeof expires === 'number' ? expires : undefined,
    revision: Number(revision),
  }
}
