/**
 * Which sessions are open, on disk, so that the end of each is told even when the node is killed: its successor reads what an ended
 * process left and records the ends. Nothing here is synced to the disk: it must outlive the process, not the machine, and a start
 * of a session waits for nobody. The uid of an end is made from the session's id, so an end that was told twice is stored once.
 */

import { createHash } from 'node:crypto'
import { closeSync, constants, openSync, renameSync, writeSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import type { Env } from '../../common/env.ts'
import { ensurePrivateDir, readFileBounded } from '../../common/files.ts'
import type { Logger } from '../../common/log.ts'
import { isUuid } from '../../common/names.ts'
import { ownProcess, processAlive } from '../../common/process-owner.ts'
import { messageOf } from '../../errors/system.ts'

/** What an end event needs; kept as it is. */
export interface OpenSession {
  readonly sid: string
  readonly user: string
  readonly login: string
  readonly interactive: boolean
  /** RFC 3339. */
  readonly started: string
  readonly 'addr.local': string
  readonly 'addr.remote': string
}

/** A file that is being copied; kept as it is. */
export interface OpenFile {
  readonly sid: string
  /** Of the event that will tell of it, whoever tells. */
  readonly uid: string
  readonly event: 'sftp.read' | 'sftp.write' | 'scp'
  /** Of scp. */
  readonly action: 'upload' | 'download'
  readonly path: string
}

export interface OpenSessionsOptions {
  /** Made private (0700) when missing. */
  readonly dir: string
  readonly env: Env
  readonly logger: Logger
  /** Whose file it is, as `ownProcess` names it. Default: this process. */
  readonly owner?: string
}

/** Records the end of a session whose node process has ended, and the files it had open. Resolves when that is durable. */
export type Lost = (session: OpenSession, files: readonly OpenFile[]) => Promise<void>

export interface OpenSessions {
  opened(session: OpenSession): void
  closed(sid: string): void
  fileOpened(file: OpenFile): void
  /** What became of it is on the disk. */
  fileClosed(uid: string): void
  /** Resolves when what ended processes left is told, and looks again each minute: a predecessor may still drain. */
  takeOver(lost: Lost): Promise<void>
  close(): Promise<void>
}

const maxBytes = 64 * 1024 * 1024
/** Lines about sessions that have ended, after which the file is written anew. */
const maxStaleLines = 4096
const adoptEveryMs = 60_000
const { O_APPEND, O_CREAT, O_NOFOLLOW, O_TRUNC, O_WRONLY } = constants

/** The uid of the event that tells the end of this session. */
export const endUid = (sid: string): string => uidFrom(`session.end ${sid}`)

/** The uid of the event that tells what became of a file of this session; they are counted from 1. */
export const fileUid = (sid: string, number: number): string => uidFrom(`file ${sid} ${number}`)

function uidFrom(what: string): string {
  const hex = createHash('sha256').update(what).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-a${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** Throws System errors of the directory. */
export async function openSessionJournal(options: OpenSessionsOptions): Promise<OpenSessions> {
  await ensurePrivateDir(options.dir)
  return new FileJournal(options, join(options.dir, `open-${options.owner ?? (await ownProcess())}.jsonl`))
}

/** In a directory that is there already. */
export class FileJournal implements OpenSessions {
  readonly #options: OpenSessionsOptions
  readonly #path: string
  readonly #open = new Map<string, OpenSession>()
  readonly #files = new Map<string, OpenFile>()
  readonly #stop = new AbortController()
  #file: number | undefined
  #stale = 0
  #complained = false

  constructor(options: OpenSessionsOptions, path: string) {
    this.#options = options
    this.#path = path
  }

  opened(session: OpenSession): void {
    this.#open.set(session.sid, session)
    this.#write(`${JSON.stringify(session)}\n`)
  }

  closed(sid: string): void {
    if (!this.#open.delete(sid)) return
    for (const file of this.#files.values()) if (file.sid === sid) this.#files.delete(file.uid)
    this.#over({ ended: sid })
  }

  fileOpened(file: OpenFile): void {
    this.#files.set(file.uid, file)
    this.#write(`${JSON.stringify(file)}\n`)
  }

  fileClosed(uid: string): void {
    if (this.#files.delete(uid)) this.#over({ told: uid })
  }

  #over(line: object): void {
    this.#stale += 2
    if (this.#stale > Math.max(maxStaleLines, 2 * (this.#open.size + this.#files.size))) this.#rewrite()
    else this.#write(`${JSON.stringify(line)}\n`)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    if (this.#file !== undefined) closeSync(this.#file)
    this.#file = undefined
    // Sessions that outlive a service that stops are told by the next one.
    if (this.#open.size === 0) await fs.rm(this.#path, { force: true })
  }

  /** A session goes on without its line: that only matters if the node is killed while its disk is full. */
  #write(text: string): void {
    if (this.#stop.signal.aborted) return
    try {
      this.#file ??= openSync(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW, 0o600)
      writeSync(this.#file, text)
      this.#complained = false
    } catch (error) {
      this.#complain(error)
    }
  }

  #rewrite(): void {
    if (this.#stop.signal.aborted) return
    try {
      const fresh = openSync(`${this.#path}.new`, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
      try {
        const left = [...this.#open.values(), ...this.#files.values()]
        writeSync(fresh, left.map((each) => `${JSON.stringify(each)}\n`).join(''))
        renameSync(`${this.#path}.new`, this.#path)
      } catch (error) {
        closeSync(fresh)
        throw error
      }
      if (this.#file !== undefined) closeSync(this.#file)
      this.#file = fresh
      this.#stale = 0
    } catch (error) {
      this.#complain(error)
    }
  }

  #complain(error: unknown): void {
    if (this.#complained) return
    this.#complained = true
    this.#options.logger.warn('the list of open sessions cannot be written', { reason: messageOf(error) })
  }

  async takeOver(lost: Lost): Promise<void> {
    await this.#adopt(lost)
    void this.#adoptLater(lost)
  }

  async #adoptLater(lost: Lost): Promise<void> {
    const { signal } = this.#stop
    for (;;) {
      await this.#options.env.sleep(adoptEveryMs, signal).catch(() => undefined)
      if (signal.aborted) return
      await this.#adopt(lost)
    }
  }

  /** What cannot be told now is told a minute later, or at the next start. */
  async #adopt(lost: Lost): Promise<void> {
    const { dir, logger } = this.#options
    try {
      for (const name of await fs.readdir(dir)) {
        const owner = /^open-(\d+-\d+)\.jsonl(?:\.new)?$/.exec(name)?.[1]
        const path = join(dir, name)
        if (owner === undefined || path.startsWith(this.#path) || (await processAlive(owner))) continue
        const sessions = name.endsWith('.new') ? [] : await readOpen(path)
        for (const [session, files] of sessions) await lost(session, files)
        await fs.rm(path, { force: true })
        if (sessions.length > 0) logger.info('sessions of an earlier process have ended', { sessions: sessions.length })
      }
    } catch (error) {
      logger.warn('the ends of sessions of an earlier process cannot be told yet', { reason: messageOf(error) })
    }
  }
}

async function readOpen(path: string): Promise<readonly (readonly [OpenSession, readonly OpenFile[]])[]> {
  const text = (await readFileBounded(path, maxBytes, { followLinks: false })).toString('utf8')
  const open = new Map<string, OpenSession>()
  const files = new Map<string, OpenFile>()
  // A torn last line is of a session that had not begun, or has ended.
  for (const line of text.split('\n')) {
    const value = parseLine(line)
    if (value === undefined) continue
    if (typeof value.ended === 'string') open.delete(value.ended)
    else if (typeof value.told === 'string') files.delete(value.told)
    else if (isOpenFile(value)) files.set(value.uid, value)
    else if (isOpenSession(value)) open.set(value.sid, value)
  }
  const of = (sid: string): readonly OpenFile[] => [...files.values()].filter((file) => file.sid === sid)
  return [...open.values()].map((session) => [session, of(session.sid)] as const)
}

function parseLine(line: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(line)
    return typeof value === 'object' && value !== null ? { ...value } : undefined
  } catch {
    return undefined
  }
}

function isOpenFile(value: object): value is OpenFile {
  const fields: Partial<Record<keyof OpenFile, unknown>> = value
  return (
    isUuid(String(fields.sid)) &&
    isUuid(String(fields.uid)) &&
    ['sftp.read', 'sftp.write', 'scp'].includes(String(fields.event)) &&
    ['upload', 'download'].includes(String(fields.action)) &&
    typeof fields.path === 'string'
  )
}

function isOpenSession(value: object): value is OpenSession {
  const fields: Partial<Record<keyof OpenSession, unknown>> = value
  const texts = [fields.sid, fields.user, fields.login, fields.started, fields['addr.local'], fields['addr.remote']]
  return (
    texts.every((text) => typeof text === 'string') &&
    isUuid(String(fields.sid)) &&
    typeof fields.interactive === 'boolean'
  )
}
