/** The thread of the cluster state: it alone waits for the disk. Started by `thread.ts`. */

import { type MessagePort, parentPort, workerData } from 'node:worker_threads'
import { type Env, realEnv } from '../common/env.ts'
import { httpStatus, KindError } from '../errors/errors.ts'
import { errorToJson } from '../errors/json.ts'
import { messageOf } from '../errors/system.ts'
import type { Backend, Item, WatchEvent } from './contract.ts'
import type { Call, FromThread, Part, ToThread } from './messages.ts'
import { openSqliteBackend } from './sqlite.ts'

class Served {
  readonly #port: MessagePort
  readonly #clock = new CallersClock()
  #parts: Part[] = []
  #watched = false

  constructor(port: MessagePort) {
    this.#port = port
  }

  async start(path: string): Promise<void> {
    let backend: Backend
    try {
      backend = await openSqliteBackend(path, this.#clock.env, { onEvents: (events) => this.#onEvents(events) })
    } catch (error) {
      this.#post({ type: 'failed', ...toJson(error) })
      return
    }
    this.#port.on('message', (message: ToThread) => {
      if ('tick' in message) {
        this.#clock.tick(message.now)
        this.#add({ type: 'ticked' })
      } else {
        this.#clock.set(message.now)
        void this.#serve(backend, message.id, message.call)
      }
    })
    this.#post({ type: 'ready' })
  }

  async #serve(backend: Backend, id: number, call: Call): Promise<void> {
    try {
      this.#add({ type: 'done', id, value: exact(await this.#run(backend, call)) })
    } catch (error) {
      if (!(error instanceof KindError)) this.#add({ type: 'log', reason: stackOf(error) })
      this.#add({ type: 'error', id, ...toJson(error) })
    }
    // What was called before has its answer by then: closing writes what waits.
    if (call.method === 'close') setImmediate(() => this.#port.close())
  }

  #run(backend: Backend, call: Call): Promise<unknown> {
    if (call.method === 'close') return backend.close()
    if (call.method !== 'watch') return Reflect.apply(backend[call.method], backend, call.args)
    this.#watched = true
    return Promise.resolve()
  }

  #onEvents(events: readonly WatchEvent[]): void {
    if (!this.#watched || events.length === 0) return
    this.#add({
      type: 'events',
      events: events.map((event) => (event.type === 'put' ? { ...event, item: exactItem(event.item) } : event)),
    })
  }

  /** What becomes known in one turn is one message. */
  #add(part: Part): void {
    if (this.#parts.length === 0) {
      setImmediate(() => {
        const parts = this.#parts
        this.#parts = []
        this.#post({ type: 'parts', parts })
      })
    }
    this.#parts.push(part)
  }

  #post(message: FromThread): void {
    this.#port.postMessage(message)
  }
}

/** Time as the caller's thread tells it, with each call and each second. */
class CallersClock {
  #now = realEnv.now().getTime()
  #ticks = 0
  #wake: (() => void) | undefined
  readonly env: Env = {
    ...realEnv,
    now: () => new Date(this.#now),
    sleep: (_ms, signal) => this.#sleep(signal),
  }

  set(now: number): void {
    this.#now = now
  }

  tick(now: number): void {
    this.#now = now
    if (this.#wake === undefined) this.#ticks++
    else this.#wake()
  }

  /** Until the next tick. Only the cleaning sleeps. */
  #sleep(signal: AbortSignal | undefined): Promise<void> {
    if (this.#ticks > 0) {
      this.#ticks--
      return Promise.resolve()
    }
    return new Promise((resolve) => {
      const wake = () => {
        this.#wake = undefined
        signal?.removeEventListener('abort', wake)
        resolve()
      }
      this.#wake = wake
      signal?.addEventListener('abort', wake, { once: true })
    })
  }
}

/** With memory of their own: a small Buffer is part of a large one, all of which would cross. */
function exact(value: unknown): unknown {
  if (typeof value !== 'object' || value === null) return value
  if ('items' in value) return { ...value, items: (value.items as readonly Item[]).map(exactItem) }
  return exactItem(value as Item)
}

const exactItem = (item: Item): Item => ({ ...item, value: Buffer.from(new Uint8Array(item.value).buffer) })

const toJson = (error: unknown) => ({
  error: errorToJson(error),
  status: error instanceof KindError ? httpStatus[error.kind] : 500,
})

const stackOf = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : messageOf(error))

if (parentPort !== null) await new Served(parentPort).start((workerData as { readonly path: string }).path)
