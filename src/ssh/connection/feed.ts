/**
 * Hands received bytes to a Readable when it asks for them. Until then they wait in an InboundQueue, so that the stream's own
 * buffer (one object per push) stays short whatever the sizes of the packets are.
 */

import type { Readable } from 'node:stream'
import { InboundQueue } from './inbound.ts'

/** Takes what it can of the bytes and returns how many. Unless `owned`, the memory is valid during the call only. */
export interface ByteSink {
  take(data: Buffer, owned: boolean): number
  end(): void
}

export class Feed {
  readonly #readable: Readable
  readonly #queue = new InboundQueue()
  #wanted = false
  #ended = false
  #finished = false
  #sink: ByteSink | undefined

  constructor(readable: Readable) {
    this.#readable = readable
  }

  /** Bytes received and not yet consumed. */
  get held(): number {
    return this.#queue.bytes + this.#readable.readableLength
  }

  get ended(): boolean {
    return this.#ended
  }

  receive(data: Buffer): void {
    if (this.#readable.destroyed) return
    if (this.#sink !== undefined) {
      const taken = this.#queue.bytes > 0 ? 0 : this.#sink.take(data, false)
      if (taken < data.length) this.#queue.push(taken === 0 ? data : data.subarray(taken))
      return
    }
    if (this.#wanted && this.#queue.bytes === 0) {
      this.#wanted = false
      this.#readable.push(Buffer.from(data))
      return
    }
    this.#queue.push(data)
    if (this.#wanted) this.demand()
  }

  /** The stream's `_read`. */
  demand(): void {
    if (this.#sink !== undefined) return
    this.#wanted = true
    const block = this.#queue.shift()
    if (block !== undefined) {
      this.#wanted = false
      this.#readable.push(block)
    }
    this.#finish()
  }

  /** No more bytes will come. What is queued is still delivered. */
  end(): void {
    if (this.#ended) return
    this.#ended = true
    this.#finish()
  }

  /** From now on all bytes, and the end, go to the sink. The stream itself only ends. */
  redirect(sink: ByteSink): void {
    this.#sink = sink // first: from here `demand` moves nothing into the stream any more
    const early: Buffer[] = []
    for (;;) {
      const block: unknown = this.#readable.read()
      if (!Buffer.isBuffer(block)) break
      early.unshift(block)
    }
    for (const block of early) this.#queue.unshift(block)
    this.#readable.resume()
    this.flush()
  }

  /** Offers queued bytes to the sink again, after it refused some. */
  flush(): void {
    const sink = this.#sink
    if (sink === undefined) return
    for (;;) {
      const block = this.#queue.shift()
      if (block === undefined) break
      const taken = sink.take(block, true)
      if (taken < block.length) {
        this.#queue.unshift(block.subarray(taken))
        return
      }
    }
    this.#finish()
  }

  clear(): void {
    this.#queue.clear()
  }

  #finish(): void {
    if (!this.#ended || this.#finished || this.#queue.bytes > 0 || this.#readable.destroyed) return
    this.#finished = true
    this.#sink?.end()
    this.#readable.push(null)
  }
}
