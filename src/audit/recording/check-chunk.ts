/** Is a chunk what it says? Asked before anything of it is stored. */

import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { constants, zstdDecompress } from 'node:zlib'
import { BadParameter } from '../../errors/errors.ts'
import { MAX_CHUNK_BYTES, MAX_CHUNK_TEXT } from './limits.ts'
import type { Chunk } from './types.ts'
import { checkOneFrame } from './zstd-frame.ts'

/** Chunks of one recording; a second each, that is 115 days. */
export const MAX_CHUNKS = 9_999_999
/** Milliseconds: 300 years. */
const MAX_TIME = 9_999_999_999_999

const expand = promisify(zstdDecompress)

/** The text of a frame, expanded by another thread and never beyond the limit. `textBytes`: as much is expected. Throws BadParameter. */
export async function expandChunk(data: Buffer, textBytes: number): Promise<Buffer> {
  checkOneFrame(data)
  const params = { [constants.ZSTD_d_windowLogMax]: 23 }
  // In one piece: each costs a way to the other thread and back. One byte more, since a full buffer asks for another.
  const chunkSize = Math.max(64, Math.min(textBytes, MAX_CHUNK_TEXT) + 1)
  try {
    return await expand(data, { maxOutputLength: MAX_CHUNK_TEXT, chunkSize, params })
  } catch (error) {
    throw new BadParameter('data', `the chunk cannot be expanded to at most ${MAX_CHUNK_TEXT} bytes`, { cause: error })
  }
}

/** Throws BadParameter unless sizes, times, hash and text are as stated, and the text is whole lines of UTF-8. */
export async function checkChunk(chunk: Chunk): Promise<void> {
  const { index, fromMs, toMs, textBytes, data, sha256 } = chunk
  checkNumber('index', index, MAX_CHUNKS - 1)
  checkNumber('fromMs', fromMs, MAX_TIME)
  checkNumber('toMs', toMs, MAX_TIME)
  checkNumber('textBytes', textBytes, MAX_CHUNK_TEXT)
  if (toMs < fromMs) throw new BadParameter('toMs', 'the chunk ends before it begins')
  if (data.length > MAX_CHUNK_BYTES) {
    throw new BadParameter('data', `the chunk has ${data.length} bytes; at most ${MAX_CHUNK_BYTES} are allowed`)
  }
  if (createHash('sha256').update(data).digest('hex') !== sha256) {
    throw new BadParameter('sha256', 'the hash is not that of the chunk; it was changed on its way')
  }
  const text = await expandChunk(data, textBytes)
  if (text.length !== textBytes) {
    throw new BadParameter('textBytes', `the chunk has ${text.length} bytes of text, not ${textBytes}`)
  }
  if (text.at(-1) !== 0x0a) throw new BadParameter('data', 'the text of the chunk does not end with a line')
  if (!isUtf8(text)) throw new BadParameter('data', 'the text of the chunk is not UTF-8')
}

function checkNumber(name: string, value: number, max: number): void {
  if (Number.isSafeInteger(value) && value >= 0 && value <= max) return
  throw new BadParameter(name, `${name} must be a whole number from 0 to ${max}`)
}
