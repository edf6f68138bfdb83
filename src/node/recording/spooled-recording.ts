/** One recording in the spool, as far as the node's own thread knows it: which files, what of them auth has. */

import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import type { Progress } from '../../audit/recording/store.ts'
import type { RecordingEnd, RecordingHeader } from '../../audit/recording/types.ts'
import { SystemError } from '../../errors/errors.ts'
import { errnoOf } from '../../errors/system.ts'
import type { SpoolPosition } from './messages.ts'
import { type Frame, readFrame, segmentFile, tailFile } from './spool-format.ts'

export interface Segment {
  readonly segment: number
  /** Of whole frames that are stored. */
  bytes: number
}

/** Frames whose bytes are not what they were. */
export class DamagedSpool extends SystemError {
  constructor(path: string) {
    super('EIO', `the recording in ${path} is damaged`)
  }
}

export class SpooledRecording {
  readonly header: RecordingHeader
  readonly dir: string
  readonly owner: string
  /** What the writer would write next. */
  position: SpoolPosition
  /** No more chunks will come. */
  finished = false
  /** An end for which the disk has no room. */
  endInMemory: RecordingEnd | undefined
  /** What auth has; undefined before it was asked. */
  progress: Progress | undefined
  /** Oldest first; the first is the one that is read. */
  #segments: Segment[]
  #offset = 0
  readonly #onBytes: (change: number) => void

  constructor(
    header: RecordingHeader,
    place: { readonly dir: string; readonly owner: string },
    position: SpoolPosition,
    onBytes: (change: number) => void,
    segments: readonly Segment[] = [],
  ) {
    this.header = header
    this.dir = place.dir
    this.owner = place.owner
    this.position = position
    this.#onBytes = onBytes
    this.#segments = [...segments]
    onBytes(this.bytes)
  }

  get sid(): string {
    return this.header.sid
  }

  /** On the disk. */
  get bytes(): number {
    return this.#segments.reduce((sum, { bytes }) => sum + bytes, 0)
  }

  /** On the disk, beyond what auth has. */
  get pendingBytes(): number {
    return Math.max(0, this.bytes - this.#offset)
  }

  get paths(): readonly string[] {
    return this.#segments.map(({ segment }) => this.#path(segment))
  }

  addSegment(segment: number, bytes: number): void {
    this.#segments.push({ segment, bytes })
    this.position = { ...this.position, segment: segment + 1 }
    this.#onBytes(bytes)
  }

  /** Of the newest file. */
  grown(bytes: number): void {
    const last = this.#segments.at(-1)
    if (last === undefined || last.bytes === bytes) return
    this.#onBytes(bytes - last.bytes)
    last.bytes = bytes
  }

  /** Reading begins again, as far back as files are left. */
  rewind(): void {
    this.#offset = 0
  }

  /**
   * Calls `take` with each chunk and with the end, in order, as far as they are stored. Resolves with true after the end. What
   * `take` throws stops it; the same frame comes first next time. Throws DamagedSpool.
   */
  async each(take: (frame: Frame & { readonly kind: 'chunk' | 'end' }) => Promise<void>): Promise<boolean> {
    for (;;) {
      const [segment, next] = this.#segments
      if (segment !== undefined && (await this.#readSegment(segment, take))) return true
      if (segment === undefined || next === undefined) break
      // All of it is at auth.
      await fs.rm(this.#path(segment.segment), { force: true })
      this.#segments.shift()
      this.#offset = 0
      this.#onBytes(-segment.bytes)
    }
    if (this.endInMemory === undefined) return false
    await take({ kind: 'end', ...this.endInMemory })
    return true
  }

  async remove(): Promise<void> {
    for (const path of this.paths) await fs.rm(path, { force: true })
    // Of a writer that did not come to it.
    await fs.rm(join(this.dir, tailFile({ sid: this.sid, owner: this.owner })), { force: true })
    this.forget()
  }

  /** The files are somewhere else now. */
  forget(): void {
    this.#onBytes(-this.bytes)
    this.#segments = []
    this.#offset = 0
  }

  async #readSegment(
    segment: Segment,
    take: (frame: Frame & { readonly kind: 'chunk' | 'end' }) => Promise<void>,
  ): Promise<boolean> {
    if (this.#offset >= segment.bytes) return false
    const path = this.#path(segment.segment)
    const file = await fs.open(path, constants.O_RDONLY | constants.O_NOFOLLOW).catch((error: unknown) => {
      throw errnoOf(error) === 'ENOENT' ? new DamagedSpool(path) : error
    })
    try {
      while (this.#offset < segment.bytes) {
        const read = await readFrame(file, this.#offset, segment.bytes)
        if (read === undefined) throw new DamagedSpool(path)
        const { frame, next } = read
        if (frame.kind === 'chunk' || frame.kind === 'end') await take(frame)
        this.#offset = next
        if (frame.kind === 'end') return true
      }
      return false
    } finally {
      await file.close()
    }
  }

  #path(segment: number): string {
    return join(this.dir, segmentFile({ sid: this.sid, segment, owner: this.owner }))
  }
}
