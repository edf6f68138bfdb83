/** What an audit store does. It only ever grows, but for what retention cuts off; drivers pass the acceptance suite in `suite.ts`. */

import type { Cut, Head } from './chain.ts'
import type { AuditEvent, EventName, StoredEvent } from './events.ts'
import type { Problem, Proof } from './verifier.ts'

export interface AuditFilter {
  /** Time of the event, inclusive. */
  readonly from?: Date
  /** Exclusive. */
  readonly to?: Date
  readonly types?: readonly EventName[]
  readonly user?: string
  readonly sid?: string
  /**
   * Words that are all in the event: its commands, paths, names, errors. Upper and lower case and accents do not matter.
   * `"a b"` is a phrase, `abc*` a beginning, and what belongs together, such as `/etc/passwd`, the phrase of its parts.
   */
  readonly text?: string
}

export interface AuditQuery extends AuditFilter {
  /** 1 to 1000; larger values are taken as 1000. Default 100. */
  readonly limit?: number
  readonly cursor?: string
  /** By `ei`. Default newest first. */
  readonly order?: 'newest' | 'oldest'
}

export interface AuditPage {
  readonly events: readonly StoredEvent[]
  /** Give it as `cursor` for the next page. Absent at the end. Opaque. */
  readonly next?: string
}

/** A recording that an event of the log vouches for, or that one says was removed. */
export interface RecordingMark {
  readonly ei: number
  readonly sid: string
  /** The last link of its chain; absent when it was removed. */
  readonly sha256?: string
}

export interface VerifyStep {
  readonly proof: Proof
  /** Of the events since the step before. */
  readonly recordings: readonly RecordingMark[]
  /** On the last step: what is wrong, or `null` when everything holds. */
  readonly result?: Problem | null
}

/** Of the event `audit.cut`, what the store does not know itself. */
export interface CutEvent {
  readonly uid: string
  readonly time: string
  readonly cluster_name: string
}

/** `low`: little room is left. `reserve`: none is; only what lets people log in is still stored, from a reserve. `full`: nothing is. */
export type DiskState = 'ok' | 'low' | 'reserve' | 'full'

export interface AuditStatus {
  readonly head: Head
  /** Number and event of the last signed checkpoint. */
  readonly checkpoint: { readonly n: number; readonly ei: number }
  /** The last event that retention removed. */
  readonly cutTo: number
  /** Events in the search index; newer ones are looked at one by one. */
  readonly indexedTo: number
  readonly disk: DiskState
  /** Heads that were expected when the log was opened, and that it does not contain: its end was removed, or it is an older copy. */
  readonly lost: readonly Head[]
}

export interface AuditStore {
  /**
   * Resolves after the events are durable, in this order, each uid once (a second delivery changes nothing). Throws
   * BadParameter when one is malformed, LimitExceeded when the queue is full, System errors of the disk; then none of
   * them was stored.
   */
  append(events: readonly AuditEvent[]): Promise<void>
  /** Throws BadParameter for a bad limit, cursor or text. */
  search(query: AuditQuery): Promise<AuditPage>
  /**
   * The lines of an export, oldest event first, several at a time: a head line, events with their hashes, checkpoints, and a signed
   * last line (`export.ts`). Without a filter the lines prove themselves whole.
   */
  export(filter: AuditFilter): AsyncGenerator<readonly string[]>
  /** Reads everything and proves it. `expected`: heads that are known from elsewhere. Ends with a step that has a result. */
  verify(expected?: readonly Head[]): AsyncGenerator<VerifyStep>
  /** Removes the oldest events, up to the first that is not older, and says so in the log. Undefined when there is nothing to remove. */
  cut(before: Date, event: CutEvent): Promise<Cut | undefined>
  status(): Promise<AuditStatus>
  /** Signs what is new, and closes. */
  close(): Promise<void>
}
