/**
 * Events of a node or proxy on their way to the auth service: on the local disk first, delivered in order when auth can
 * be reached, dropped when acknowledged. A delivery that was cut off is repeated; the store keeps each uid once.
 */

import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { Backoff } from '../common/backoff.ts'
import type { Env } from '../common/env.ts'
import { ensurePrivateDir, readFileBounded, writeFileAtomic } from '../common/files.ts'
import type { Logger } from '../common/log.ts'
import { ownProcess, processAlive } from '../common/process-owner.ts'
import { BadParameter, ConnectionProblem, LimitExceeded } from '../errors/errors.ts'
import { convertSystemError, errnoOf, messageOf } from '../errors/system.ts'
import { boundEvent, parseBody } from './bound.ts'
import type { AuditEvent } from './events.ts'

export interface SpoolOptions {
  /** Made private (0700) when missing. */
  readonly dir: string
  /** Hands events to auth in order; resolves when they are durable there. */
  readonly deliver: (events: readonly AuditEvent[], signal: AbortSignal) => Promise<void>
  readonly env: Env
  readonly log: Logger
  /** Bytes on disk; beyond, `append` throws instead of dropping. Default 32 MiB. */
  readonly maxBytes?: number
  /** Whose file it is, as `ownProcess` names it. Default: this process. */
  readonly owner?: string
}

export interface AuditSpool {
  /**
   * Resolves when the events are on the local disk. Throws LimitExceeded when the spool is full (auth was away too long):
   * the caller then refuses what it wanted to report. Throws BadParameter for a malformed event.
   */
  append(events: readonly AuditEvent[]): Promise<void>
  /** Events not yet acknowledged by auth. */
  readonly pending: number
  /** Resolves when everything appended so far is delivered. Rejects with the signal's reason. */
  drain(signal: AbortSignal): Promise<void>
  /** Stops delivering; what is left stays on disk for the next start. */
  close(): Promise<void>
}

const defaultMaxBytes = 32 * 1024 * 1024
const BATCH_EVENTS = 200
const adoptEveryMs = 60_000
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDWR } = constants

/**
 * Each process has a file of its own: while an old process drains, its successor is at work already, and neither may shorten what
 * the other wrote. What processes that are gone have left is taken over.
 */
export async function openSpool(options: SpoolOptions): Promise<AuditSpool> {
  const { dir, log, maxBytes = defaultMaxBytes } = options
  await ensurePrivateDir(dir)
  const path = join(dir, `events-${options.owner ?? (await ownProcess())}.jsonl`)
  const orphans = await readOrphans(options, path)
  const own = await loadLines(path, join(dir, 'events.bad'), maxBytes, log)
  const lines = [...orphans.lines, ...own]
  if (orphans.paths.length > 0) await writeFileAtomic(path, asFile(lines))
  try {
    const file = await fs.open(path, O_RDWR | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
    await removeAll(orphans.paths)
    return new FileSpool(options, path, maxBytes, file, lines)
  } catch (error) {
    throw convertSystemError(error, `open ${path}`)
  }
}

interface Orphans {
  readonly paths: readonly string[]
  readonly lines: readonly string[]
}

/** What ended processes left, oldest file first. A crash before the files are removed repeats events, which is harmless. */
async function readOrphans({ dir, log, maxBytes = defaultMaxBytes }: SpoolOptions, ownPath: string): Promise<Orphans> {
  const found: { readonly path: string; readonly changed: number }[] = []
  for (const name of await fs.readdir(dir)) {
    const match = /^events(?:-(\d+-\d+))?\.jsonl$/.exec(name)
    const path = join(dir, name)
    if (match === null || path === ownPath) continue
    if (match[1] !== undefined && (await processAlive(match[1]))) continue
    const stat = await fs.lstat(path).catch(() => undefined)
    if (stat !== undefined) found.push({ path, changed: stat.mtimeMs })
  }
  found.sort((a, b) => a.changed - b.changed)
  const lines: string[] = []
  for (const { path } of found) lines.push(...(await loadLines(path, join(dir, 'events.bad'), maxBytes, log)))
  return { paths: found.map(({ path }) => path), lines }
}

async function removeAll(paths: readonly string[]): Promise<void> {
  for (const path of paths) await fs.rm(path, { force: true })
}

/**
 * What an earlier process left. The last line may be torn: it was never acknowledged, so it goes. Another unreadable line
 * means damage: it is set aside, with a message, rather than blocking the rest for ever.
 */
async function loadLines(path: string, badPath: string, maxBytes: number, log: Logger): Promise<string[]> {
  const content = await readFileBounded(path, maxBytes * 2, { followLinks: false }).catch((error: unknown) => {
    if (convertSystemError(error, `read ${path}`).kind === 'NotFound') return Buffer.alloc(0)
    throw error
  })
  const text = content.toString('utf8')
  const whole = text.slice(0, text.lastIndexOf('\n') + 1)
  const lines = whole.split('\n').filter((line) => line !== '')
  const good = lines.filter(isEventLine)
  const bad = lines.filter((line) => !isEventLine(line))
  if (bad.length > 0) {
    log.error('unreadable events in the audit spool were set aside', { count: bad.length, file: badPath })
    await fs.appendFile(badPath, `${bad.join('\n')}\n`, { mode: 0o600 })
  }
  if (whole.length !== text.length || bad.length > 0) await writeFileAtomic(path, asFile(good))
  return good
}

function isEventLine(line: string): boolean {
  try {
    boundEvent(JSON.parse(line))
    return true
  } catch {
    return false
  }
}

const asFile = (lines: readonly string[]): string => lines.map((line) => `${line}\n`).join('')

/** What strangers, or one user with many files, can cause may not take the room that others need: without a record there is no session. */
const isMany = ({ event }: AuditEvent): boolean => event === 'auth' || event === 'scp' || event.startsWith('sftp.')

interface Append {
  readonly lines: readonly string[]
  readonly resolve: () => void
  readonly reject: (error: unknown) => void
}

class FileSpool implements AuditSpool {
  readonly #options: SpoolOptions
  readonly #path: string
  readonly #maxBytes: number
  readonly #stop = new AbortController()
  readonly #delivery: Promise<void>
  /** On disk and not acknowledged, oldest first. */
  readonly #lines: string[]
  #file: fs.FileHandle
  /** Of `#lines`. */
  #pendingBytes: number
  /** Of the file, delivered lines included. */
  #bytes: number
  #appends: Append[] = []
  /** Bytes of `#appends`. */
  #queuedBytes = 0
  /** The chain of everything that touches the file: one at a time. */
  #turn: Promise<void> = Promise.resolve()
  #wake: () => void = () => undefined
  #drained: (() => void)[] = []
  /** When orphans were looked for, monotonic milliseconds. */
  #adopted: number

  constructor(options: SpoolOptions, path: string, maxBytes: number, file: fs.FileHandle, lines: string[]) {
    this.#options = options
    this.#path = path
    this.#maxBytes = maxBytes
    this.#file = file
    this.#lines = lines
    this.#adopted = options.env.monotonicMs()
    this.#bytes = Buffer.byteLength(asFile(lines))
    this.#pendingBytes = this.#bytes
    this.#delivery = this.#deliverLoop()
  }

  get pending(): number {
    return this.#lines.length
  }

  async append(events: readonly AuditEvent[]): Promise<void> {
    if (this.#stop.signal.aborted) throw new ConnectionProblem('the audit spool is closed')
    const lines = events.map((event) => boundEvent(event).body)
    const size = Buffer.byteLength(asFile(lines))
    const room = events.every(isMany) ? this.#maxBytes / 2 : this.#maxBytes
    if (this.#pendingBytes + this.#queuedBytes + size > room) {
      throw new LimitExceeded(
        'the audit spool is full because the auth service could not be reached for too long; nothing unaudited is done until it is back',
      )
    }
    this.#queuedBytes += size
    await new Promise<void>((resolve, reject) => {
      this.#appends.push({ lines, resolve, reject })
      if (this.#appends.length === 1) this.#enqueue(() => this.#writeAppends())
    })
  }

  drain(signal: AbortSignal): Promise<void> {
    if (this.#lines.length === 0 && this.#appends.length === 0) return Promise.resolve()
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      if (signal.aborted) reject(signal.reason)
      this.#drained.push(resolve)
    })
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    this.#stop.abort()
    this.#wake()
    await this.#delivery
    await this.#turn
    await this.#file.close()
  }

  #enqueue(run: () => Promise<void>): void {
    this.#turn = this.#turn.then(run)
  }

  /** One write and one fsync for all that wait. */
  async #writeAppends(): Promise<void> {
    const appends = this.#appends
    this.#appends = []
    this.#queuedBytes = 0
    const lines = appends.flatMap((append) => append.lines)
    const data = Buffer.from(asFile(lines))
    try {
      await this.#file.appendFile(data)
      await this.#file.datasync()
    } catch (error) {
      // Half a line may be in the file: cut it off, or it would spoil the next one.
      await this.#file.truncate(this.#bytes).catch(() => undefined)
      const reason = convertSystemError(error, `write ${this.#path}`)
      for (const { reject } of appends) reject(reason)
      return
    }
    this.#bytes += data.length
    this.#pendingBytes += data.length
    this.#lines.push(...lines)
    for (const { resolve } of appends) resolve()
    this.#wake()
  }

  async #deliverLoop(): Promise<void> {
    const { env, log, deliver } = this.#options
    const { signal } = this.#stop
    const backoff = new Backoff({ initialMs: 500, maxMs: 30_000 }, env)
    let batchSize = BATCH_EVENTS
    let failing = false
    while (!signal.aborted) {
      if (this.#lines.length === 0) await this.#adopt()
      if (signal.aborted) return
      const batch = this.#lines.slice(0, batchSize)
      if (batch.length === 0) {
        await this.#idle()
        continue
      }
      try {
        await deliver(batch.map(parseBody), signal)
        if (failing) log.info('audit events are delivered again', { pending: this.#lines.length })
        failing = false
        backoff.reset()
        batchSize = BATCH_EVENTS
        await this.#acknowledge(batch.length)
      } catch (error) {
        if (signal.aborted) return
        if (error instanceof BadParameter) {
          // Auth refuses one of them for what it is, and always will: find it and set it aside.
          if (batch.length === 1) await this.#setAside(batch[0] ?? '', error)
          batchSize = 1
          continue
        }
        if (!failing)
          log.warn('audit events wait on the local disk', { reason: messageOf(error), pending: this.#lines.length })
        failing = true
        await backoff.wait(signal).catch(() => undefined)
      }
    }
  }

  /** Until there is something new, or it is time to look whether a predecessor has ended. */
  async #idle(): Promise<void> {
    const woken = new AbortController()
    this.#wake = () => woken.abort()
    await this.#options.env.sleep(adoptEveryMs, woken.signal).catch(() => undefined)
  }

  /** What a predecessor left that drained while auth was away and has ended since. Looked for once a minute at most. */
  async #adopt(): Promise<void> {
    const now = this.#options.env.monotonicMs()
    if (now - this.#adopted < adoptEveryMs) return
    this.#adopted = now
    try {
      const orphans = await readOrphans(this.#options, this.#path)
      if (orphans.paths.length === 0) return
      await new Promise<void>((resolve, reject) => {
        this.#appends.push({ lines: orphans.lines, resolve, reject })
        if (this.#appends.length === 1) this.#enqueue(() => this.#writeAppends())
      })
      await removeAll(orphans.paths)
    } catch (error) {
      this.#options.log.warn('cannot take over the events of an earlier process', { reason: messageOf(error) })
    }
  }

  async #setAside(line: string, error: Error): Promise<void> {
    const file = join(this.#options.dir, 'events.bad')
    this.#options.log.error('the auth service refused an audit event; it was set aside', {
      reason: messageOf(error),
      file,
    })
    await fs.appendFile(file, `${line}\n`, { mode: 0o600 })
    await this.#acknowledge(1)
  }

  /** Drops the first lines. The file is rewritten when it is empty or mostly delivered; a repeat after a crash is harmless. */
  async #acknowledge(count: number): Promise<void> {
    this.#pendingBytes -= Buffer.byteLength(asFile(this.#lines.splice(0, count)))
    await new Promise<void>((resolve) => {
      this.#enqueue(async () => {
        await this.#compact().catch((error: unknown) => {
          this.#options.log.warn('cannot shorten the audit spool', { reason: messageOf(error), errno: errnoOf(error) })
        })
        resolve()
      })
    })
    if (this.#lines.length > 0 || this.#appends.length > 0) return
    const drained = this.#drained
    this.#drained = []
    for (const resolve of drained) resolve()
  }

  async #compact(): Promise<void> {
    if (this.#lines.length === 0) {
      await this.#file.truncate(0)
      this.#bytes = 0
      return
    }
    const left = this.#pendingBytes
    if (this.#bytes < this.#maxBytes / 2 || left > this.#bytes / 2) return
    await writeFileAtomic(this.#path, asFile(this.#lines))
    const file = await fs.open(this.#path, O_RDWR | O_APPEND | O_NOFOLLOW)
    await this.#file.close()
    this.#file = file
    this.#bytes = left
  }
}
