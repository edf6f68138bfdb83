/** What the node's own thread and the recording worker say to each other. Sessions have short numbers here. */

import type { RecordingHeader } from '../../audit/recording/types.ts'

/** Where a recording goes on in the spool. */
export interface SpoolPosition {
  /** Of the next file. */
  readonly segment: number
  /** Of the next chunk. */
  readonly index: number
  /** The link before it. */
  readonly chain: string
  /** Milliseconds since the start, of the last line so far. */
  readonly toMs: number
}

export interface OpenMessage {
  readonly type: 'open'
  readonly id: number
  readonly header: RecordingHeader
  /** Absent: nothing is kept, only the screen. */
  readonly spool?: {
    readonly dir: string
    /** As `ownProcess` names it. */
    readonly owner: string
    /** Wait for the disk before a chunk counts as kept. Not so with `node-sync`, where auth has it before anybody sees it. */
    readonly durable: boolean
    readonly position: SpoolPosition
    /** Of output that nobody could record before. */
    readonly lost?: Lost
  }
}

export interface Lost {
  readonly bytes: number
  readonly reason: string
}

export type ToWorker =
  | OpenMessage
  /** The bytes are the first `length` of the buffer. `cut`, when not 0, is a growing number: close the chunk after it, and say when it is stored. */
  | {
      readonly type: 'output'
      readonly id: number
      readonly atMs: number
      readonly data: ArrayBuffer
      readonly length: number
      readonly cut: number
    }
  | {
      readonly type: 'resize'
      readonly id: number
      readonly atMs: number
      readonly columns: number
      readonly rows: number
    }
  | { readonly type: 'mark'; readonly id: number; readonly atMs: number; readonly text: string }
  /** Output that the worker never saw. */
  | { readonly type: 'lost'; readonly id: number; readonly atMs: number; readonly lost: Lost }
  | { readonly type: 'screen'; readonly id: number; readonly request: number }
  /** Keep nothing more of it. */
  | { readonly type: 'stop'; readonly id: number }
  | {
      readonly type: 'end'
      readonly id: number
      readonly atMs: number
      readonly ended: string
      readonly participants: readonly string[]
      readonly interrupted: boolean
      readonly failure?: string
    }
  /** Whether the spool has its allowed size, and what is full then. */
  | { readonly type: 'full'; readonly reason: string | undefined }

export type FromWorker =
  /** Bytes of output that no longer wait in memory, and their buffers for the next. */
  | {
      readonly type: 'done'
      readonly counts: readonly (readonly [id: number, bytes: number])[]
      readonly buffers: readonly ArrayBuffer[]
    }
  /** The file of a new segment is there. */
  | { readonly type: 'segment'; readonly id: number; readonly segment: number; readonly bytes: number }
  /** Chunks are in the file, which has `bytes` now; `position` is what would come next, `cut` the last that is in. */
  | {
      readonly type: 'stored'
      readonly id: number
      readonly position: SpoolPosition
      readonly bytes: number
      readonly cut: number
    }
  /** It could not be written. Told at the beginning of each failure. */
  | { readonly type: 'failed'; readonly id: number; readonly errno: string; readonly reason: string }
  | {
      readonly type: 'screen'
      readonly request: number
      readonly columns: number
      readonly rows: number
      readonly data: string
    }
  /** Nothing more is written. `complete`: with an end frame; otherwise the disk has no room for it. */
  | { readonly type: 'ended'; readonly id: number; readonly bytes: number; readonly complete: boolean }
