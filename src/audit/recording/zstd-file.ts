/**
 * A `.zst` file as text. A stored recording is one zstd frame after the other; when one of them is damaged, the others are still
 * read. Frames are found by their structure, RFC 8878 section 3.1, without expanding anything.
 */

import { LimitExceeded } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { damagedLine } from './cast-entry.ts'
import { expandFrame } from './read-cast.ts'

const magic = 0xfd2fb528
const magicBytes = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
/** Sixteen magic numbers of frames that carry no data, RFC 8878 section 3.1.2. */
const skippable = 0x184d2a50

export const isZstd = (head: Buffer): boolean =>
  head.length >= 4 && (head.readUInt32LE(0) === magic || (head.readUInt32LE(0) & 0xfffffff0) >>> 0 === skippable)

/** Where the frame that begins at `start` ends; undefined when there is none or it is cut. */
export function frameEnd(data: Buffer, start: number): number | undefined {
  if (start + 8 > data.length) return undefined
  const kind = data.readUInt32LE(start)
  if ((kind & 0xfffffff0) >>> 0 === skippable) {
    const end = start + 8 + data.readUInt32LE(start + 4)
    return end <= data.length ? end : undefined
  }
  if (kind !== magic) return undefined
  const descriptor = data.readUInt8(start + 4)
  const single = (descriptor & 0x20) !== 0
  const dictionary = [0, 1, 2, 4][descriptor & 3] ?? 0
  const sizeField = [single ? 1 : 0, 2, 4, 8][descriptor >> 6] ?? 0
  let at = start + 5 + (single ? 0 : 1) + dictionary + sizeField
  for (;;) {
    if (at + 3 > data.length) return undefined
    const block = data.readUIntLE(at, 3)
    const type = (block >> 1) & 3
    if (type === 3) return undefined
    // A block of one repeated byte has that byte alone.
    at += 3 + (type === 1 ? 1 : block >> 3)
    if ((block & 1) === 1) break
  }
  const end = at + ((descriptor & 4) === 0 ? 0 : 4)
  return end <= data.length ? end : undefined
}

/**
 * The text of all frames. Where a frame is damaged there is a line that is no entry of a recording and tells of it, so that a reader
 * shows it in its place. Throws LimitExceeded when there is more than `maxText` bytes of text.
 */
export function expandFile(data: Buffer, maxText: number): Buffer {
  const parts: Buffer[] = []
  let length = 0
  const add = (part: Buffer) => {
    length += part.length
    if (length > maxText) throw tooLong(maxText)
    parts.push(part)
  }
  let at = 0
  while (at < data.length) {
    const end = frameEnd(data, at)
    if (end !== undefined) {
      try {
        const frame = data.subarray(at, end)
        if (frame.readUInt32LE(0) === magic) add(expandFrame(frame, Math.max(1, maxText - length)))
        at = end
        continue
      } catch (error) {
        if (error instanceof LimitExceeded || /expands to more/.test(messageOf(error))) throw tooLong(maxText)
        add(Buffer.from(`\n${damagedLine}${messageOf(error)} (byte ${at} of the file)\n`))
      }
    } else {
      add(Buffer.from(`\n${damagedLine}a piece of the recording is cut or overwritten (byte ${at} of the file)\n`))
    }
    const next = data.indexOf(magicBytes, at + 1)
    if (next < 0) break
    at = next
  }
  return Buffer.concat(parts)
}

const tooLong = (maxText: number) =>
  new LimitExceeded(`the recording is longer than ${maxText} bytes; unpack it first (zstd -d FILE) and name the result`)
