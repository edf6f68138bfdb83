/** What a store of recordings does. Drivers pass the acceptance suite in `suite.ts`. */

import type { Chunk, RecordingEnd, RecordingHeader, RecordingSummary, StoredChunkInfo } from './types.ts'

export interface RecordingQuery {
  /** Of the start, inclusive. */
  readonly from?: Date
  /** Exclusive. */
  readonly to?: Date
  /** Whose session, or who took part. */
  readonly user?: string
  /** Node name or uuid. */
  readonly node?: string
  /** Only recordings where this user took part, whatever else is asked: for callers who may see only their own. */
  readonly participant?: string
  /** Words on the recorded screen or in the command. */
  readonly search?: string
  /** 1 to 1000. */
  readonly limit?: number
  readonly cursor?: string
}

export interface RecordingMatch {
  /** Milliseconds since the start. */
  readonly atMs: number
  /** The line in which it was found, without control characters. */
  readonly text: string
}

export interface RecordingPage {
  /** Newest first. */
  readonly recordings: readonly (RecordingSummary & { readonly matches?: readonly RecordingMatch[] })[]
  readonly next?: string
}

/** Where the node goes on. */
export interface Progress {
  /** Index of the chunk that is wanted next. */
  readonly next: number
  readonly chain: string
}

export type RecordingVerdict =
  | { readonly ok: true; readonly chunks: number; readonly chain: string }
  /** `chunk` is the first bad one: 0 when the header is, the number of chunks when only the end is. */
  | { readonly ok: false; readonly chunk: number; readonly reason: string }

export interface RecordingStore {
  /** Begins, or tells where to go on. Throws AccessDenied when another server began it, AlreadyExists when it is complete. */
  begin(header: RecordingHeader): Promise<Progress>
  /**
   * Resolves when the chunk is durable. One that is there already, with the same hash, changes nothing. Throws CompareFailed with
   * the wanted index in its message for a gap or another content, BadParameter for a chunk that is not what it says, NotFound
   * before `begin`, AccessDenied for another server's recording, LimitExceeded or a System error when there is no room.
   */
  append(sid: string, serverId: string, chunk: Chunk): Promise<Progress>
  /** Idempotent. Throws CompareFailed when chunks are missing. */
  complete(sid: string, serverId: string, end: RecordingEnd): Promise<RecordingSummary>
  get(sid: string): Promise<RecordingSummary | undefined>
  list(query: RecordingQuery): Promise<RecordingPage>
  /** The last chunk with a keyframe that begins at or before that time. Throws NotFound. */
  seek(sid: string, atMs: number): Promise<StoredChunkInfo>
  /** Chunks from that index on, as far as there are any now. Throws NotFound. */
  read(sid: string, from: number, signal?: AbortSignal): AsyncIterable<Chunk & StoredChunkInfo>
  /**
   * Reads and checks everything from the disk. `expected` is what the audit log knows: `sha256` of its `session.upload`. A recording
   * that is still running is checked as far as it is there. Throws NotFound.
   */
  verify(sid: string, expected?: string): Promise<RecordingVerdict>
  /** Why no chunks are taken now: the disk is nearly full. Undefined when they are. */
  alarm(): Promise<string | undefined>
  /** Every recording, oldest first. */
  all(): AsyncIterable<RecordingSummary>
  /**
   * Removes complete recordings that ended before, and running ones that began before and to which nothing was added for 30 days more:
   * their node did not come back. Returns their ids.
   */
  removeBefore(before: Date): Promise<readonly string[]>
  close(): Promise<void>
}
