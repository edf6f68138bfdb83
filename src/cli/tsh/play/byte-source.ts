/** Bytes of a recording in a file: read in place when it is plain text, expanded in memory when it is compressed. */

import { type FileHandle, open } from 'node:fs/promises'
import { readAt } from '../../../audit/recording/disk.ts'
import { expandFile, isZstd } from '../../../audit/recording/zstd-file.ts'
import { BadParameter, LimitExceeded } from '../../../errors/errors.ts'
import { convertSystemError } from '../../../errors/system.ts'

export interface ByteSource {
  readonly size: number
  /** At most `length` bytes; fewer at the end. */
  read(offset: number, length: number): Promise<Buffer>
  close(): Promise<void>
}

/** Of compressed bytes, and of text after that. */
const maxPacked = 256 * 1024 * 1024
const maxUnpacked = 512 * 1024 * 1024

/** Throws NotFound, AccessDenied, BadParameter when it is no regular file, LimitExceeded for a compressed file that is too large. */
export async function openBytes(path: string): Promise<ByteSource> {
  try {
    const file = await open(path, 'r')
    try {
      const stat = await file.stat()
      if (!stat.isFile()) throw new BadParameter('file', `${path} is not a regular file`)
      const head = await readAt(file, 0, 4)
      if (!isZstd(head)) return plain(file, stat.size)
      if (stat.size > maxPacked)
        throw new LimitExceeded(
          `${path} is larger than ${maxPacked} bytes; unpack it first (zstd -d) and name the result`,
        )
      const source = inMemory(expandFile(await readAt(file, 0, stat.size), maxUnpacked))
      await file.close()
      return source
    } catch (error) {
      await file.close()
      throw error
    }
  } catch (error) {
    throw convertSystemError(error, `read ${path}`)
  }
}

const plain = (file: FileHandle, size: number): ByteSource => ({
  size,
  read: (offset, length) => readAt(file, offset, length),
  close: () => file.close(),
})

export const inMemory = (data: Buffer): ByteSource => ({
  size: data.length,
  read: async (offset, length) => data.subarray(offset, offset + length),
  close: async () => undefined,
})

/** A line and where it stands. */
export interface Line {
  readonly text: Buffer
  /** Of its first byte, and of the line after it. */
  readonly offset: number
  readonly next: number
}

const pieceBytes = 256 * 1024

/** Lines from a place on, without line feeds. One longer than `maxBytes` comes cut to nothing but its first bytes. */
export async function* linesFrom(source: ByteSource, start: number, maxBytes: number): AsyncGenerator<Line[]> {
  let rest: Buffer = Buffer.alloc(0)
  let restAt = start
  let position = start
  let skipping = false
  while (position < source.size) {
    const piece = await source.read(position, pieceBytes)
    if (piece.length === 0) break
    position += piece.length
    const data: Buffer = rest.length === 0 ? piece : Buffer.concat([rest, piece])
    const lines: Line[] = []
    let from = 0
    for (let end = data.indexOf(0x0a); end >= 0; end = data.indexOf(0x0a, from)) {
      if (!skipping) lines.push({ text: data.subarray(from, end), offset: restAt + from, next: restAt + end + 1 })
      skipping = false
      from = end + 1
    }
    rest = data.subarray(from)
    restAt += from
    if (rest.length > maxBytes) {
      if (!skipping) lines.push({ text: rest.subarray(0, 64), offset: restAt, next: position })
      skipping = true
      restAt = position
      rest = Buffer.alloc(0)
    }
    if (lines.length > 0) yield lines
  }
  if (rest.length > 0 && !skipping) yield [{ text: rest, offset: restAt, next: position }]
}
