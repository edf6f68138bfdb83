/** The recording worker without its thread: takes messages, keeps the sessions, shares the disk among them. */

import type { Env } from '../../common/env.ts'
import { Places } from '../../common/places.ts'
import type { FromWorker, ToWorker } from './messages.ts'
import { type SessionHost, SessionRecording } from './session-recording.ts'

export interface EngineOptions {
  readonly env: Env
  send(message: FromWorker, transfer?: readonly ArrayBuffer[]): void
  /** Default 16 MiB. */
  readonly segmentBytes?: number
}

/**
 * Writes and fsyncs at a time. They run in the threads that the whole process shares for its files and names, of which a
 * slow disk must not take all.
 */
const DISK_TURNS = 2
const TICK_MS = 200

type PerSession = Exclude<ToWorker, { readonly type: 'full' }>

/** Milliseconds after which new messages are looked at. */
const SLICE_MS = 5

export class RecordingEngine implements SessionHost {
  readonly segmentBytes: number
  readonly #options: EngineOptions
  readonly #sessions = new Map<number, SessionRecording>()
  readonly #stop = new AbortController()
  readonly #queues = new Map<number, PerSession[]>()
  /** Sessions with something in their queues. */
  readonly #turns: number[] = []
  #running = false
  full: string | undefined
  readonly #disk = new Places(DISK_TURNS)
  #counts = new Map<number, number>()
  #buffers: ArrayBuffer[] = []
  #reporting = false

  constructor(options: EngineOptions) {
    this.#options = options
    this.segmentBytes = options.segmentBytes ?? 16 * 1024 * 1024
    void this.#tick()
  }

  /** Sessions take turns: one whose output costs much delays the others by one message, not by all that it has sent. */
  receive(message: ToWorker): void {
    if (message.type === 'full') {
      this.full = message.reason
      return
    }
    const queue = this.#queues.get(message.id)
    if (queue !== undefined) queue.push(message)
    else {
      this.#queues.set(message.id, [message])
      this.#turns.push(message.id)
    }
    this.#run()
  }

  #run(): void {
    if (this.#running) return
    this.#running = true
    setImmediate(() => {
      this.#running = false
      const until = this.monotonicMs() + SLICE_MS
      do {
        const id = this.#turns.shift()
        if (id === undefined) return
        const queue = this.#queues.get(id) ?? []
        const message = queue.shift()
        if (message !== undefined) this.#take(message)
        if (queue.length > 0) this.#turns.push(id)
        else this.#queues.delete(id)
      } while (this.monotonicMs() < until)
      if (this.#turns.length > 0) this.#run()
    })
  }

  #take(message: PerSession): void {
    switch (message.type) {
      case 'open':
        this.#sessions.set(message.id, new SessionRecording(message, this))
        return
      case 'output':
        this.#output(message)
        return
      case 'screen': {
        const screen = this.#sessions.get(message.id)?.screen() ?? { columns: 0, rows: 0, data: '' }
        this.send({ type: 'screen', request: message.request, ...screen })
        return
      }
    }
    const session = this.#sessions.get(message.id)
    if (session === undefined) return
    switch (message.type) {
      case 'resize':
        session.resize(message.atMs, message.columns, message.rows)
        return
      case 'mark':
        session.mark(message.atMs, message.text)
        return
      case 'lost':
        session.lose(message.lost)
        return
      case 'stop':
        void session.stop()
        return
      case 'end': {
        const { id, atMs, ended, participants, interrupted, failure } = message
        const end = { ended, participants, interrupted, ...(failure === undefined ? {} : { failure }) }
        void session.end(atMs, end).finally(() => this.#sessions.delete(id))
        return
      }
    }
  }

  close(): void {
    this.#stop.abort()
    for (const session of this.#sessions.values()) void session.abandon()
  }

  monotonicMs(): number {
    return this.#options.env.monotonicMs()
  }

  send(message: FromWorker): void {
    this.#options.send(message)
  }

  done(id: number, bytes: number): void {
    if (bytes === 0) return
    this.#counts.set(id, (this.#counts.get(id) ?? 0) + bytes)
    this.#report()
  }

  later(ms: number, run: () => void): void {
    void this.#options.env.sleep(ms, this.#stop.signal).then(run, () => undefined)
  }

  withDisk<T>(run: () => Promise<T>): Promise<T> {
    return this.#disk.run(run)
  }

  #output(message: ToWorker & { readonly type: 'output' }): void {
    const { id, atMs, data, length, cut } = message
    const session = this.#sessions.get(id)
    if (session === undefined) this.done(id, length)
    else session.output(atMs, new Uint8Array(data, 0, length), cut)
    this.#buffers.push(data)
    this.#report()
  }

  /** One message for all that happens in a turn of the event loop. */
  #report(): void {
    if (this.#reporting) return
    this.#reporting = true
    setImmediate(() => {
      this.#reporting = false
      const counts = [...this.#counts]
      const buffers = this.#buffers
      this.#counts = new Map()
      this.#buffers = []
      this.#options.send({ type: 'done', counts, buffers }, buffers)
    })
  }

  async #tick(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted) {
      await this.#options.env.sleep(TICK_MS, signal).catch(() => undefined)
      for (const session of this.#sessions.values()) session.tick()
    }
  }
}
