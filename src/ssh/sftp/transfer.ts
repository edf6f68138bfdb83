/**
 * What crossed of one open file in one direction: how many bytes, and their SHA-256 if they were one run from the first to the last.
 * Clients have many requests outstanding, so pieces that come early wait within a bounded window.
 */

import { createHash, type Hash } from 'node:crypto'

/** Bytes that wait for what comes before them, for each file. */
const windowSize = 4 * 1024 * 1024

export class Transfer {
  /** Bytes that crossed, repeated ones included. */
  bytes = 0
  /** Something was asked for, if only zero bytes. */
  used = false
  /** End of the run from 0. */
  #end = 0n
  #spoiled = false
  /** Made when the first byte comes: most files are used in one direction. */
  #lazyHash: Hash | undefined
  readonly #early = new Map<bigint, Buffer>()
  #earlyBytes = 0
  #current: { readonly offset: bigint; readonly copy: Buffer | undefined; filled: number } | undefined

  /** End of the run from 0 as far as it is known; undefined when there is no such run. */
  get end(): bigint | undefined {
    return this.#spoiled || this.#early.size > 0 ? undefined : this.#end
  }

  get #hash(): Hash {
    this.#lazyHash ??= createHash('sha256')
    return this.#lazyHash
  }

  /** A piece of `length` bytes begins; its content follows through `piece`. */
  begin(offset: bigint, length: number): void {
    this.used = true
    this.bytes += length
    if (this.#spoiled || length === 0) {
      this.#current = undefined
      return
    }
    const early = offset !== this.#end
    // What was there before, or too far ahead: then it is no single run.
    if (early && (offset < this.#end || this.#earlyBytes + length > windowSize || this.#early.has(offset))) {
      this.spoil()
      return
    }
    if (early) this.#earlyBytes += length
    this.#current = { offset, copy: early ? Buffer.allocUnsafeSlow(length) : undefined, filled: 0 }
  }

  piece(content: Buffer): void {
    const current = this.#current
    if (current === undefined) return
    if (current.copy === undefined) this.#hash.update(content)
    else content.copy(current.copy, current.filled)
    current.filled += content.length
  }

  finishPiece(): void {
    const current = this.#current
    this.#current = undefined
    if (current === undefined) return
    if (current.copy !== undefined) {
      this.#early.set(current.offset, current.copy)
      return
    }
    this.#end += BigInt(current.filled)
    for (let next = this.#early.get(this.#end); next !== undefined; next = this.#early.get(this.#end)) {
      this.#early.delete(this.#end)
      this.#earlyBytes -= next.length
      this.#hash.update(next)
      this.#end += BigInt(next.length)
    }
  }

  /** Bytes crossed of which it is not known what they were, or what they became. */
  spoil(bytes = 0): void {
    this.used = true
    this.bytes += bytes
    this.#spoiled = true
    this.#lazyHash = undefined
    this.#early.clear()
    this.#earlyBytes = 0
    this.#current = undefined
  }

  /** Hex; undefined when there was no single run. The transfer is over then. */
  digest(): string | undefined {
    if (this.end === undefined) return undefined
    const digest = this.#hash.digest('hex')
    this.spoil()
    return digest
  }
}
