/**
 * Opens an SQLite file the one way we trust: private mode, one owner process, write-ahead log with full sync, schema
 * version, and a refusal that names the file and the remedy instead of a fresh start over damaged state.
 */

import { closeSync, existsSync, fsyncSync, linkSync, lstatSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { AccessDenied, AlreadyAcquired, type KindError, SystemError } from '../errors/errors.ts'
import { convertSystemError, errnoOf, messageOf } from '../errors/system.ts'

export interface SqliteSchema {
  /** What the file is, for messages: "cluster state", "audit log". */
  readonly what: string
  /** Written to the file's header, so that one kind of file is not taken for another. */
  readonly applicationId: number
  /** `migrations[n]` takes the schema from version n to n + 1. Never edited once released. */
  readonly migrations: readonly string[]
}

/** Above this size the full check would delay the start; the b-tree itself still reports damage where it is read. */
const CHECK_UP_TO_BYTES = 64 * 1024 * 1024

const SQLITE_BUSY = 5
const SQLITE_READONLY = 8
const SQLITE_IOERR = 10
const SQLITE_CORRUPT = 11
const SQLITE_FULL = 13
const SQLITE_CANTOPEN = 14
const SQLITE_NOTADB = 26

/**
 * Opens or creates the file and holds it exclusively until closed or the process ends. The directory must exist and be
 * private already. Throws AlreadyAcquired when another process has it, AccessDenied for loose permissions, System
 * `ECORRUPT` when it is damaged, `EVERSION` when a newer release wrote it.
 */
export function openSqlite(path: string, schema: SqliteSchema): DatabaseSync {
  if (!existsSync(path)) createFile(path, schema)
  checkFile(path, schema)
  return openExisting(path, schema, true)
}

/**
 * A new file is made complete under another name and then linked into place: an empty file under the real name is
 * therefore always damage (a truncated disk image, a failed restore) and never taken for a first start.
 */
function createFile(path: string, schema: SqliteSchema): void {
  for (const suffix of ['-wal', '-journal']) {
    if (existsSync(path + suffix)) {
      throw corrupt(path, schema, `the file is missing although its journal ${path}${suffix} exists`)
    }
  }
  const fresh = `${path}.new`
  try {
    for (const suffix of ['', '-wal', '-shm', '-journal']) rmSync(fresh + suffix, { force: true })
    closeSync(openSync(fresh, 'wx', 0o600))
    openExisting(fresh, schema, false).close()
    linkSync(fresh, path)
    rmSync(fresh)
    const directory = openSync(dirname(path), 'r')
    fsyncSync(directory)
    closeSync(directory)
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return
    throw sqliteError(error, path, schema)
  }
}

function checkFile(path: string, schema: SqliteSchema): void {
  try {
    const stat = lstatSync(path)
    if (stat.isSymbolicLink()) throw new AccessDenied(`${path} is a symbolic link; put the file itself there`)
    if (!stat.isFile()) throw new AccessDenied(`${path} is not a regular file; the ${schema.what} must be one`)
    const user = process.geteuid?.() ?? 0
    if (stat.uid !== user) {
      throw new AccessDenied(
        `${path} belongs to user id ${stat.uid}, not to ${user}; run as its owner or: chown ${user} ${path}`,
      )
    }
    if ((stat.mode & 0o077) !== 0) {
      throw new AccessDenied(`${path} is open to other users; close it with: chmod 600 ${path}`)
    }
    if (stat.size === 0) throw corrupt(path, schema, 'the file is empty')
  } catch (error) {
    throw convertSystemError(error, `open the ${schema.what} ${path}`)
  }
}

function openExisting(path: string, schema: SqliteSchema, check: boolean): DatabaseSync {
  let database: DatabaseSync | undefined
  try {
    database = new DatabaseSync(path, { timeout: 2000, allowExtension: false })
    // Exclusive before the first access: no second process, and no shared-memory file that a crash could leave behind.
    database.exec('PRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL')
    database.exec('PRAGMA foreign_keys = ON; PRAGMA trusted_schema = OFF; PRAGMA journal_size_limit = 16777216')
    database.exec('BEGIN EXCLUSIVE; COMMIT')
    if (check) checkContent(database, path, schema)
    migrate(database, path, schema)
    return database
  } catch (error) {
    try {
      database?.close()
    } catch {
      // The first error explains more.
    }
    throw sqliteError(error, path, schema)
  }
}

function checkContent(database: DatabaseSync, path: string, schema: SqliteSchema): void {
  if (statSync(path).size <= CHECK_UP_TO_BYTES) {
    const problem = readText(database, 'PRAGMA quick_check(1)')
    if (problem !== 'ok') throw corrupt(path, schema, problem)
  }
  if (readNumber(database, 'PRAGMA application_id') !== schema.applicationId) {
    throw new SystemError(
      'ECORRUPT',
      `${path} is not a ${schema.what} of this product; move it away or restore the right file`,
    )
  }
}

function migrate(database: DatabaseSync, path: string, schema: SqliteSchema): void {
  const version = readNumber(database, 'PRAGMA user_version')
  if (version > schema.migrations.length) {
    const versions = `(version ${version}, this release knows ${schema.migrations.length})`
    throw new SystemError('EVERSION', `${path} was written by a newer release ${versions}; install that release again`)
  }
  if (version === schema.migrations.length) return
  database.exec('BEGIN EXCLUSIVE')
  for (const step of schema.migrations.slice(version)) database.exec(step)
  database.exec(`PRAGMA application_id = ${schema.applicationId}; PRAGMA user_version = ${schema.migrations.length}`)
  database.exec('COMMIT')
}

function readNumber(database: DatabaseSync, pragma: string): number {
  return Number(Object.values(database.prepare(pragma).get() ?? {})[0])
}

function readText(database: DatabaseSync, pragma: string): string {
  return String(Object.values(database.prepare(pragma).get() ?? {})[0]).replaceAll(/\s+/g, ' ')
}

function corrupt(path: string, schema: SqliteSchema, detail: string, cause?: unknown): SystemError {
  const remedy = `stop the service, keep a copy of ${path}*, and restore the file from a backup`
  return new SystemError('ECORRUPT', `the ${schema.what} ${path} is damaged (${detail}); ${remedy}`, { cause })
}

/** Turns what SQLite throws into our kinds; the message names the file and what to do. */
export function sqliteError(error: unknown, path: string, schema: SqliteSchema): KindError {
  const code =
    typeof error === 'object' && error !== null && 'errcode' in error ? Number(error.errcode) & 0xff : undefined
  switch (code) {
    case SQLITE_BUSY:
      return new AlreadyAcquired(`the ${schema.what} ${path} is in use by another process; stop that process first`, {
        cause: error,
      })
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return corrupt(path, schema, messageOf(error), error)
    case SQLITE_FULL:
      return new SystemError('ENOSPC', `cannot write to ${path}: no space left on the device; free some space`, {
        cause: error,
      })
    case SQLITE_READONLY:
      return new AccessDenied(`cannot write to ${path}: the file or its file system is read-only`, { cause: error })
    case SQLITE_CANTOPEN:
      return new AccessDenied(`cannot open ${path}: check that this user may read and write it and its directory`, {
        cause: error,
      })
    case SQLITE_IOERR:
      return new SystemError('EIO', `input/output error on ${path}; check the disk`, { cause: error })
    default:
      return convertSystemError(error, `use the ${schema.what} ${path}`)
  }
}
