/** What came from the auth service as the entries of a recording. */

import { decompress } from 'fzstd'
import { entriesOf } from '../../../src/audit/recording/cast-entry.ts'
import { MAX_CHUNK_TEXT } from '../../../src/audit/recording/limits.ts'
import type { ChunkReader } from '../../../src/audit/recording/play/server-source.ts'

type Packed = Parameters<ChunkReader['entries']>[0]

/** The text of a chunk, never more than it may have. Throws for what is no zstd. */
export function textOf({ data, textBytes }: Pick<Packed, 'data' | 'textBytes'>): string {
  if (textBytes > MAX_CHUNK_TEXT) throw new Error(`a piece of the recording has more than ${MAX_CHUNK_TEXT} bytes`)
  // Into a place of that size: what a frame says of its own size allocates nothing.
  return new TextDecoder().decode(decompress(data, new Uint8Array(textBytes)))
}

export const chunkReader: ChunkReader = {
  bytes: (base64) => Uint8Array.from(atob(base64), (character) => character.charCodeAt(0)),
  async sha256(data) {
    const hash = await crypto.subtle.digest('SHA-256', Uint8Array.from(data))
    return Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, '0')).join('')
  },
  *entries(chunk) {
    let text: string
    try {
      text = textOf(chunk)
    } catch {
      yield { type: 'damage', atMs: chunk.fromMs, text: 'a piece of the recording is damaged' }
      return
    }
    yield* entriesOf(text.split('\n'), chunk.fromMs)
  },
}
