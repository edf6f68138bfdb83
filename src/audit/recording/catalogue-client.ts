/** The catalogue from the outside: starts its thread, starts it again, and never lets messages pile up. */

import { join } from 'node:path'
import { Worker } from 'node:worker_threads'
import { Backoff } from '../../common/backoff.ts'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import { programFile } from '../../common/program-file.ts'
import { ConnectionProblem, LimitExceeded } from '../../errors/errors.ts'
import { errorFromJson } from '../../errors/json.ts'
import { messageOf } from '../../errors/system.ts'
import type { Catalogue } from './catalogue.ts'
import type { CatalogueStart, Change, FromCatalogue, ToCatalogue } from './catalogue-messages.ts'
import type { RecordingPage, RecordingQuery } from './store.ts'
import type { RecordingSummary } from './types.ts'

const MAX_LISTS = 64
const CLOSE_MS = 5000

interface Asked {
  readonly resolve: (page: RecordingPage) => void
  readonly reject: (error: Error) => void
}

export class ThreadCatalogue implements Catalogue {
  readonly #start: CatalogueStart
  readonly #logger: Logger
  readonly #env: Env
  readonly #backoff: Backoff
  readonly #asked = new Map<number, Asked>()
  /** The latest of each recording that the thread has not taken. */
  readonly #changes = new Map<string, Change>()
  #worker: Worker | undefined
  #sending = false
  #lastId = 0
  #closing: PromiseWithResolvers<void> | undefined

  constructor(root: string, env: Env, logger: Logger) {
    this.#start = { root, path: join(root, 'catalogue.sqlite') }
    this.#env = env
    this.#logger = logger
    this.#backoff = new Backoff({ initialMs: 1000, maxMs: 60_000 }, env)
    this.#spawn()
  }

  changed(directory: string, summary: RecordingSummary, textBytes = 0): void {
    const before = this.#changes.get(summary.sid)
    const waiting = before !== undefined && 'textBytes' in before ? before.textBytes : 0
    this.#changes.set(summary.sid, { directory, summary, textBytes: waiting + textBytes })
    this.#flush()
  }

  removed(sid: string): void {
    this.#changes.set(sid, { sid })
    this.#flush()
  }

  list(query: RecordingQuery): Promise<RecordingPage> {
    if (this.#worker === undefined) {
      return Promise.reject(new ConnectionProblem('the list of recordings is not available now; try again in a moment'))
    }
    if (this.#asked.size >= MAX_LISTS) {
      return Promise.reject(new LimitExceeded('too many searches for recordings at once; try again in a moment'))
    }
    // Before the question, so that the answer knows of them.
    this.#flush(true)
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<RecordingPage>()
    this.#asked.set(id, { resolve, reject })
    // Only who waits for an answer keeps the process alive.
    this.#worker.ref()
    this.#post({ op: 'list', id, query })
    return promise
  }

  async close(): Promise<void> {
    if (this.#closing !== undefined) return this.#closing.promise
    this.#closing = Promise.withResolvers()
    const worker = this.#worker
    if (worker === undefined) this.#closing.resolve()
    else {
      worker.ref()
      this.#post({ op: 'close' })
      const late = this.#env.sleep(CLOSE_MS)
      await Promise.race([this.#closing.promise, late])
      await worker.terminate()
    }
    this.#fail('the catalogue of recordings is closed')
  }

  #spawn(): void {
    const file = programFile(new URL('./catalogue-worker.ts', import.meta.url), 'recordings-worker', import.meta.url)
    const worker = new Worker(file, {
      workerData: this.#start,
      name: 'recordings',
      resourceLimits: { maxOldGenerationSizeMb: 512 },
    })
    this.#worker = worker
    this.#sending = false
    let failure: unknown
    worker.on('message', (message: FromCatalogue) => this.#take(message))
    worker.on('error', (error) => {
      failure = error
    })
    worker.once('exit', () => this.#ended(failure))
    worker.unref()
  }

  #take(message: FromCatalogue): void {
    switch (message.op) {
      case 'taken':
        this.#sending = false
        this.#backoff.reset()
        this.#flush()
        break
      case 'page':
        this.#answer(message.id)?.resolve(message.page)
        break
      case 'error':
        this.#answer(message.id)?.reject(errorFromJson(message.error, 500))
        break
      case 'log':
        this.#logger[message.level](message.message, message.fields)
        break
      case 'closed':
        this.#closing?.resolve()
        break
    }
  }

  #answer(id: number): Asked | undefined {
    const asked = this.#asked.get(id)
    this.#asked.delete(id)
    if (this.#asked.size === 0 && this.#closing === undefined) this.#worker?.unref()
    return asked
  }

  /** One batch on its way at a time; what comes meanwhile is put together by recording. */
  #flush(atOnce = false): void {
    if (this.#sending && !atOnce) return
    if (this.#changes.size === 0 || this.#worker === undefined || this.#closing !== undefined) return
    this.#sending = true
    const changes = [...this.#changes.values()]
    this.#changes.clear()
    this.#post({ op: 'changes', changes })
  }

  #post(message: ToCatalogue): void {
    this.#worker?.postMessage(message)
  }

  /** A new thread looks through the files, so nothing that the old one had not done is lost. */
  #ended(failure: unknown): void {
    this.#worker = undefined
    this.#fail('the list of recordings is not available now; try again in a moment')
    if (this.#closing !== undefined) {
      this.#closing.resolve()
      return
    }
    this.#logger.error('the thread for the catalogue of recordings ended; it is started again', {
      error: failure === undefined ? 'no reason was given' : messageOf(failure),
    })
    void this.#env.sleep(this.#backoff.nextMs()).then(() => {
      if (this.#closing === undefined && this.#worker === undefined) this.#spawn()
    })
  }

  #fail(reason: string): void {
    for (const { reject } of this.#asked.values()) reject(new ConnectionProblem(reason))
    this.#asked.clear()
  }
}
