/** Drives a connection's reading: one step after the other, until bytes are missing or something has to be waited for. */

import type { Duplex } from 'node:stream'
import { ConnectionProblem } from '../../errors/errors.ts'

export interface PumpHost {
  /** Handles the next piece. False: nothing complete is there. */
  step(): boolean
  /** Something of the connection's own forbids to read on. */
  blocked(): boolean
  fail(error: unknown): void
}

export class Pump {
  readonly #stream: Duplex
  readonly #host: PumpHost
  #closed = false
  #ended = false
  #paused = false
  /** Asynchronous steps under way: nothing is read meanwhile. */
  #holds = 0
  #running = false

  constructor(stream: Duplex, host: PumpHost) {
    this.#stream = stream
    this.#host = host
  }

  /** The peer sends nothing more. */
  get ended(): boolean {
    return this.#ended
  }

  run(): void {
    if (this.#running || this.#closed) return
    this.#running = true
    try {
      while (this.#mayRead() && this.#host.step()) {}
      if (this.#ended && this.#mayRead()) throw new ConnectionProblem('the other side closed the connection')
    } catch (error) {
      this.#host.fail(error)
    } finally {
      this.#running = false
    }
    if (this.#closed) return
    if (this.#mayRead()) this.#stream.resume()
    else this.#stream.pause()
  }

  pause(): void {
    this.#paused = true
    if (!this.#running) this.#stream.pause()
  }

  resume(): void {
    this.#paused = false
    this.run()
  }

  end(): void {
    this.#ended = true
    this.run()
  }

  /** Nothing more is read until the promise is settled; a rejection ends the connection. */
  hold(promise: Promise<void>): void {
    this.#holds++
    promise.then(
      () => {
        this.#holds--
        this.run()
      },
      (error: unknown) => this.#host.fail(error),
    )
  }

  /** The connection is over. */
  close(): void {
    this.#closed = true
  }

  #mayRead(): boolean {
    return !this.#closed && this.#holds === 0 && !this.#paused && !this.#host.blocked()
  }
}
