/**
 * Lines of the chunk that is not closed yet, in a file of their own beside the spool: written without waiting for the disk, they
 * outlive the process, not the machine. Emptied when the chunk itself is in the spool.
 */

import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import type { OpenLines } from './chunk-builder.ts'
import { encodeFrame, readFrame } from './spool-format.ts'

const { O_APPEND, O_CREAT, O_NOFOLLOW, O_RDONLY, O_TRUNC, O_WRONLY } = constants

/** Bytes of lines that are taken from one file. Larger chunks are closed before they get there. */
const MAX_TEXT = 3 * 1024 * 1024

export class TailFile {
  readonly #path: string
  #file: fs.FileHandle | undefined
  #parts = 0
  /** Something could not be written: what follows it would have a gap. */
  #broken = false

  constructor(path: string) {
    this.#path = path
  }

  /** More lines of the chunk that will have that index. Never throws: without them, a crash loses a second instead of a moment. */
  async append(index: number, { text, ...lines }: OpenLines): Promise<void> {
    if (this.#broken) return
    try {
      this.#file ??= await fs.open(this.#path, O_WRONLY | O_APPEND | O_CREAT | O_TRUNC | O_NOFOLLOW, 0o600)
      const frame = encodeFrame({ kind: 'tail', index, part: this.#parts++, ...lines, data: text })
      const { bytesWritten } = await this.#file.write(frame)
      this.#broken = bytesWritten < frame.length
    } catch {
      this.#broken = true
    }
  }

  /** The chunk is in the spool. */
  async clear(): Promise<void> {
    if (this.#parts === 0 && !this.#broken) return
    this.#parts = 0
    this.#broken = await (this.#file?.truncate(0) ?? Promise.resolve()).then(
      () => false,
      () => true,
    )
  }

  /** `keep`: somebody else goes on from here. */
  async close(keep: boolean): Promise<void> {
    const file = this.#file
    this.#file = undefined
    this.#broken = true
    await file?.close().catch(() => undefined)
    if (file !== undefined && !keep) await fs.rm(this.#path, { force: true }).catch(() => undefined)
  }
}

/** The lines that an ended process collected for the chunk with that index. */
export async function readTail(path: string, index: number): Promise<OpenLines | undefined> {
  const file = await fs.open(path, O_RDONLY | O_NOFOLLOW)
  try {
    const texts: Buffer[] = []
    let length = 0
    let first: { readonly fromMs: number; readonly keyframe: boolean } | undefined
    let toMs = 0
    for (let offset = 0; length < MAX_TEXT; ) {
      const read = await readFrame(file, offset)
      if (read?.frame.kind !== 'tail') break
      offset = read.next
      const { frame } = read
      if (frame.index !== index || frame.part !== texts.length) continue
      first ??= frame
      toMs = frame.toMs
      texts.push(frame.data)
      length += frame.data.length
    }
    if (first === undefined) return undefined
    return { fromMs: first.fromMs, toMs, keyframe: first.keyframe, text: Buffer.concat(texts) }
  } finally {
    await file.close()
  }
}
