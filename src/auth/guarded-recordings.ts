/** Recordings for those who read them: what was on a screen comes out only with the proof that this one may be read. */

import { type Authorized, isAuthorized } from '../access/authorize.ts'
import type { RecordingPage, RecordingQuery, RecordingStore } from '../audit/recording/store.ts'
import type { Chunk, RecordingSummary } from '../audit/recording/types.ts'
import { AccessDenied } from '../errors/errors.ts'

/** Somebody was asked whether it may be read. */
export type ReadableRecording = Authorized<Pick<RecordingSummary, 'sid'>>

export class GuardedRecordings {
  readonly #store: RecordingStore

  constructor(store: RecordingStore) {
    this.#store = store
  }

  /** About a recording, for the question whether it may be read. */
  about(sid: string): Promise<RecordingSummary | undefined> {
    return this.#store.get(sid)
  }

  /** About recordings, with the lines that a search found; the caller shows only those that may be listed. */
  list(query: RecordingQuery): Promise<RecordingPage> {
    return this.#store.list(query)
  }

  /** Index of the chunk to begin with; the first when nothing is recorded yet. */
  async start(permit: ReadableRecording, atMs: number): Promise<number> {
    const sid = proven(permit)
    if (atMs === 0) return 0
    const { chunks } = (await this.#store.get(sid)) ?? { chunks: 0 }
    return chunks === 0 ? 0 : (await this.#store.seek(sid, atMs)).index
  }

  read(permit: ReadableRecording, from: number, signal: AbortSignal): AsyncIterable<Chunk> {
    return this.#store.read(proven(permit), from, signal)
  }
}

/** A type can be cast. */
function proven(permit: ReadableRecording): string {
  if (!isAuthorized(permit)) throw new AccessDenied('access denied: nobody was asked whether this may be read')
  return permit.target.sid
}
