/** What came from the auth service as the entries of a recording. */

import { decompress } from 'fzstd'
import { entriesOf } from '../../../src/audit/recording/cast-entry.ts'
import { MAX_CHUNK_TEXT } from '../../../src/audit/recording/limits.ts'
import type { ChunkReader } from '../../../src/audit/recording/play/server-source.ts'

type Packed = Parameters<ChunkReader['entries']>[0]

/** Texts that are kept: the timeline and the player read the same chunks, and expanding them is what costs. */
const maxKept = 6
const kept = new Map<Uint8Array, string>()

/** The text of a chunk, never more than it may have. Throws for what is no zstd. */
export function textOf(chunk: Pick<Packed, 'data' | 'textBytes'>): string {
  const known = kept.get(chunk.data)
  if (known !== undefined) return known
  const text = expand(chunk)
  kept.set(chunk.data, text)
  const [oldest] = kept.keys()
  if (kept.size > maxKept && oldest !== undefined) kept.delete(oldest)
  return text
}

/** A browser's own way is a hundred times as fast as one in a script; not all have it. */
interface FromBase64 {
  fromBase64?(text: string): Uint8Array
}

function bytesOf(base64: string): Uint8Array {
  const native = (Uint8Array as unknown as FromBase64).fromBase64?.(base64)
  if (native !== undefined) return native
  const text = atob(base64)
  const bytes = new Uint8Array(text.length)
  for (let at = 0; at < text.length; at++) bytes[at] = text.charCodeAt(at)
  return bytes
}

function expand({ data, textBytes }: Pick<Packed, 'data' | 'textBytes'>): string {
  if (textBytes > MAX_CHUNK_TEXT) throw new Error(`a piece of the recording has more than ${MAX_CHUNK_TEXT} bytes`)
  // Into a place of that size: what a frame says of its own size allocates nothing.
  return new TextDecoder().decode(decompress(data, new Uint8Array(textBytes)))
}

export const chunkReader: ChunkReader = {
  bytes: bytesOf,
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
