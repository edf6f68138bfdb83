/** Recordings as bytes: expands what is compressed, never beyond a limit. `cast-entry.ts` reads the text. */

import { zstdDecompressSync } from 'node:zlib'
import { BadParameter } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { type CastEntry, entriesOf } from './cast-entry.ts'
import { MAX_CHUNK_TEXT } from './limits.ts'

/**
 * The text of one zstd frame, or of several one after the other. Throws BadParameter when it is none, is cut, or has more than
 * `maxText` bytes; it is never expanded beyond that.
 */
export function expandFrame(data: Uint8Array, maxText = MAX_CHUNK_TEXT): Buffer {
  try {
    return zstdDecompressSync(data, { maxOutputLength: maxText })
  } catch (error) {
    const tooLarge = error instanceof Error && 'code' in error && error.code === 'ERR_BUFFER_TOO_LARGE'
    const why = tooLarge ? `expands to more than ${maxText} bytes` : `is damaged: ${messageOf(error)}`
    throw new BadParameter('recording', `a piece of the recording ${why}`, { cause: error })
  }
}

/** The entries of one chunk of a recording. A chunk that cannot be expanded is one entry of damage. */
export function* readChunk(data: Uint8Array, fromMs: number): Generator<CastEntry> {
  let text: Buffer
  try {
    text = expandFrame(data)
  } catch (error) {
    yield { type: 'damage', atMs: fromMs, text: messageOf(error) }
    return
  }
  yield* entriesOf(linesOf(text), fromMs)
}

/** Lines of UTF-8 text without their line feeds; bytes that are none become U+FFFD. */
export function* linesOf(text: Buffer): Generator<string> {
  let start = 0
  while (start < text.length) {
    const end = text.indexOf(0x0a, start)
    const stop = end < 0 ? text.length : end
    yield text.toString('utf8', start, stop)
    start = stop + 1
  }
}
