/** What the auth service's thread and the audit log's worker say to each other. */

import type { ErrorJson } from '../errors/json.ts'
import type { Head, Link } from './chain.ts'
import type { AuditFilter, AuditQuery, CutEvent, DiskState } from './store.ts'

export interface WorkerSettings {
  readonly path: string
  /** PKCS#8 in PEM. */
  readonly privateKey: string
  /** Sign at the latest after so many events, or milliseconds. */
  readonly signEvery: number
  readonly signAfterMs: number
  /** What the log is known to contain. */
  readonly expected: readonly Head[]
}

export type Call =
  | { readonly op: 'search'; readonly query: AuditQuery }
  | { readonly op: 'export'; readonly filter: AuditFilter }
  | { readonly op: 'verify'; readonly expected: readonly Head[] }
  | { readonly op: 'next'; readonly stream: number }
  | { readonly op: 'return'; readonly stream: number }
  | { readonly op: 'cut'; readonly before: number; readonly event: CutEvent }
  | { readonly op: 'status' }
  | { readonly op: 'close' }
  /** Flat arrays of numbers and strings cross threads fastest. */
  | {
      readonly op: 'append'
      readonly times: readonly number[]
      readonly uids: readonly string[]
      readonly bodies: readonly string[]
      /** Without these nobody could log in to make room. */
      readonly vital: boolean
    }

/** Events as they stand in the log: text crosses threads faster than what is in it. */
export interface FoundPage {
  readonly found: readonly Link[]
  readonly next?: string
}

export interface ToWorker {
  readonly id: number
  readonly call: Call
}

export type FromWorker =
  | { readonly type: 'ready'; readonly head: Head }
  /** It could not start. */
  | { readonly type: 'failed'; readonly error: ErrorJson; readonly status: number }
  | { readonly type: 'done'; readonly id: number; readonly value?: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: ErrorJson; readonly status: number }
  /** A checkpoint was signed and is on disk. */
  | { readonly type: 'signed'; readonly head: Head }
  | { readonly type: 'disk'; readonly state: DiskState; readonly free: number }
  | { readonly type: 'log'; readonly level: 'warn' | 'error'; readonly message: string; readonly reason: string }
