/** From those who type to the program: bytes of several people, in the order in which they come. */

import type { Writable } from 'node:stream'
import type { Channel } from '../../ssh/connection/types.ts'

export class SessionInput {
  #stdin: Writable | undefined
  readonly #waiting = new Set<Channel>()
  /** Bytes that were typed. */
  bytes = 0

  start(stdin: Writable): void {
    this.#stdin = stdin
    const goOn = (): void => {
      for (const channel of this.#waiting) channel.resume()
      this.#waiting.clear()
    }
    stdin.on('drain', goOn)
    // A program that closed its input: what is typed goes nowhere, but must not block the channels.
    stdin.on('close', goOn)
  }

  /** A program that does not read stops the channel the bytes came from. */
  type(channel: Channel, data: Buffer): void {
    const stdin = this.#stdin
    if (stdin === undefined || stdin.destroyed || stdin.writableEnded) return
    this.bytes += data.length
    if (stdin.write(data)) return
    channel.pause()
    this.#waiting.add(channel)
  }

  forget(channel: Channel): void {
    this.#waiting.delete(channel)
  }
}
