/**
 * The way in: finds the packets in the received chunks, whatever their sizes, and opens them. A packet that lies in one chunk
 * is not copied; one that is spread over several is put together once, so that tiny chunks cost no more than their bytes.
 */

import { type Opener, plainOpener } from './ciphers.ts'
import { DisconnectReason } from './messages.ts'
import { ProtocolProblem } from './problem.ts'

const HEADER = 4
const MIN_PADDING = 4

/** Buffers for packets under assembly, shared by all connections: only partial packets hold one, and opening frees it. */
const spare: Buffer[] = []
const SPARE_SIZE = 40 * 1024
const MAX_SPARE = 16

export class PacketReader {
  #opener: Opener = plainOpener
  #sequence = 0
  readonly #chunks: Buffer[] = []
  /** Position in the first chunk. */
  #offset = 0
  readonly #header = Buffer.alloc(HEADER)
  #headerFilled = 0
  /** Size of the packet being received, header and tag included; 0 until its header is known. */
  #size = 0
  #assembly: Buffer | undefined
  #assembled = 0
  /** Largest packet length accepted now, bytes. */
  maxPacket: number
  /** Sequence number of the packet returned last. */
  lastSequence = 0
  bytesTotal = 0
  bytesWithKey = 0
  packetsWithKey = 0

  constructor(maxPacket: number) {
    this.maxPacket = maxPacket
  }

  /** True in the middle of a packet. */
  get partial(): boolean {
    return this.#headerFilled > 0 || this.#size > 0 || this.#chunks.length > 0
  }

  rekeyed(opener: Opener, resetSequence: boolean): void {
    this.#opener = opener
    this.bytesWithKey = 0
    this.packetsWithKey = 0
    if (resetSequence) this.#sequence = 0
  }

  push(chunk: Buffer): void {
    if (chunk.length === 0) return
    this.bytesTotal += chunk.length
    this.#chunks.push(chunk)
  }

  /** The next payload, or undefined when more bytes are needed. Throws ProtocolProblem. */
  next(): Buffer | undefined {
    if (this.#size === 0 && !this.#readHeader()) return undefined
    const packet = this.#readPacket()
    if (packet === undefined) return undefined
    const sequence = this.#sequence
    const body = this.#opener.open(packet, sequence)
    this.#recycle()
    this.lastSequence = sequence
    this.#sequence = (sequence + 1) >>> 0
    this.packetsWithKey++
    this.bytesWithKey += packet.length
    const padding = body[0] ?? 0
    const end = body.length - padding
    if (padding < MIN_PADDING || end < 2) malformed('impossible padding')
    return body.subarray(1, end)
  }

  #readHeader(): boolean {
    const first = this.#chunks[0]
    if (first === undefined) return false
    if (this.#headerFilled === 0 && first.length - this.#offset >= HEADER) {
      this.#setSize(first.subarray(this.#offset, this.#offset + HEADER))
      return true
    }
    this.#headerFilled = this.#drainInto(this.#header, this.#headerFilled, HEADER)
    if (this.#headerFilled < HEADER) return false
    this.#setSize(this.#header)
    this.#startAssembly()
    return true
  }

  #setSize(header: Buffer): void {
    const { blockSize, alignedHeader, tagSize } = this.#opener
    const length = this.#opener.length(header, this.#sequence)
    if (length > this.maxPacket) malformed(`packet of ${length} bytes, at most ${this.maxPacket} allowed`)
    if (length < blockSize - alignedHeader || (length + alignedHeader) % blockSize !== 0) {
      malformed(`packet length ${length} does not fit the cipher`)
    }
    this.#size = HEADER + length + tagSize
  }

  #startAssembly(): Buffer {
    const assembly =
      (this.#size <= SPARE_SIZE ? spare.pop() : undefined) ?? Buffer.allocUnsafeSlow(Math.max(this.#size, SPARE_SIZE))
    assembly.set(this.#header.subarray(0, this.#headerFilled))
    this.#assembled = this.#headerFilled
    this.#headerFilled = 0
    this.#assembly = assembly
    return assembly
  }

  #readPacket(): Buffer | undefined {
    let assembly = this.#assembly
    if (assembly === undefined) {
      const first = this.#chunks[0]
      const end = this.#offset + this.#size
      if (first !== undefined && first.length >= end) {
        const packet = first.subarray(this.#offset, end)
        this.#advance(first, end)
        this.#size = 0
        return packet
      }
      assembly = this.#startAssembly()
    }
    this.#assembled = this.#drainInto(assembly, this.#assembled, this.#size)
    if (this.#assembled < this.#size) return undefined
    const packet = assembly.subarray(0, this.#size)
    this.#size = 0
    return packet
  }

  /** The packet was opened: openers give fresh memory, so its buffer is free. */
  #recycle(): void {
    const assembly = this.#assembly
    if (assembly === undefined) return
    this.#assembly = undefined
    if (assembly.length === SPARE_SIZE && spare.length < MAX_SPARE) spare.push(assembly)
  }

  #advance(first: Buffer, offset: number): void {
    if (offset < first.length) {
      this.#offset = offset
      return
    }
    this.#offset = 0
    this.#chunks.shift()
  }

  /** Moves bytes from the chunks to `target`, up to position `end`; returns the position reached. */
  #drainInto(target: Buffer, position: number, end: number): number {
    let at = position
    for (let first = this.#chunks[0]; first !== undefined && at < end; first = this.#chunks[0]) {
      const stop = Math.min(first.length, this.#offset + end - at)
      target.set(first.subarray(this.#offset, stop), at)
      at += stop - this.#offset
      this.#advance(first, stop)
    }
    return at
  }
}

function malformed(what: string): never {
  throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, `malformed packet: ${what}`)
}
