/**
 * The storage contract: what every driver promises and the acceptance suite in `suite.ts` checks. Nothing here is more
 * than a replicated store with transactions (etcd) can keep. ADR: docs/decisions/storage-contract.md.
 */

import { LimitExceeded } from '../errors/errors.ts'

/**
 * Path segments, outermost first: `['nodes', 'default', uuid]`. Keys appear in error messages and logs, so a secret
 * (a token, a password) is never part of one; use its hash.
 */
export type Key = readonly string[]

export interface NewItem {
  readonly key: Key
  /** At most 1 MiB. A string is stored as UTF-8. */
  readonly value: Uint8Array | string
  /** From this moment on the item does not exist any more, cleaned up or not. Without it the item stays. */
  readonly expires?: Date
}

export interface Item {
  readonly key: Key
  readonly value: Buffer
  readonly expires?: Date
  /** Changes with every write of the item. Opaque: compare for equality only. */
  readonly revision: string
}

export interface Page {
  readonly items: readonly Item[]
  /** Give it as `after` for the next page. Absent on the last page. Opaque. */
  readonly next?: string
}

export interface RangeOptions {
  /** 1 to 1000; larger values are taken as 1000. Default 1000. */
  readonly limit?: number
  readonly after?: string
}

/** One part of an atomic change. Each key may be written once and checked once. */
export type Operation =
  /** Holds when the item exists with this revision. */
  | { readonly op: 'check'; readonly key: Key; readonly revision: string }
  /** Holds when the item exists (`true`) or does not (`false`). */
  | { readonly op: 'check'; readonly key: Key; readonly exists: boolean }
  | { readonly op: 'put'; readonly item: NewItem }
  /** Deleting what is not there is no error here; add a check where it matters. */
  | { readonly op: 'delete'; readonly key: Key }

export type WatchEvent =
  | { readonly type: 'put'; readonly item: Item }
  /** Deleted, or expired and cleaned up. */
  | { readonly type: 'delete'; readonly key: Key }

/**
 * Events in the order of the writes, without gaps, starting after the moment `watch` resolved. Throws `ResyncNeeded`
 * when the reader fell behind, ConnectionProblem when the store was closed; ends quietly when the signal aborts.
 */
export interface Watcher extends AsyncIterable<WatchEvent> {}

/** All methods throw BadParameter for a malformed key, value, limit or cursor, and System errors of the disk. */
export interface Backend {
  /** Throws AlreadyExists. All writes resolve with the new revision, after the write is durable. */
  create(item: NewItem): Promise<string>
  put(item: NewItem): Promise<string>
  /** Throws NotFound. */
  update(item: NewItem): Promise<string>
  /** Throws CompareFailed when the item is missing or has another revision. */
  compareAndSwap(item: NewItem, expectedRevision: string): Promise<string>
  /** Throws NotFound. */
  get(key: Key): Promise<Item>
  /** Items whose key is, or starts with, the prefix segments; in key order. `[]` is everything. */
  range(prefix: Key, options?: RangeOptions): Promise<Page>
  /** Throws NotFound. */
  delete(key: Key): Promise<void>
  /** Throws CompareFailed when the item is missing or has another revision: of many callers, one wins. */
  conditionalDelete(key: Key, expectedRevision: string): Promise<void>
  /** How many were deleted. */
  deleteRange(prefix: Key): Promise<number>
  /** Moves the expiry. Counts as a write: new revision, put event. Throws NotFound. */
  keepAlive(key: Key, expires: Date): Promise<string>
  /** All or nothing, at most 128 operations. Throws CompareFailed naming the first check that did not hold. */
  commit(operations: readonly Operation[]): Promise<string>
  /** See `Watcher`. An item that expires gives a delete event, up to some seconds late. */
  watch(prefix: Key, signal: AbortSignal): Promise<Watcher>
  /** Ends the watchers and releases the store. Later calls throw ConnectionProblem. */
  close(): Promise<void>
}

/** The reader of a watch was too slow and events were dropped: list everything again, then watch again. */
export class ResyncNeeded extends LimitExceeded {}

export const isResyncNeeded = (error: unknown): error is ResyncNeeded => error instanceof ResyncNeeded

/** All items below a prefix, page by page. Not a snapshot: items written meanwhile may or may not appear. */
export async function* rangeAll(backend: Pick<Backend, 'range'>, prefix: Key): AsyncGenerator<Item> {
  let after: string | undefined
  do {
    const page = await backend.range(prefix, after === undefined ? {} : { after })
    yield* page.items
    after = page.next
  } while (after !== undefined)
}
