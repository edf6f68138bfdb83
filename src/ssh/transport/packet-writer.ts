/**
 * The way out: frames and seals packets, collects those of one turn of the event loop and writes them at once. Payload bytes
 * are copied once, into the scratch buffer the cipher reads from.
 */

import type { Duplex } from 'node:stream'
import { plainSealer, type Sealer } from './ciphers.ts'

/** Shared by all connections of the process: sealing is synchronous, and its output is always fresh memory. */
let scratch = Buffer.allocUnsafeSlow(64 * 1024)

const MIN_PADDING = 4
/** Bodies up to this size are copied into a shared block, bytes: cheaper than an entry of its own in the system call. */
const COPY_LIMIT = 4096
/** Large bodies collected in one turn that make it a stream of data. */
const BULK_PARTS = 2
const BLOCK_SIZE = 16 * 1024

/**
 * Where all connections of the process collect small bytes, one after the other: memory of their own for each packet is what
 * thousands of quiet connections would pay most for. What a connection adds in a row lies together.
 */
let block = Buffer.allocUnsafeSlow(BLOCK_SIZE)
let blockEnd = 0

export class PacketWriter {
  readonly #stream: Duplex
  readonly #flushed: () => void
  #sealer: Sealer = plainSealer
  #sequence = 0
  #pending: Buffer[] = []
  /** The block that the open run of small bytes is in. */
  #run: Buffer | undefined
  #runStart = 0
  #runEnd = 0
  #scheduled = false
  /** Bytes made but not yet taken by the operating system. */
  backlog = 0
  bytesTotal = 0
  bytesWithKey = 0
  packetsWithKey = 0

  constructor(stream: Duplex, flushed: () => void) {
    this.#stream = stream
    this.#flushed = flushed
  }

  /** Writes bytes as they are, for the version line. */
  raw(bytes: Buffer): void {
    this.#append(bytes)
  }

  /** New keys for what comes next. With strict kex the sequence number starts again, so that nothing sent before can be cut off unnoticed. */
  rekeyed(sealer: Sealer, resetSequence: boolean): void {
    this.#sealer = sealer
    this.bytesWithKey = 0
    this.packetsWithKey = 0
    if (resetSequence) this.#sequence = 0
  }

  packet(parts: readonly Buffer[]): void {
    let size = 0
    for (const part of parts) size += part.length
    const { blockSize, alignedHeader } = this.#sealer
    const unpadded = alignedHeader + 1 + size + MIN_PADDING
    const padding = MIN_PADDING + ((blockSize - (unpadded % blockSize)) % blockSize)
    const total = 5 + size + padding
    if (total > scratch.length) scratch = Buffer.allocUnsafeSlow(total * 2)
    scratch.writeUInt32BE(total - 4, 0)
    scratch[4] = padding
    let at = 5
    for (const part of parts) {
      scratch.set(part, at)
      at += part.length
    }
    // Zeros instead of random bytes: every cipher here hides equal plaintexts, and what stood in the buffer must not leave.
    scratch.fill(0, at, total)
    const { header, body, tag } = this.#sealer.seal(scratch.subarray(0, total), this.#sequence)
    this.#sequence = (this.#sequence + 1) >>> 0
    this.packetsWithKey++
    this.#append(header)
    if (body.length <= COPY_LIMIT) this.#append(body)
    else this.#reference(body)
    if (tag.length > 0) this.#append(tag)
  }

  #count(size: number): void {
    this.backlog += size
    this.bytesTotal += size
    this.bytesWithKey += size
    if (this.#scheduled) return
    this.#scheduled = true
    process.nextTick(() => this.#flushSoon())
  }

  /** What answers leaves at once. A stream of data waits until the sources that are ready now have been read: fewer, larger system calls. */
  #flushSoon(): void {
    if (this.#pending.length > BULK_PARTS) setImmediate(() => this.flush())
    else this.flush()
  }

  #append(bytes: Buffer): void {
    const { length } = bytes
    const fits = block.length - blockEnd >= length
    if (!fits || this.#run !== block || this.#runEnd !== blockEnd) {
      this.#closeRun()
      if (!fits) {
        block = Buffer.allocUnsafeSlow(Math.max(BLOCK_SIZE, length))
        blockEnd = 0
      }
      this.#run = block
      this.#runStart = blockEnd
    }
    block.set(bytes, blockEnd)
    blockEnd += length
    this.#runEnd = blockEnd
    this.#count(length)
  }

  #reference(bytes: Buffer): void {
    this.#closeRun()
    this.#pending.push(bytes)
    this.#count(bytes.length)
  }

  #closeRun(): void {
    if (this.#run === undefined) return
    this.#pending.push(this.#run.subarray(this.#runStart, this.#runEnd))
    this.#run = undefined
  }

  /** Hands everything collected to the stream, in one system call where the stream can. */
  flush(): void {
    this.#scheduled = false
    this.#closeRun()
    const pending = this.#pending
    const last = pending.pop()
    if (last === undefined) return
    this.#pending = []
    let size = last.length
    for (const bytes of pending) size += bytes.length
    const stream = this.#stream
    const done = (): void => {
      this.backlog -= size
      this.#flushed()
    }
    if (stream.destroyed || stream.writableEnded) {
      this.backlog -= size
      return
    }
    stream.cork()
    for (const bytes of pending) stream.write(bytes)
    stream.write(last, done)
    stream.uncork()
  }
}
