/** Two connected in-memory streams for tests, with an optional look at (or change of) what crosses. */

import { Duplex } from 'node:stream'

export interface PipeOptions {
  /** Sees each chunk from the first to the second end; what it returns is delivered. */
  readonly forward?: (chunk: Buffer) => Buffer
  /** The same from the second to the first. */
  readonly backward?: (chunk: Buffer) => Buffer
}

class End extends Duplex {
  peer: End | undefined
  transform: (chunk: Buffer) => Buffer = (chunk) => chunk
  #resume: (() => void) | undefined

  constructor() {
    super({ allowHalfOpen: true })
  }

  override _read(): void {
    const resume = this.#resume
    this.#resume = undefined
    resume?.()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: (error?: Error | null) => void): void {
    const peer = this.peer
    if (peer === undefined || peer.destroyed) {
      done()
      return
    }
    if (peer.push(this.transform(chunk))) done()
    else peer.#resume = done
  }

  override _final(done: () => void): void {
    this.peer?.push(null)
    done()
  }

  override _destroy(error: Error | null, done: (error?: Error | null) => void): void {
    const peer = this.peer
    if (peer !== undefined && !peer.readableEnded && !peer.destroyed) peer.push(null)
    done(error)
  }
}

export function duplexPipe(options: PipeOptions = {}): [Duplex, Duplex] {
  const [first, second] = [new End(), new End()]
  first.peer = second
  second.peer = first
  if (options.forward !== undefined) first.transform = options.forward
  if (options.backward !== undefined) second.transform = options.backward
  return [first, second]
}
