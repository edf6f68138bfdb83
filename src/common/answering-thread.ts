/**
 * The caller's end of a thread that answers questions: numbers them, keeps the process alive only while somebody waits, and starts the
 * thread again when it dies. What the questions are is the owner's.
 */

import type { Worker } from 'node:worker_threads'
import { ConnectionProblem } from '../errors/errors.ts'
import { type ErrorJson, errorFromJson } from '../errors/json.ts'
import { messageOf } from '../errors/system.ts'
import type { Env } from './env.ts'
import type { Logger } from './log.ts'

const RESTART_AFTER_MS = 250
const RETRY_AFTER_MS = 5000

/** How a thread says that it can be asked, or why it ended before. All other messages are the owner's. */
export type StartMessage =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly error: ErrorJson; readonly status: number }

export interface AnsweringThreadOptions<Message> {
  /** What people call it, as in "the audit log". */
  readonly what: string
  readonly env: Env
  readonly logger: Logger
  start(): Worker
  take(message: Exclude<Message, StartMessage>): void
  /** It ended, those who waited have been told, and it is started again. */
  died?(): void
}

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}

export class AnsweringThread<Message extends { readonly type: string }> {
  /** Rejects with what the thread said of its failure to start. */
  readonly opened: Promise<void>
  readonly #options: AnsweringThreadOptions<Message>
  readonly #waiting = new Map<number, Waiting>()
  readonly #closing = new AbortController()
  /** Undefined after it died, until it is started again. */
  #worker: Worker | undefined
  #ready: Promise<void>
  #end: Promise<void> | undefined
  #lastId = 0

  constructor(options: AnsweringThreadOptions<Message>) {
    this.#options = options
    this.#ready = this.#start()
    this.opened = this.#ready
  }

  /** Questions without an answer. */
  get waiting(): number {
    return this.#waiting.size
  }

  get running(): boolean {
    return this.#worker !== undefined
  }

  /** Throws ConnectionProblem when it is closed or being started again. */
  assertRunning(): void {
    const { what } = this.#options
    if (this.#closing.signal.aborted) throw new ConnectionProblem(`${what} is closed`)
    if (this.#worker === undefined) throw new ConnectionProblem(`${what} is being opened again; try again`)
  }

  /** Rejects as `assertRunning` does, with what the thread answers, and with ConnectionProblem when it dies first. `convert` runs with the answer, before any later message. */
  async call(question: (id: number) => unknown, convert?: (value: unknown) => unknown): Promise<unknown> {
    this.assertRunning()
    return await this.#send(question, convert)
  }

  /** Without an answer; nothing when there is no thread now. */
  post(message: unknown): void {
    this.#worker?.postMessage(message)
  }

  answer(id: number, value: unknown): void {
    this.#take(id)?.resolve(value)
  }

  refuse(id: number, error: ErrorJson, status: number): void {
    this.#take(id)?.reject(errorFromJson(error, status))
  }

  /** `goodbye`: the question after whose answer the thread ends. */
  close(goodbye: (id: number) => unknown): Promise<void> {
    this.#end ??= this.#close(goodbye)
    return this.#end
  }

  async #close(goodbye: (id: number) => unknown): Promise<void> {
    this.#closing.abort()
    await this.#ready.catch(() => undefined)
    const worker = this.#worker
    if (worker === undefined) return
    worker.ref()
    const ended = new Promise((resolve) => worker.once('exit', resolve))
    await this.#send(goodbye).catch((error: unknown) => {
      this.#options.logger.error(`${this.#options.what} was not closed cleanly`, { reason: messageOf(error) })
      return worker.terminate()
    })
    await ended
  }

  #send(question: (id: number) => unknown, convert?: (value: unknown) => unknown): Promise<unknown> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      this.#worker?.postMessage(question(id))
      if (this.#waiting.size === 0) this.#worker?.ref()
      const settle = convert === undefined ? resolve : (value: unknown) => resolve(convert(value))
      this.#waiting.set(id, { resolve: settle, reject })
    })
  }

  #take(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    // While it closes, its end is waited for.
    if (this.#waiting.size === 0 && this.#end === undefined) this.#worker?.unref()
    return waiting
  }

  #start(): Promise<void> {
    const worker = this.#options.start()
    return new Promise((resolve, reject) => {
      let problem: unknown
      worker.on('message', (message: Message | StartMessage) => {
        if (isFailed(message)) problem = errorFromJson(message.error, message.status)
        else if (message.type === 'ready') {
          this.#worker = worker
          worker.unref()
          resolve()
        } else this.#options.take(message as Exclude<Message, StartMessage>)
      })
      worker.on('error', (error) => {
        problem ??= error
      })
      worker.on('exit', () => {
        if (this.#worker === worker) this.#died(problem)
        else reject(problem ?? new ConnectionProblem(`${this.#options.what} could not be opened`))
      })
    })
  }

  /** Whoever waits is told at once; nobody knows what of their writes was stored, so they look and try again. */
  #died(problem: unknown): void {
    const { what, logger, died } = this.#options
    this.#worker = undefined
    const waiting = [...this.#waiting.values()]
    this.#waiting.clear()
    const error = new ConnectionProblem(`${what} stopped unexpectedly; try again`, { cause: problem })
    for (const { reject } of waiting) reject(error)
    if (this.#closing.signal.aborted) return
    died?.()
    logger.error(`${what} stopped unexpectedly and is opened again`, { reason: messageOf(problem ?? 'no reason') })
    this.#ready = this.#restart()
    // Those who need it get the error from their own call.
    this.#ready.catch(() => undefined)
  }

  async #restart(): Promise<void> {
    const { env, logger, what } = this.#options
    const { signal } = this.#closing
    await env.sleep(RESTART_AFTER_MS, signal)
    for (;;) {
      signal.throwIfAborted()
      try {
        return await this.#start()
      } catch (error) {
        logger.error(`${what} cannot be opened`, { reason: messageOf(error) })
        await env.sleep(RETRY_AFTER_MS, signal)
      }
    }
  }
}

const isFailed = (message: { readonly type: string }): message is StartMessage & { readonly type: 'failed' } =>
  message.type === 'failed'
