/** What an audit store does. It only ever grows; drivers pass the acceptance suite in `suite.ts`. */

import type { AuditEvent, EventName, StoredEvent } from './events.ts'

export interface AuditQuery {
  /** Time of the event, inclusive. */
  readonly from?: Date
  /** Exclusive. */
  readonly to?: Date
  readonly types?: readonly EventName[]
  readonly user?: string
  readonly sid?: string
  /** Anywhere in the event, upper and lower case alike for ASCII. */
  readonly text?: string
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

export interface AuditStore {
  /**
   * Resolves after the events are durable, in this order, each uid once (a second delivery changes nothing). Throws
   * BadParameter when one is malformed, LimitExceeded when the queue is full, System errors of the disk; then none of
   * them was stored.
   */
  append(events: readonly AuditEvent[]): Promise<void>
  /** Throws BadParameter for a bad limit or cursor. */
  search(query: AuditQuery): Promise<AuditPage>
  /** All that match, oldest first unless said otherwise, as JSON on one line each, without line feed. */
  exportLines(query: Omit<AuditQuery, 'limit' | 'cursor'>): AsyncGenerator<string>
  close(): Promise<void>
}
