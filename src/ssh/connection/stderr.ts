/** Extended data (RFC 4254 section 5.2) as streams of their own: standard error, out of a server and into a client. */

import { Readable, Writable } from 'node:stream'
import { ConnectionProblem } from '../../errors/errors.ts'
import { Feed } from './feed.ts'
import { OutboundWrite, type WriteDone } from './outbound.ts'

/** Larger than any chunk that pipes and sockets deliver, so that one chunk does not already count as congestion. */
export const writeHighWaterMark = 256 * 1024

export const ignoreError = (): void => {}

export const closedError = (): Error => new ConnectionProblem('the channel is closed')

/** Writable half of extended data. `pump` moves its pending write through the channel's window. */
export class StderrWriter extends Writable {
  readonly out = new OutboundWrite()
  /** `end` was called and everything before it is sent. */
  ending = false
  readonly #pump: () => void

  constructor(pump: () => void) {
    super({ highWaterMark: writeHighWaterMark })
    this.#pump = pump
    this.on('error', ignoreError)
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    this.out.load([chunk], done)
    this.#pump()
  }

  override _final(done: WriteDone): void {
    this.ending = true
    done()
    this.#pump()
  }

  override _destroy(error: Error | null, done: WriteDone): void {
    this.ending = true
    if (this.out.busy) this.out.finish(closedError())
    done(error)
  }
}

/** Readable half. `consumed` is called whenever window may be given back. */
export class StderrReader extends Readable {
  readonly feed: Feed
  readonly #consumed: () => void

  constructor(consumed: () => void) {
    super()
    this.feed = new Feed(this)
    this.#consumed = consumed
    this.on('error', ignoreError)
  }

  override read(size?: number): unknown {
    const data: unknown = super.read(size)
    if (data !== null) this.#consumed()
    return data
  }

  override _read(): void {
    this.feed.demand()
  }
}
