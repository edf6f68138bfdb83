/**
 * Bytes a channel received that its consumer has not taken yet. Small packets are copied together into growing blocks: a
 * peer that fills a 2 MiB window byte by byte must cost 2 MiB, not two million buffers.
 */

const smallestBlock = 1024
const largestBlock = 64 * 1024

export class InboundQueue {
  #full: Buffer[] = []
  #block: Buffer | undefined
  #used = 0
  #blockSize = smallestBlock
  #bytes = 0

  get bytes(): number {
    return this.#bytes
  }

  /** Copies: the data may share memory with the transport's read buffer. */
  push(data: Buffer): void {
    this.#bytes += data.length
    let offset = 0
    while (offset < data.length) {
      if (this.#block === undefined) this.#block = Buffer.allocUnsafeSlow(this.#nextBlockSize(data.length - offset))
      const copied = data.copy(this.#block, this.#used, offset)
      offset += copied
      this.#used += copied
      if (this.#used === this.#block.length) this.#seal()
    }
  }

  /** Puts back what was taken out too early. Does not copy. */
  unshift(data: Buffer): void {
    this.#full.unshift(data)
    this.#bytes += data.length
  }

  /** The next block, or undefined. The caller owns it. */
  shift(): Buffer | undefined {
    if (this.#full.length === 0) {
      if (this.#used === 0) return undefined
      this.#seal()
    }
    const block = this.#full.shift()
    if (block === undefined) return undefined
    this.#bytes -= block.length
    if (this.#bytes === 0) this.#blockSize = smallestBlock
    return block
  }

  clear(): void {
    this.#full = []
    this.#block = undefined
    this.#used = 0
    this.#bytes = 0
  }

  #nextBlockSize(needed: number): number {
    const size = Math.min(largestBlock, Math.max(this.#blockSize, needed))
    this.#blockSize = Math.min(largestBlock, size * 2)
    return size
  }

  #seal(): void {
    if (this.#block !== undefined && this.#used > 0) this.#full.push(this.#block.subarray(0, this.#used))
    this.#block = undefined
    this.#used = 0
  }
}
