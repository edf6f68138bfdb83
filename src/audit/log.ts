/**
 * The audit log as it runs in its worker thread: appends that arrive together share one transaction and one fsync, checkpoints are
 * signed in time, and what retention cuts off is removed when nobody reads it.
 */

import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import type { Env } from '../common/env.ts'
import { BadParameter, hasErrno, SystemError } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { type AuditKey, auditKey, type Cut, type Head, parseAuditPublicKey } from './chain.ts'
import { ExportWriter } from './export.ts'
import { AuditFile, type FoundRow, type NewRow, uidBytes } from './file.ts'
import { IndexFollower } from './index-follower.ts'
import type { Call, FoundPage, FromWorker, WorkerSettings } from './messages.ts'
import { Reserve } from './reserve.ts'
import { compileFilter, findRows } from './search.ts'
import type { AuditFilter, AuditQuery, AuditStatus, CutEvent, DiskState, VerifyStep } from './store.ts'
import { verifyLog } from './verify-log.ts'

const MAX_PAGE = 1000
const EXPORT_LINES = 200
const EXPORT_BYTES = 256 * 1024
const REMOVE_ROWS = 2000
/** Bytes free below which there is an alarm. */
const LOW_BYTES = 64 * 1024 * 1024
const DISK_CHECK_MS = 10_000

type Append = Extract<Call, { op: 'append' }>

interface Pending {
  readonly call: Append
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

export class AuditLog {
  readonly #settings: WorkerSettings
  readonly #env: Env
  readonly #tell: (message: FromWorker) => void
  readonly #key: AuditKey
  readonly #file: AuditFile
  readonly #reserve: Reserve
  readonly #index: IndexFollower
  readonly #stop = new AbortController()
  /** Heads that were known when it was opened, and that it does not contain. */
  readonly #lost: readonly Head[]
  #pending: Pending[] = []
  #signing = false
  #disk: DiskState = 'ok'
  #readers = 0
  #removing = false

  /** Throws the errors of `openSqlite`. */
  constructor(settings: WorkerSettings, env: Env, tell: (message: FromWorker) => void) {
    this.#settings = settings
    this.#env = env
    this.#tell = tell
    this.#key = auditKey(settings.privateKey)
    this.#file = new AuditFile(settings.path, this.#key, this.#now())
    this.#lost = settings.expected.filter(({ ei, hash }) => ei > this.#file.cutTo && this.#file.row(ei)?.hash !== hash)
    this.#reserve = new Reserve(settings.path.replace(/(\.sqlite)?$/, '.reserve'))
    this.#index = new IndexFollower({
      path: settings.path.replace(/(\.sqlite)?$/, '-search.sqlite'),
      file: this.#file,
      env,
      signal: this.#stop.signal,
      isBusy: () => this.#pending.length > 0,
      warn: (message, reason) => tell({ type: 'log', level: 'warn', message, reason }),
    })
    if (this.#reserve.rows.length > 0) this.#recover()
    this.#signLater()
    void this.#watchDisk()
    // The start is quicker without it.
    env.sleep(1000, this.#stop.signal).then(
      () => {
        this.#index.wake()
        // What a process before this one did not come to.
        this.#removeCut()
      },
      () => undefined,
    )
  }

  get head(): Head {
    return this.#file.head
  }

  append(call: Append): Promise<void> {
    return new Promise((resolve, reject) => {
      if (this.#pending.length === 0) setImmediate(() => this.#flush())
      this.#pending.push({ call, resolve, reject })
    })
  }

  async search(query: AuditQuery): Promise<FoundPage> {
    const { limit = 100, order = 'newest' } = query
    if (!Number.isInteger(limit) || limit < 1)
      throw new BadParameter('limit', 'the page limit must be a whole number of at least 1')
    const size = Math.min(limit, MAX_PAGE)
    const rows: FoundRow[] = []
    const after = parseCursor(query.cursor)
    for await (const row of findRows(this.#file, this.#index.get(), compileFilter(query), order, after)) {
      rows.push(row)
      if (rows.length > size) break
    }
    const found = rows.slice(0, size).map(({ ei, hash, body }) => ({ ei, hash, body }))
    const last = found.at(-1)
    return rows.length > size && last !== undefined ? { found, next: String(last.ei) } : { found }
  }

  async *export(filter: AuditFilter): AsyncGenerator<readonly string[]> {
    const compiled = compileFilter(filter)
    this.#sign()
    const { head } = this.#file
    const writer = new ExportWriter(this.#key)
    const told = Object.keys(filter).length === 0 ? undefined : { ...filter }
    let lines = [writer.head(this.#time(), told, this.#file.lastCut())]
    let bytes = 0
    const checkpoints = told === undefined ? this.#checkpointsFrom(this.#file.cutTo) : undefined
    let checkpoint = checkpoints?.next().value
    this.#readers++
    try {
      for await (const row of findRows(this.#file, this.#index.get(), compiled, 'oldest', undefined)) {
        if (row.ei > head.ei) break
        lines.push(writer.event(row))
        bytes += row.body.length
        while (checkpoint !== undefined && checkpoint.ei <= row.ei) {
          lines.push(writer.checkpoint(checkpoint))
          checkpoint = checkpoints?.next().value
        }
        if (lines.length < EXPORT_LINES && bytes < EXPORT_BYTES) continue
        yield lines
        lines = []
        bytes = 0
      }
      lines.push(writer.end(this.#time(), head))
      yield lines
    } finally {
      this.#readers--
    }
  }

  async *verify(expected: readonly Head[]): AsyncGenerator<VerifyStep> {
    this.#readers++
    try {
      yield* verifyLog(this.#file, [parseAuditPublicKey(this.#key.public)], expected)
    } finally {
      this.#readers--
    }
  }

  async cut(before: number, event: CutEvent): Promise<Cut | undefined> {
    const last = await this.#lastBefore(before)
    if (last === undefined) return undefined
    const row = ({ ei, hash, events }: Head & { readonly events: number }): NewRow => {
      const told = { before: new Date(before).toISOString(), ei_last: ei, events, hash_last: hash }
      const body = JSON.stringify({ event: 'audit.cut', code: 'TAC00I', ...event, ...told })
      return { timeMs: Date.parse(event.time), uid: uidBytes(event.uid), body }
    }
    const cut = this.#file.cut(last, row, this.#now())
    this.#signed()
    this.#removeCut()
    return cut
  }

  status(): AuditStatus {
    const { head, lastCheckpoint, cutTo } = this.#file
    const { n, ei } = lastCheckpoint
    return { head, checkpoint: { n, ei }, cutTo, indexedTo: this.#index.indexedTo, disk: this.#disk, lost: this.#lost }
  }

  close(): void {
    this.#flush()
    this.#stop.abort()
    try {
      this.#sign()
    } finally {
      this.#index.close()
      this.#reserve.close()
      this.#file.close()
    }
  }

  #flush(): void {
    const pending = this.#pending
    if (pending.length === 0) return
    this.#pending = []
    const kept = this.#reserve.rows.length
    try {
      this.#file.append(rowsOf(this.#reserve.rows, pending), this.#settings.signEvery, this.#now())
    } catch (error) {
      if (hasErrno(error, 'ENOSPC')) this.#flushFull(pending, error)
      else for (const { reject } of pending) reject(error)
      return
    }
    if (kept > 0) this.#reserve.clear()
    for (const { call } of pending) this.#index.appended(call.bodies.length)
    if (this.#disk === 'reserve' || this.#disk === 'full') this.#setDisk('low')
    for (const { resolve } of pending) resolve()
    this.#signLater()
    if (this.#file.lastCheckpoint.ei === this.#file.head.ei) this.#signed()
    this.#index.wake()
  }

  /** Nothing fits any more: what lets people log in goes to the reserve, everything else is refused. */
  #flushFull(pending: readonly Pending[], error: unknown): void {
    for (const one of pending) {
      try {
        const stored = one.call.vital && this.#reserve.write([...rowsOf([], [one])])
        this.#setDisk(stored || (!one.call.vital && this.#reserve.exists) ? 'reserve' : 'full')
        if (stored) one.resolve()
        else one.reject(one.call.vital ? error : refusal())
      } catch (reason) {
        one.reject(reason)
      }
    }
  }

  /** What an earlier process, or a full disk, left in the reserve. */
  #recover(): void {
    try {
      this.#file.append(this.#reserve.rows, this.#settings.signEvery, this.#now())
      this.#reserve.clear()
      if (this.#disk !== 'ok') this.#setDisk('low')
    } catch (error) {
      if (!hasErrno(error, 'ENOSPC')) throw error
      this.#setDisk('reserve')
    }
  }

  async #watchDisk(): Promise<void> {
    while (!this.#stop.signal.aborted) {
      try {
        const { bavail, bsize } = statfsSync(dirname(this.#settings.path))
        const free = bavail * bsize
        if (this.#reserve.rows.length > 0 && free > 0) this.#recover()
        if (this.#reserve.rows.length === 0) {
          if (free > LOW_BYTES / 8) this.#reserve.prepare()
          this.#setDisk(free < LOW_BYTES ? (this.#disk === 'ok' ? 'low' : this.#disk) : 'ok', free)
        }
      } catch (error) {
        this.#tell({
          type: 'log',
          level: 'warn',
          message: 'the audit log’s disk cannot be watched',
          reason: messageOf(error),
        })
      }
      await this.#env.sleep(DISK_CHECK_MS, this.#stop.signal).catch(() => undefined)
    }
  }

  #setDisk(state: DiskState, free = 0): void {
    if (state === this.#disk) return
    this.#disk = state
    this.#tell({ type: 'disk', state, free })
  }

  /** Signs within `signAfterMs` what is not signed yet. */
  #signLater(): void {
    if (this.#signing || this.#file.head.ei === this.#file.lastCheckpoint.ei) return
    this.#signing = true
    this.#env
      .sleep(this.#settings.signAfterMs, this.#stop.signal)
      .then(() => {
        this.#signing = false
        this.#sign()
      })
      .catch((error: unknown) => {
        this.#signing = false
        if (this.#stop.signal.aborted) return
        this.#tell({
          type: 'log',
          level: 'error',
          message: 'the audit log could not be signed',
          reason: messageOf(error),
        })
      })
  }

  #sign(): void {
    const { head, lastCheckpoint } = this.#file
    if (head.ei === lastCheckpoint.ei) return
    this.#file.checkpoint(this.#now())
    this.#signed()
  }

  #signed(): void {
    this.#tell({ type: 'signed', head: this.#file.head })
  }

  /** The last event before the first that is not older. */
  async #lastBefore(before: number): Promise<number | undefined> {
    let last: number | undefined
    for (;;) {
      const rows = this.#file.rows((last ?? this.#file.cutTo) + 1, Number.MAX_SAFE_INTEGER, REMOVE_ROWS)
      for (const row of rows) {
        if (row.timeMs >= before) return last
        last = row.ei
      }
      if (rows.length < REMOVE_ROWS) return last
      await nextTurn()
    }
  }

  /** Takes away what cuts cover, a little at a time, when nobody reads it. */
  #removeCut(): void {
    if (this.#removing || this.#file.cutTo === 0) return
    this.#removing = true
    this.#removeLoop()
      .catch((error: unknown) => {
        if (this.#stop.signal.aborted) return
        const message = 'what retention cut off the audit log could not be removed yet'
        this.#tell({ type: 'log', level: 'warn', message, reason: messageOf(error) })
      })
      .finally(() => {
        this.#removing = false
      })
  }

  async #removeLoop(): Promise<void> {
    while (this.#readers > 0 && !this.#stop.signal.aborted) {
      await this.#env.sleep(100, this.#stop.signal).catch(() => undefined)
    }
    while (!this.#stop.signal.aborted && this.#file.removeCut(REMOVE_ROWS) > 0) await nextTurn()
    while (!this.#stop.signal.aborted && (this.#index.get()?.remove(this.#file.cutTo, REMOVE_ROWS) ?? 0) > 0) {
      await nextTurn()
    }
  }

  *#checkpointsFrom(ei: number) {
    let n = 0
    for (;;) {
      const found = this.#file.checkpoints(n, 1000)
      for (const checkpoint of found) if (checkpoint.ei > ei) yield checkpoint
      const last = found.at(-1)
      if (last === undefined) return
      n = last.n
    }
  }

  #now(): number {
    return this.#env.now().getTime()
  }

  #time(): string {
    return this.#env.now().toISOString()
  }
}

function* rowsOf(first: readonly NewRow[], pending: readonly Pending[]): Generator<NewRow> {
  yield* first
  for (const { call } of pending) {
    for (const [index, body] of call.bodies.entries()) {
      yield { timeMs: call.times[index] ?? 0, uid: uidBytes(call.uids[index] ?? ''), body }
    }
  }
}

const refusal = () =>
  new SystemError(
    'ENOSPC',
    'no space left on the disk of the audit log: nothing that must be recorded is done, but for logins; free some space',
  )

function parseCursor(cursor: string | undefined): number | undefined {
  if (cursor === undefined) return undefined
  if (!/^[1-9]\d{0,14}$/.test(cursor))
    throw new BadParameter('cursor', 'the page cursor is not one that this search returned')
  return Number(cursor)
}
