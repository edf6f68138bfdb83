/** The hash chain of a recording: a chunk that is changed, dropped, added or moved breaks every link after it. */

import { createHash } from 'node:crypto'
import type { ChunkInfo, RecordingEnd, RecordingHeader } from './types.ts'

/** The link before the first chunk. */
export const firstLink = (sid: string): string => createHash('sha256').update(`recording ${sid}`).digest('hex')

/** The link of a chunk, hex. `previous` is the link of the chunk before, or `firstLink`. */
export function nextLink(previous: string, chunk: ChunkInfo): string {
  const { index, fromMs, toMs, textBytes, keyframe, sha256 } = chunk
  return createHash('sha256')
    .update(`${previous} ${index} ${fromMs} ${toMs} ${textBytes} ${keyframe ? 1 : 0} ${sha256}`)
    .digest('hex')
}

/**
 * The last link of a complete recording: ties what is said about it (who, where, when, who took part) to its content. This is what the
 * audit log knows of it.
 */
export function lastLink(previous: string, header: RecordingHeader, end: RecordingEnd): string {
  const { sid, user, login, serverId, serverHostname, started, interactive, columns, rows, command, term } = header
  const { ended, chunks, participants, interrupted, failure } = end
  const about = [
    [sid, user, login, serverId, serverHostname, started, interactive, columns, rows, command ?? null, term ?? null],
    [ended, chunks, participants, interrupted, failure ?? null],
  ]
  return createHash('sha256')
    .update(`${previous} ${JSON.stringify(about)}`)
    .digest('hex')
}
