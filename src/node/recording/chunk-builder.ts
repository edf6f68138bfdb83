/** Collects the lines of a recording until they are a chunk. */

import { createHash } from 'node:crypto'
import { constants, zstdCompressSync } from 'node:zlib'
import type { Chunk, RecordingHeader } from '../../audit/recording/types.ts'
import { type CastCode, castHeader, castLine } from '../../audit/recording/write-cast.ts'

/** Without its index, which it gets when it is written: one that cannot be written leaves no gap in the count. */
export interface BuiltChunk extends Omit<Chunk, 'index'> {
  /** Bytes of output in it, as the program wrote them. */
  readonly outputBytes: number
}

/**
 * Bytes of text. A single line more may follow. That stays below `MAX_CHUNK_TEXT`, and below `MAX_CHUNK_BYTES` even when nothing of it
 * can be compressed: what becomes much longer as JSON is what can be.
 */
const CHUNK_TEXT = 768 * 1024
/** Bytes of a buffer that is kept for the next chunk. */
const KEPT_BUFFER = 64 * 1024

const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } }

/** Lines of a chunk that is not closed yet, for the case that it never will be. */
export interface OpenLines {
  readonly fromMs: number
  readonly toMs: number
  readonly keyframe: boolean
  /** Whole lines. */
  readonly text: Buffer
}

export class ChunkBuilder {
  #buffer = Buffer.alloc(0)
  #length = 0
  /** Bytes that `takeNew` has given away. */
  #taken = 0
  #outputBytes = 0
  #fromMs = 0
  #toMs: number
  #keyframe = false

  /** `toMs`: of the last line before. */
  constructor(toMs: number) {
    this.#toMs = toMs
  }

  get empty(): boolean {
    return this.#length === 0
  }

  get full(): boolean {
    return this.#length >= CHUNK_TEXT
  }

  get outputBytes(): number {
    return this.#outputBytes
  }

  /** Of text that `takeNew` would return. */
  get newBytes(): number {
    return this.#length - this.#taken
  }

  /** Time never goes back, whatever order things arrive in. */
  time(atMs: number): number {
    return Math.max(this.#toMs, Math.round(atMs))
  }

  header(header: RecordingHeader): void {
    this.#append(castHeader(header))
    this.#fromMs = this.#toMs
    // An empty screen needs no keyframe.
    this.#keyframe = true
  }

  /** Returns the line. */
  add(atMs: number, code: CastCode, data: string): string {
    const at = this.time(atMs)
    if (this.empty) {
      this.#fromMs = at
      this.#keyframe = code === 'k'
    }
    this.#toMs = at
    const line = castLine(at, code, data)
    this.#append(line)
    return line
  }

  /** Lines of another builder's, into an empty one. */
  restore({ fromMs, toMs, keyframe, text }: OpenLines): void {
    this.#fromMs = fromMs
    this.#toMs = this.time(toMs)
    this.#keyframe = keyframe
    this.#buffer = Buffer.from(text)
    this.#length = text.length
  }

  count(outputBytes: number): void {
    this.#outputBytes += outputBytes
  }

  /** The lines since the last call or the last chunk, as a copy. */
  takeNew(): OpenLines {
    const text = Buffer.from(this.#buffer.subarray(this.#taken, this.#length))
    this.#taken = this.#length
    return { fromMs: this.#fromMs, toMs: this.#toMs, keyframe: this.#keyframe, text }
  }

  /** What was collected, and an empty builder. */
  close(): BuiltChunk {
    const text = this.#buffer.subarray(0, this.#length)
    const data = zstdCompressSync(text, zstdOptions)
    const chunk: BuiltChunk = {
      fromMs: this.#fromMs,
      toMs: this.#toMs,
      textBytes: text.length,
      keyframe: this.#keyframe,
      sha256: createHash('sha256').update(data).digest('hex'),
      data,
      outputBytes: this.#outputBytes,
    }
    this.discard()
    return chunk
  }

  /** Forgets what was collected. Returns the bytes of output in it. */
  discard(): number {
    const lost = this.#outputBytes
    // In a flood the next chunk will be as long; otherwise a session keeps little.
    if (this.#buffer.length > KEPT_BUFFER && !this.full) this.#buffer = Buffer.alloc(0)
    this.#length = 0
    this.#taken = 0
    this.#outputBytes = 0
    return lost
  }

  /** Straight into bytes: text that is joined first is copied twice more. */
  #append(line: string): void {
    // A UTF-16 unit has at most three bytes.
    const most = this.#length + 3 * line.length
    if (most > this.#buffer.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(most, 2 * this.#buffer.length, 4096))
      this.#buffer.copy(larger, 0, 0, this.#length)
      this.#buffer = larger
    }
    this.#length += this.#buffer.write(line, this.#length, 'utf8')
  }
}
