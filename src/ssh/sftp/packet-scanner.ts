/**
 * Follows one direction of an SFTP stream without holding it up: small packets are given whole, the content of READ and WRITE as it
 * comes, in the pieces in which it came. Never more than one small packet is kept.
 */

import { WireError } from '../wire/reader.ts'
import { maxHandle, maxPacket, packetType } from './constants.ts'

export interface ScannerEvents {
  /** A whole packet, type byte first; valid during the call. */
  packet(packet: Buffer): void
  /**
   * The beginning of a WRITE (id, handle, offset) or a DATA (id) with `length` bytes of content, which follow through `content`.
   * The fields are those of the packet up to its content.
   */
  contentStart(head: Buffer, length: number): void
  /** Valid during the call. */
  content(piece: Buffer): void
  contentEnd(): void
}

const lengthField = 4
const startSize = 512

export class PacketScanner {
  readonly #events: ScannerEvents
  #head = Buffer.allocUnsafeSlow(startSize)
  #filled = 0
  #contentLeft = 0
  /** Bytes behind the content that mean nothing. */
  #skipLeft = 0

  constructor(events: ScannerEvents) {
    this.#events = events
  }

  /** True between packets. */
  get isBetween(): boolean {
    return this.#filled === 0 && this.#contentLeft === 0 && this.#skipLeft === 0
  }

  /** Throws WireError for what is no SFTP packet; the scanner is of no use then. */
  push(chunk: Buffer): void {
    let at = 0
    while (at < chunk.length) {
      if (this.#contentLeft > 0) at += this.#takeContent(chunk, at)
      else if (this.#skipLeft > 0) {
        const size = Math.min(this.#skipLeft, chunk.length - at)
        this.#skipLeft -= size
        at += size
      } else at += this.#takeHead(chunk, at)
    }
  }

  #takeContent(chunk: Buffer, at: number): number {
    const size = Math.min(this.#contentLeft, chunk.length - at)
    this.#contentLeft -= size
    this.#events.content(chunk.subarray(at, at + size))
    if (this.#contentLeft === 0) this.#events.contentEnd()
    return size
  }

  #takeHead(chunk: Buffer, at: number): number {
    const needed = neededFor(this.#head, this.#filled)
    if (needed > this.#head.length) {
      const bigger = Buffer.allocUnsafeSlow(needed)
      this.#head.copy(bigger, 0, 0, this.#filled)
      this.#head = bigger
    }
    const size = chunk.copy(this.#head, this.#filled, at, at + needed - this.#filled)
    this.#filled += size
    // What is needed grows while more becomes known.
    if (this.#filled === needed && neededFor(this.#head, needed) === needed) this.#complete(needed)
    return size
  }

  #complete(size: number): void {
    const head = this.#head
    this.#filled = 0
    if (head.length > startSize) this.#head = Buffer.allocUnsafeSlow(startSize)
    const packet = head.subarray(lengthField, size)
    if (!hasContent(packet[0])) {
      this.#events.packet(packet)
      return
    }
    const length = packet.readUInt32BE(packet.length - 4)
    const behind = head.readUInt32BE(0) - packet.length - length
    if (behind < 0) throw new WireError('SFTP content is longer than its packet')
    this.#contentLeft = length
    this.#skipLeft = behind
    this.#events.contentStart(packet, length)
    if (length === 0) this.#events.contentEnd()
  }
}

const hasContent = (type: number | undefined): boolean => type === packetType.write || type === packetType.data

/** Bytes from the beginning of the length field that are needed to go on, as far as the first `filled` bytes tell. */
function neededFor(head: Buffer, filled: number): number {
  if (filled < lengthField + 1) return lengthField + 1
  const length = head.readUInt32BE(0)
  if (length === 0 || length > maxPacket) throw new WireError(`SFTP packet of ${length} bytes`)
  const type = head[lengthField]
  if (!hasContent(type)) return lengthField + length
  // Type, id, and the length of the handle (WRITE) or of the content (DATA).
  const first = lengthField + 9
  if (type === packetType.data) return within(first, length)
  if (filled < first) return within(first, length)
  const handle = head.readUInt32BE(first - 4)
  if (handle > maxHandle) throw new WireError(`SFTP handle of ${handle} bytes`)
  return within(first + handle + 12, length)
}

function within(needed: number, length: number): number {
  if (needed > lengthField + length) throw new WireError('truncated SFTP packet')
  return needed
}
