/** Between a session and its recorder: what the session tells, and what it may ask. */

import type { RecordingHeader } from '../../audit/recording/types.ts'

export interface TapOptions {
  readonly header: RecordingHeader
  /**
   * `node`: on the local disk, sent to auth in the background. `node-sync`: nothing is shown before auth has stored it.
   * `off`: nothing is kept, only the screen for those who join.
   */
  readonly mode: 'node' | 'node-sync' | 'off'
  /** The session ends when its recording fails. Always so with `node-sync`. */
  readonly strict: boolean
  /**
   * Called once when the recording fails (full disk, damaged spool, auth refuses). A strict session ends then; another goes on, and
   * the recording tells of the gap as soon as it can go on.
   */
  onFailure(reason: Error): void
}

/** Listens to one session. Its calls never throw; after `end` they do nothing. */
export interface SessionTap {
  /**
   * What the program printed, in order. Undefined: show it, and go on reading. A promise: with `node-sync` show it when it resolves;
   * otherwise show it now, and read more when it resolves (the disk is behind). Rejects when the session must end without showing it.
   */
  output(data: Buffer): Promise<void> | undefined
  resize(columns: number, rows: number): void
  /** A mark in the recording: who joined, who left. */
  mark(text: string): void
  /** Text that puts an empty terminal of that size into the present state, everything given to `output` so far included. */
  screen(): Promise<ScreenState>
  /** Resolves when what is left is on the local disk (`node-sync`: at auth). */
  end(participants: readonly string[]): Promise<void>
}

export interface ScreenState {
  readonly columns: number
  readonly rows: number
  readonly data: string
}

export interface Recorder {
  /** Throws when the session may not start: `node-sync` while auth cannot store it, `strict` with a full spool. */
  open(options: TapOptions): Promise<SessionTap>
  /** Compressed bytes that auth has not acknowledged. */
  readonly pendingBytes: number
  /** Ends what is open and keeps the rest for the next start. */
  close(): Promise<void>
}
