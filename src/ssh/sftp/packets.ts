/** Cuts a byte stream into SFTP packets: a length (uint32), then that many bytes. Bounded before anything is allocated. */

import { WireError } from '../wire/reader.ts'
import { maxPacket } from './constants.ts'

export class PacketSplitter {
  readonly #max: number
  readonly #header = Buffer.alloc(4)
  #headerFilled = 0
  #packet: Buffer | undefined
  #filled = 0

  /** `max`: bytes of a packet after its length field. */
  constructor(max = maxPacket) {
    this.#max = max
  }

  /** True in the middle of a packet: a stream that ends here was cut off. */
  get isPartial(): boolean {
    return this.#headerFilled > 0
  }

  /**
   * The packets that are complete now, type byte first, without the length. One that lies within the chunk shares its memory; one
   * that came in pieces is copied once. Throws WireError for lengths of 0 or beyond the limit; the splitter is of no use then.
   */
  *push(chunk: Buffer): Generator<Buffer> {
    let at = 0
    while (at < chunk.length) {
      if (this.#packet === undefined) {
        const size = this.#readSize(chunk, at)
        at += size.used
        if (size.length === undefined) return
        if (chunk.length - at >= size.length) {
          this.#headerFilled = 0
          const packet = chunk.subarray(at, at + size.length)
          at += size.length
          yield packet
          continue
        }
        this.#packet = Buffer.allocUnsafeSlow(size.length)
        this.#filled = 0
      }
      const packet = this.#packet
      const copied = chunk.copy(packet, this.#filled, at)
      at += copied
      this.#filled += copied
      if (this.#filled < packet.length) return
      this.#packet = undefined
      this.#headerFilled = 0
      yield packet
    }
  }

  #readSize(chunk: Buffer, at: number): { readonly used: number; readonly length: number | undefined } {
    const used = chunk.copy(this.#header, this.#headerFilled, at, at + 4 - this.#headerFilled)
    this.#headerFilled += used
    if (this.#headerFilled < 4) return { used, length: undefined }
    const length = this.#header.readUInt32BE(0)
    if (length === 0 || length > this.#max)
      throw new WireError(`SFTP packet of ${length} bytes, at most ${this.#max} allowed`)
    return { used, length }
  }
}
