/** The queue in front of the packet writer: what waits for the end of a key exchange, and who waits for the socket. */

import type { PacketWriter } from './packet-writer.ts'
import type { Limits } from './types.ts'

export class Outbound {
  readonly #writer: PacketWriter
  readonly #limits: Limits
  #queue: Buffer[] = []
  #queueBytes = 0
  #waiters: (() => void)[] = []
  #closed = false

  constructor(writer: PacketWriter, limits: Limits) {
    this.#writer = writer
    this.#limits = limits
  }

  get belowMark(): boolean {
    return this.#writer.backlog + this.#queueBytes < this.#limits.highWaterMark
  }

  /** Writes, or queues while `blocked`, one message. False: the queue is longer than allowed. */
  send(parts: readonly Buffer[], blocked: boolean): boolean {
    if (!blocked) {
      this.#writer.packet(parts)
      return true
    }
    const copy = Buffer.concat(parts)
    this.#queue.push(copy)
    this.#queueBytes += copy.length
    return this.#queueBytes <= this.#limits.maxRekeyQueue
  }

  /** The key exchange is over for our direction: what waited goes out, with the new keys. */
  release(): void {
    const queue = this.#queue
    this.#queue = []
    this.#queueBytes = 0
    for (const payload of queue) this.#writer.packet([payload])
    this.wake()
  }

  drained(): Promise<void> {
    if (this.#closed || this.belowMark) return Promise.resolve()
    return new Promise((resolve) => this.#waiters.push(resolve))
  }

  wake(): void {
    if (this.#waiters.length === 0 || !(this.#closed || this.belowMark)) return
    const waiters = this.#waiters
    this.#waiters = []
    for (const wake of waiters) wake()
  }

  close(): void {
    this.#closed = true
    this.#queue = []
    this.wake()
  }
}
