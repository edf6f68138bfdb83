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

/** Of text. A single line more may follow, which stays far below `MAX_CHUNK_TEXT`. */
const CHUNK_TEXT = 256 * 1024

const zstdOptions = { params: { [constants.ZSTD_c_compressionLevel]: 1, [constants.ZSTD_c_checksumFlag]: 1 } }

export class ChunkBuilder {
  #lines: string[] = []
  #length = 0
  #outputBytes = 0
  #fromMs = 0
  #toMs: number
  #keyframe = false

  /** `toMs`: of the last line before. */
  constructor(toMs: number) {
    this.#toMs = toMs
  }

  get empty(): boolean {
    return this.#lines.length === 0
  }

  get full(): boolean {
    return this.#length >= CHUNK_TEXT
  }

  get outputBytes(): number {
    return this.#outputBytes
  }

  /** Time never goes back, whatever order things arrive in. */
  time(atMs: number): number {
    return Math.max(this.#toMs, Math.round(atMs))
  }

  header(header: RecordingHeader): void {
    this.#lines.push(castHeader(header))
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
    this.#lines.push(line)
    this.#length += line.length
    return line
  }

  count(outputBytes: number): void {
    this.#outputBytes += outputBytes
  }

  /** What was collected, and an empty builder. */
  close(): BuiltChunk {
    const text = Buffer.from(this.#lines.join(''))
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
    this.#lines = []
    this.#length = 0
    this.#outputBytes = 0
    return lost
  }
}
