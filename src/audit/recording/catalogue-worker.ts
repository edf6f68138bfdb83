/** The catalogue's thread: keeps the SQLite file in step with the files of the recordings and answers lists, so that nothing else waits. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { realEnv } from '../../common/env.ts'
import { yieldToOthers } from '../../common/thread-priority.ts'
import { isNotFound, isSystemError } from '../../errors/errors.ts'
import { errorToJson } from '../../errors/json.ts'
import { messageOf } from '../../errors/system.ts'
import { type CatalogueDatabase, MAX_ID, openCatalogueDatabase, removeDatabase } from './catalogue-database.ts'
import { indexSome, RecentLines } from './catalogue-index.ts'
import type { CatalogueStart, Change, FromCatalogue, ToCatalogue } from './catalogue-messages.ts'
import { listRecordings } from './catalogue-search.ts'
import { FloodDelay } from './flood-delay.ts'
import { loadState, summaryOf } from './load.ts'
import type { RecordingQuery } from './store.ts'
import { recordingIds } from './walk.ts'

/** Milliseconds after a failure (a full disk, say) until the files are looked through again. */
const RETRY_MS = 30_000
/** Milliseconds that a list waits for the first look through the files, and then answers with what is known. */
const PATIENCE_MS = 5000
/** Milliseconds between two bits of a session that goes on: a quarter of the time is spent on them at most. */
const MAX_PAUSE_MS = 200

class CatalogueThread {
  readonly #port: MessagePort
  readonly #start: CatalogueStart
  readonly #recent = new RecentLines()
  readonly #floods = new FloodDelay()
  #database: CatalogueDatabase
  #closing = false
  #failed = false
  #indexing: Promise<void> | undefined
  #looking: Promise<void>
  readonly #leaving = new Set<string>()
  /** Removed since the look through the files began: it may have met them before. */
  #gone: Set<string> | undefined

  constructor(port: MessagePort, start: CatalogueStart) {
    this.#port = port
    this.#start = start
    this.#database = this.#open()
    this.#looking = this.#lookThrough()
  }

  async take(message: ToCatalogue): Promise<void> {
    if (message.op === 'list') await this.#list(message.id, message.query)
    else if (message.op === 'close') await this.#close()
    else {
      for (const change of message.changes) this.#apply(change)
      this.#send({ op: 'taken' })
      this.#index()
    }
  }

  #open(): CatalogueDatabase {
    return openCatalogueDatabase(this.#start.path, (reason) => {
      this.#log('warn', 'the catalogue of recordings is made again from their files', { reason })
    })
  }

  async #list(id: number, query: RecordingQuery): Promise<void> {
    try {
      await Promise.race([this.#looking, realEnv.sleep(PATIENCE_MS)])
      const page = await listRecordings(this.#database, query, {
        nowMs: () => realEnv.monotonicMs(),
        isGone: (sid) => this.#leaving.has(sid),
      })
      this.#send({ op: 'page', id, page })
    } catch (error) {
      this.#repairAfter(error)
      this.#send({ op: 'error', id, error: errorToJson(error) })
    }
  }

  #apply(change: Change): void {
    try {
      if ('sid' in change) {
        this.#leaving.add(change.sid)
        this.#gone?.add(change.sid)
        this.#floods.ended(change.sid)
        return
      }
      const { sid, state } = change.summary
      if (state === 'running') this.#floods.grew(sid, change.textBytes, realEnv.monotonicMs())
      else this.#floods.ended(sid)
      this.#database.put(change.directory, change.summary)
    } catch (error) {
      this.#repairAfter(error)
    }
  }

  /** Adds what is missing, brings up to date what was running, removes what is gone. */
  async #lookThrough(): Promise<void> {
    this.#gone = new Set()
    try {
      const known = this.#database.known()
      const there = new Set<string>()
      let added = 0
      for await (const { directory, sid } of recordingIds(this.#start.root)) {
        if (this.#closing) return
        there.add(sid)
        if (known.get(sid)?.running === false) continue
        if (await this.#load(directory, sid)) added++
        if (added % 64 === 63) await nextTurn()
      }
      for (const sid of known.keys()) if (!there.has(sid)) this.#leaving.add(sid)
      this.#failed = false
    } catch (error) {
      this.#repairAfter(error)
    } finally {
      this.#gone = undefined
    }
    this.#index()
  }

  async #load(directory: string, sid: string): Promise<boolean> {
    try {
      const state = await loadState(directory, sid)
      if (this.#gone?.has(sid) === true) return false
      this.#database.put(directory, summaryOf(state))
      return true
    } catch (error) {
      const ofThatFile = isNotFound(error) || (isSystemError(error) && !error.message.includes(this.#start.path))
      if (!ofThatFile) throw error
      if (!isNotFound(error)) this.#log('error', 'a recording cannot be read', { sid, error: messageOf(error) })
      return false
    }
  }

  #index(): void {
    this.#indexing ??= this.#indexAll().finally(() => {
      this.#indexing = undefined
    })
  }

  /** A bit of each recording that is behind, newest first, then again: a long one does not hold up the others. */
  async #indexAll(): Promise<void> {
    try {
      for (let worked = true; worked && !this.#closing; ) {
        worked = await this.#removeSome()
        let waiting = false
        let below = MAX_ID
        for (;;) {
          const progress = this.#database.behind(below)
          if (progress === undefined || this.#closing) break
          below = progress.id
          const began = realEnv.monotonicMs()
          if (this.#floods.waits(progress.sid, began)) {
            waiting = true
            continue
          }
          worked = true
          await this.#indexOne(progress)
          // Whoever prints much does not pay for its index meanwhile.
          const pause = progress.running ? Math.min(3 * (realEnv.monotonicMs() - began), MAX_PAUSE_MS) : 0
          await (pause > 0 ? realEnv.sleep(pause) : nextTurn())
        }
        if (!waiting || worked) continue
        await realEnv.sleep(MAX_PAUSE_MS)
        worked = true
      }
    } catch (error) {
      this.#repairAfter(error)
    }
  }

  async #indexOne(progress: Parameters<typeof indexSome>[1]): Promise<void> {
    const { sid, indexed } = progress
    try {
      const { cutAtMs, problem } = await indexSome(this.#database, progress, this.#recent)
      if (problem !== undefined) this.#log('error', 'a recording is damaged; see: tctl audit verify', { sid, problem })
      if (cutAtMs !== undefined) {
        this.#log('info', 'a recording has more text than can be searched', { sid, searchableMs: cutAtMs })
      }
    } catch (error) {
      if (!isNotFound(error) && !(isSystemError(error) && error.errno === 'ECORRUPT')) throw error
      if (error.message.includes(this.#start.path)) throw error
      // Its files are gone or damaged: nothing to find there.
      this.#database.addLines({ ...progress, indexed: Math.max(indexed, progress.chunks), screen: undefined }, [])
    }
  }

  async #removeSome(): Promise<boolean> {
    const some = this.#leaving.size > 0
    for (const sid of this.#leaving) {
      while (!this.#closing && !this.#database.removeSome(sid)) await nextTurn()
      this.#leaving.delete(sid)
    }
    return some
  }

  /** A damaged file is made again; after anything else (a full disk) the files are looked through later. */
  #repairAfter(error: unknown): void {
    if (this.#closing || !isSystemError(error) || this.#failed) return
    this.#failed = true
    this.#log('error', 'the catalogue of recordings has a problem; recordings themselves are not affected', {
      error: messageOf(error),
    })
    const damaged = error.errno === 'ECORRUPT'
    void realEnv.sleep(damaged ? 0 : RETRY_MS).then(async () => {
      await this.#indexing
      if (this.#closing) return
      this.#failed = false
      try {
        if (damaged) {
          this.#database.close()
          removeDatabase(this.#start.path)
          this.#database = this.#open()
        }
      } catch (reason) {
        // The thread ends, and the one that started it makes another.
        setImmediate(() => {
          throw reason
        })
      }
      this.#looking = this.#lookThrough()
    })
  }

  async #close(): Promise<void> {
    this.#closing = true
    await this.#looking
    await this.#indexing
    this.#database.close()
    this.#send({ op: 'closed' })
    this.#port.close()
  }

  #send(message: FromCatalogue): void {
    this.#port.postMessage(message)
  }

  #log(level: 'info' | 'warn' | 'error', message: string, fields: Readonly<Record<string, unknown>>): void {
    this.#send({ op: 'log', level, message, fields })
  }
}

if (parentPort !== null) {
  // Nobody waits for the index of what was printed; lists are short.
  yieldToOthers(10)
  const thread = new CatalogueThread(parentPort, workerData as CatalogueStart)
  parentPort.on('message', (message: ToCatalogue) => void thread.take(message))
}
