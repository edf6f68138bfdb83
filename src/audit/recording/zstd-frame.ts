/**
 * Walks over a zstd frame without expanding it: is this exactly one frame, and what would it take to read it? Decoders happily read
 * several frames one after the other, and set up whatever window a frame asks for. Source: RFC 8878, section 3.1.1.
 */

import { BadParameter } from '../../errors/errors.ts'
import { MAX_CHUNK_TEXT, MAX_CHUNK_WINDOW } from './limits.ts'

const MAGIC = 0xfd2fb528
const DICTIONARY_BYTES = [0, 1, 2, 4]
const SIZE_BYTES = [0, 2, 4, 8]
const RLE = 1
const RESERVED = 3

/** Throws BadParameter when it is not one whole frame with a window and a stated content within the limits. */
export function checkOneFrame(data: Buffer): void {
  const need = (end: number) => {
    if (end > data.length) throw bad('the frame is cut off')
  }
  need(9)
  if (data.readUInt32LE(0) !== MAGIC) throw bad('it does not begin as a zstd frame does')
  const descriptor = data.readUInt8(4)
  if ((descriptor & 0x08) !== 0) throw bad('a reserved bit is set')
  const single = (descriptor & 0x20) !== 0
  let at = 5
  if (!single) checkWindow(data.readUInt8(at++))
  const dictionary = DICTIONARY_BYTES[descriptor & 3] ?? 0
  need(at + dictionary)
  if (dictionary > 0 && data.readUIntLE(at, dictionary) !== 0) throw bad('it needs a dictionary')
  at += dictionary
  const flag = descriptor >> 6
  const sizeBytes = flag === 0 && single ? 1 : (SIZE_BYTES[flag] ?? 0)
  need(at + sizeBytes)
  if (sizeBytes > 0) checkContent(data, at, sizeBytes)
  at += sizeBytes
  for (let last = false; !last; ) {
    need(at + 3)
    const block = data.readUIntLE(at, 3)
    last = (block & 1) === 1
    const type = (block >> 1) & 3
    if (type === RESERVED) throw bad('a block has a reserved type')
    at += 3 + (type === RLE ? 1 : block >> 3)
    need(at)
  }
  if ((descriptor & 0x04) !== 0) at += 4
  need(at)
  if (at !== data.length) throw bad('something follows the frame')
}

function checkWindow(byte: number): void {
  const base = 2 ** (10 + (byte >> 3))
  if (base + (base / 8) * (byte & 7) > MAX_CHUNK_WINDOW) throw bad('its window is too large')
}

function checkContent(data: Buffer, at: number, bytes: number): void {
  const content = bytes === 8 ? Number(data.readBigUInt64LE(at)) : data.readUIntLE(at, bytes) + (bytes === 2 ? 256 : 0)
  if (content > MAX_CHUNK_TEXT) throw bad(`its text is longer than ${MAX_CHUNK_TEXT} bytes`)
}

const bad = (reason: string) => new BadParameter('data', `the chunk is not one zstd frame: ${reason}`)
