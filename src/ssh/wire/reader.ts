/** Reads SSH data types (RFC 4251 section 5) from a buffer. Lengths are checked against what is there before anything is made. */

/** A message that is not what its definition says. The connection that sent it is closed. */
export class WireError extends Error {
  override readonly name = 'WireError'
}

export class WireReader {
  readonly #buffer: Buffer
  #offset: number

  constructor(buffer: Buffer, offset = 0) {
    this.#buffer = buffer
    this.#offset = offset
  }

  get remaining(): number {
    return this.#buffer.length - this.#offset
  }

  get offset(): number {
    return this.#offset
  }

  #take(size: number, what: string): number {
    const start = this.#offset
    if (size > this.#buffer.length - start) throw new WireError(`truncated ${what}`)
    this.#offset = start + size
    return start
  }

  byte(): number {
    return this.#buffer.readUInt8(this.#take(1, 'byte'))
  }

  boolean(): boolean {
    return this.byte() !== 0
  }

  uint32(): number {
    return this.#buffer.readUInt32BE(this.#take(4, 'uint32'))
  }

  uint64(): bigint {
    return this.#buffer.readBigUInt64BE(this.#take(8, 'uint64'))
  }

  /** `size` bytes as they stand, without a length. Shares memory with the message. */
  bytes(size: number): Buffer {
    const start = this.#take(size, 'bytes')
    return this.#buffer.subarray(start, start + size)
  }

  /** A `string` as bytes, at most `max` long. Shares memory with the message: copy it to keep it. */
  string(max = Number.MAX_SAFE_INTEGER): Buffer {
    const size = this.uint32()
    if (size > max) throw new WireError(`string of ${size} bytes, at most ${max} allowed`)
    return this.bytes(size)
  }

  /** A `string` that must be valid UTF-8. */
  text(max = 65_536): string {
    const bytes = this.string(max)
    try {
      return utf8.decode(bytes)
    } catch {
      throw new WireError('string is not valid UTF-8')
    }
  }

  /** A `string` of visible US-ASCII, as algorithm, request and channel type names are. */
  ascii(max = 1024): string {
    const bytes = this.string(max)
    for (const byte of bytes) if (byte < 0x20 || byte > 0x7e) throw new WireError('string is not US-ASCII')
    return bytes.toString('latin1')
  }

  /** RFC 4251 name-list: at most `max` names, none empty. */
  nameList(max = 512): string[] {
    const text = this.ascii(65_536)
    if (text === '') return []
    const names = text.split(',')
    if (names.length > max) throw new WireError(`name-list of ${names.length} names`)
    if (names.includes('')) throw new WireError('empty name in a name-list')
    return names
  }

  /**
   * A non-negative `mpint` as its magnitude, without leading zero bytes (zero: empty). Negative numbers and encodings that are
   * not the shortest are refused; at most `maxBits` bits.
   */
  mpint(maxBits = 16_384): Buffer {
    const bytes = this.string(maxBits / 8 + 1)
    const first = bytes[0]
    if (first === undefined) return bytes
    if (first >= 0x80) throw new WireError('negative mpint')
    if (first !== 0) return bytes
    const second = bytes[1]
    if (second === undefined || second < 0x80) throw new WireError('mpint with superfluous zero bytes')
    return bytes.subarray(1)
  }

  /** Everything that is left. */
  rest(): Buffer {
    return this.bytes(this.remaining)
  }

  /** Throws unless everything was read: trailing bytes are how parsers come to disagree. */
  end(): void {
    if (this.remaining !== 0) throw new WireError(`${this.remaining} trailing bytes`)
  }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
