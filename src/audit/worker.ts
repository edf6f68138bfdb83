/** The thread of the audit log: it alone waits for the disk. Started by `sqlite.ts`. */

import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { realEnv } from '../common/env.ts'
import { assertNever, httpStatus, KindError, LimitExceeded, NotFound } from '../errors/errors.ts'
import { errorToJson } from '../errors/json.ts'
import { messageOf } from '../errors/system.ts'
import { AuditLog } from './log.ts'
import type { Call, FromWorker, ToWorker, WorkerSettings } from './messages.ts'

/** Exports and proofs at a time. */
const MAX_STREAMS = 32
/** Milliseconds after which a stream that nobody reads ends. */
const STREAM_IDLE_MS = 120_000

function serve(port: MessagePort, settings: WorkerSettings): void {
  const tell = (message: FromWorker) => port.postMessage(message)
  let log: AuditLog
  try {
    log = new AuditLog(settings, realEnv, tell)
  } catch (error) {
    tell({ type: 'failed', ...toJson(error) })
    port.close()
    return
  }
  const calls = new Calls(log)
  tell({ type: 'ready', head: log.head })
  port.on('message', ({ id, call }: ToWorker) => {
    calls.run(call).then(
      (value) => {
        tell({ type: 'done', id, value })
        if (call.op === 'close') port.close()
      },
      (error: unknown) => {
        if (!(error instanceof KindError))
          tell({ type: 'log', level: 'error', message: 'the audit log failed', reason: stackOf(error) })
        tell({ type: 'error', id, ...toJson(error) })
      },
    )
  })
}

interface Stream {
  readonly values: AsyncGenerator<unknown>
  /** Monotonic milliseconds of the last read. */
  read: number
}

class Calls {
  readonly #log: AuditLog
  readonly #streams = new Map<number, Stream>()
  #lastStream = 0

  constructor(log: AuditLog) {
    this.#log = log
  }

  async run(call: Call): Promise<unknown> {
    switch (call.op) {
      case 'append':
        return this.#log.append(call)
      case 'search':
        return this.#log.search(call.query)
      case 'export':
        return this.#open(this.#log.export(call.filter))
      case 'verify':
        return this.#open(this.#log.verify(call.expected))
      case 'next':
        return this.#next(call.stream)
      case 'return':
        return this.#return(call.stream)
      case 'cut':
        return this.#log.cut(call.before, call.event)
      case 'status':
        return this.#log.status()
      case 'close':
        return this.#log.close()
      default:
        return assertNever(call)
    }
  }

  #open(values: AsyncGenerator<unknown>): number {
    const now = realEnv.monotonicMs()
    for (const [id, stream] of this.#streams) if (now - stream.read > STREAM_IDLE_MS) void this.#return(id)
    if (this.#streams.size >= MAX_STREAMS) {
      throw new LimitExceeded('too many exports and proofs of the audit log run at once; try again later')
    }
    const id = ++this.#lastStream
    this.#streams.set(id, { values, read: now })
    return id
  }

  async #next(id: number): Promise<IteratorResult<unknown>> {
    const stream = this.#streams.get(id)
    if (stream === undefined)
      throw new NotFound('this reading of the audit log was given up after a long silence; start again')
    stream.read = realEnv.monotonicMs()
    const result = await stream.values.next().catch((error: unknown) => {
      this.#streams.delete(id)
      throw error
    })
    if (result.done === true) this.#streams.delete(id)
    return result
  }

  async #return(id: number): Promise<void> {
    const stream = this.#streams.get(id)
    this.#streams.delete(id)
    await stream?.values.return(undefined)
  }
}

const toJson = (error: unknown) => ({
  error: errorToJson(error),
  status: error instanceof KindError ? httpStatus[error.kind] : 500,
})

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : messageOf(error))

if (parentPort !== null) serve(parentPort, workerData as WorkerSettings)
