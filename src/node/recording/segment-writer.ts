/** Appends frames to the spool files of one recording; what was not written whole is cut off again. */

import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import type { RecordingHeader } from '../../audit/recording/types.ts'
import { syncDirectory } from '../../common/files.ts'
import { errnoOf } from '../../errors/system.ts'
import type { SpoolPosition } from './messages.ts'
import { encodeFrame, segmentFile } from './spool-format.ts'

const { O_APPEND, O_CREAT, O_EXCL, O_NOFOLLOW, O_WRONLY } = constants

export interface SegmentWriterOptions {
  readonly dir: string
  readonly owner: string
  readonly header: RecordingHeader
  readonly durable: boolean
  /** Of the first file. */
  readonly segment: number
  /** Bytes after which the next file begins. */
  readonly segmentBytes: number
  onSegment(segment: number, bytes: number): void
}

export class SegmentWriter {
  readonly #options: SegmentWriterOptions
  #file: fs.FileHandle | undefined
  /** Of the file, or of the next when there is none. */
  #segment: number
  #bytes = 0

  constructor(options: SegmentWriterOptions) {
    this.#options = options
    this.#segment = options.segment
  }

  get segment(): number {
    return this.#file === undefined ? this.#segment : this.#segment + 1
  }

  /** Of the present file. */
  get bytes(): number {
    return this.#bytes
  }

  /** `at`: what the first of the frames is, for a new file. Throws what the file system says; then nothing was added. */
  async append(frames: Buffer, at: Omit<SpoolPosition, 'segment'>): Promise<void> {
    if (this.#file !== undefined && this.#bytes >= this.#options.segmentBytes) await this.#finishSegment()
    const file = this.#file ?? (await this.#open(at))
    try {
      await writeAll(file, frames)
      if (this.#options.durable) await file.datasync()
      this.#bytes += frames.length
    } catch (error) {
      // After a failed fsync nobody knows what is on the disk: the next attempt gets a new file.
      await file.truncate(this.#bytes).catch(() => undefined)
      await this.#finishSegment().catch(() => undefined)
      throw error
    }
  }

  async close(): Promise<void> {
    if (this.#file !== undefined) await this.#finishSegment()
  }

  async #open(at: Omit<SpoolPosition, 'segment'>): Promise<fs.FileHandle> {
    const { dir, owner, header, durable } = this.#options
    const path = join(dir, segmentFile({ sid: header.sid, segment: this.#segment, owner }))
    const file = await fs
      .open(path, O_WRONLY | O_APPEND | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
      .catch((error: unknown) => {
        if (errnoOf(error) === 'EEXIST') this.#segment++
        throw error
      })
    try {
      const { index, chain, toMs } = at
      const begin = encodeFrame({ kind: 'begin', header, segment: this.#segment, index, chain, toMs })
      await writeAll(file, begin)
      if (durable) {
        await file.datasync()
        await syncDirectory(dir)
      }
      this.#bytes = begin.length
    } catch (error) {
      await file.close().catch(() => undefined)
      await fs.rm(path, { force: true }).catch(() => undefined)
      throw error
    }
    this.#file = file
    this.#options.onSegment(this.#segment, this.#bytes)
    return file
  }

  async #finishSegment(): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.#segment++
    await file?.close()
  }
}

async function writeAll(file: fs.FileHandle, data: Buffer): Promise<void> {
  let written = 0
  while (written < data.length) {
    const { bytesWritten } = await file.write(data, written, data.length - written)
    written += bytesWritten
  }
}
