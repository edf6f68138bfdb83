/** Chunks that came from the auth service, kept as they came, so that a jump back asks nobody. */

/** What a player needs of a chunk. */
export interface CachedChunk {
  readonly index: number
  readonly fromMs: number
  readonly toMs: number
  readonly textBytes: number
  readonly keyframe: boolean
  readonly data: Uint8Array
  /** What is wrong with it, if something is. */
  readonly damage?: string
}

/** Of compressed bytes: hours of an ordinary session. */
const maxBytes = 64 * 1024 * 1024

export class ChunkCache {
  readonly #chunks = new Map<number, CachedChunk>()
  readonly #limit: number
  #bytes = 0

  constructor(limit = maxBytes) {
    this.#limit = limit
  }

  get(index: number): CachedChunk | undefined {
    return this.#chunks.get(index)
  }

  has(index: number): boolean {
    return this.#chunks.has(index)
  }

  /** The first that is here after that one. */
  after(index: number): number | undefined {
    const later = [...this.#chunks.keys()].filter((each) => each > index)
    return later.length === 0 ? undefined : Math.min(...later)
  }

  /** Drops those that came first when there is too much, but none from `reading` on. */
  add(chunk: CachedChunk, reading: number): void {
    if (this.#chunks.has(chunk.index)) return
    this.#chunks.set(chunk.index, chunk)
    this.#bytes += chunk.data.length
    for (const old of this.#chunks.values()) {
      if (this.#bytes <= this.#limit) return
      if (old.index >= reading) continue
      this.#chunks.delete(old.index)
      this.#bytes -= old.data.length
    }
  }

  /** The chunk to begin with for a time, if it and all up to that time are here. */
  startFor(atMs: number): number | undefined {
    for (const candidate of this.#chunks.values()) {
      if (candidate.fromMs > atMs) continue
      const next = this.get(candidate.index + 1)
      // The chunk that covers the time: the one after it begins later.
      if (next !== undefined ? next.fromMs <= atMs : candidate.toMs < atMs) continue
      for (let start: CachedChunk | undefined = candidate; start !== undefined; start = this.get(start.index - 1)) {
        if (start.keyframe || start.index === 0) return start.index
      }
    }
    return undefined
  }
}
