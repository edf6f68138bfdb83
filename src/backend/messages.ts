/** What the caller's thread and the thread of the store say to each other. */

import type { ErrorJson } from '../errors/json.ts'
import type { Backend, WatchEvent } from './contract.ts'

/** The methods that cross as they are. */
export type Method = Exclude<keyof Backend, 'watch' | 'close'>

export type Call =
  | { [M in Method]: { readonly method: M; readonly args: Parameters<Backend[M]> } }[Method]
  /** From its answer on, events are sent. */
  | { readonly method: 'watch' }
  | { readonly method: 'close' }

/** `now`: the caller's time in milliseconds since 1970, which is the time of the store. */
export type ToThread =
  | { readonly now: number; readonly id: number; readonly call: Call }
  /** Time passed: look for expired items. */
  | { readonly now: number; readonly tick: true }

export type Part =
  | { readonly type: 'done'; readonly id: number; readonly value: unknown }
  | { readonly type: 'error'; readonly id: number; readonly error: ErrorJson; readonly status: number }
  | { readonly type: 'events'; readonly events: readonly WatchEvent[] }
  | { readonly type: 'ticked' }
  /** A bug; the caller of the method gets no details. */
  | { readonly type: 'log'; readonly reason: string }

export type FromThread =
  | { readonly type: 'ready' }
  /** It could not start. */
  | { readonly type: 'failed'; readonly error: ErrorJson; readonly status: number }
  /** What became known in one turn, in order: the events of a write stand before its answer. */
  | { readonly type: 'parts'; readonly parts: readonly Part[] }
