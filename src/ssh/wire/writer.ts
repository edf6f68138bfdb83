/** Writes SSH data types (RFC 4251 section 5). Grows as needed; `take` gives the bytes. */

export class WireWriter {
  #buffer: Buffer
  #length = 0

  constructor(sizeHint = 128) {
    this.#buffer = Buffer.allocUnsafe(sizeHint)
  }

  #reserve(size: number): number {
    const start = this.#length
    const needed = start + size
    if (needed > this.#buffer.length) {
      const bigger = Buffer.allocUnsafe(Math.max(needed, this.#buffer.length * 2))
      this.#buffer.copy(bigger, 0, 0, start)
      this.#buffer = bigger
    }
    this.#length = needed
    return start
  }

  byte(value: number): this {
    const at = this.#reserve(1)
    this.#buffer.writeUInt8(value, at)
    return this
  }

  boolean(value: boolean): this {
    return this.byte(value ? 1 : 0)
  }

  uint32(value: number): this {
    const at = this.#reserve(4)
    this.#buffer.writeUInt32BE(value, at)
    return this
  }

  uint64(value: bigint): this {
    const at = this.#reserve(8)
    this.#buffer.writeBigUInt64BE(value, at)
    return this
  }

  /** Bytes as they are, without a length. */
  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length)
    this.#buffer.set(value, at)
    return this
  }

  string(value: Uint8Array | string): this {
    if (typeof value === 'string') {
      const size = Buffer.byteLength(value)
      this.uint32(size)
      const at = this.#reserve(size)
      this.#buffer.write(value, at)
      return this
    }
    return this.uint32(value.length).bytes(value)
  }

  nameList(names: readonly string[]): this {
    return this.string(names.join(','))
  }

  /** A non-negative `mpint` from its magnitude, big-endian; leading zero bytes are dropped. */
  mpint(magnitude: Uint8Array): this {
    let start = 0
    while (start < magnitude.length && magnitude[start] === 0) start++
    const digits = magnitude.subarray(start)
    const first = digits[0]
    if (first !== undefined && first >= 0x80)
      return this.uint32(digits.length + 1)
        .byte(0)
        .bytes(digits)
    return this.string(digits)
  }

  /** The bytes written so far. The writer must not be used afterwards. */
  take(): Buffer {
    return this.#buffer.subarray(0, this.#length)
  }
}
