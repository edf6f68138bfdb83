/** Answers a list: filters by keys, words by the text index, each skipping to where the other one is. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { stripControl } from '../../common/text.ts'
import { BadParameter } from '../../errors/errors.ts'
import {
  type CatalogueDatabase,
  type CatalogueRow,
  type ListFilter,
  MAX_ID,
  nodeKey,
  personKey,
} from './catalogue-database.ts'
import { parseSearch } from './search-query.ts'
import type { RecordingPage, RecordingQuery } from './store.ts'

type Listed = RecordingPage['recordings'][number]

const MAX_PAGE = 1000
/** Lines shown of each recording. */
const MATCHES = 3
/** Milliseconds after which a search answers with what it has found; the cursor goes on from there. */
const SEARCH_MS = 2000

export interface View {
  readonly nowMs: () => number
  /** Removed, but still in the catalogue. */
  readonly isGone: (sid: string) => boolean
}

/** Throws BadParameter for a malformed limit, cursor or search. */
export async function listRecordings(
  database: CatalogueDatabase,
  query: RecordingQuery,
  view: View,
): Promise<RecordingPage> {
  const { limit = 100, search } = query
  if (!Number.isInteger(limit) || limit < 1) {
    throw new BadParameter('limit', 'the page limit must be a whole number of at least 1')
  }
  const size = Math.min(limit, MAX_PAGE)
  const below = parseCursor(query.cursor)
  const people = [query.user, query.participant].filter((name) => name !== undefined).map(personKey)
  const keys = new Set([...people, ...(query.node === undefined ? [] : [nodeKey(query.node)])])
  const filter: ListFilter = { from: query.from, to: query.to, keys: [...keys] }
  if (search === undefined) return pageOf(database.list(filter, below, size + 1), size, view)
  return searchPage(database, filter, parseSearch(search), below, size, view)
}

async function searchPage(
  database: CatalogueDatabase,
  filter: ListFilter,
  words: string,
  start: number,
  size: number,
  { nowMs, isGone }: View,
): Promise<RecordingPage> {
  const until = nowMs() + SEARCH_MS
  const recordings: Listed[] = []
  let below = start
  for (let looked = 1; ; looked++) {
    const found = database.findBelow(words, below)
    if (found === undefined) return { recordings }
    const [row] = database.list(filter, found + 1, 1)
    if (row === undefined) return { recordings }
    if (row.id === found && isGone(row.summary.sid)) below = found
    else if (row.id === found) {
      const lines = database.matches(words, found, MATCHES)
      recordings.push({ ...row.summary, matches: lines.map(({ atMs, text }) => ({ atMs, text: stripControl(text) })) })
      below = found
    } else {
      below = row.id + 1
    }
    if (recordings.length >= size || nowMs() > until) return { recordings, next: String(below) }
    // Other lists get their turn.
    if (looked % 16 === 0) await nextTurn()
  }
}

function pageOf(rows: readonly CatalogueRow[], size: number, { isGone }: View): RecordingPage {
  const page = rows.slice(0, size)
  const recordings = page.map(({ summary }) => summary).filter(({ sid }) => !isGone(sid))
  const last = page.at(-1)
  return rows.length > size && last !== undefined ? { recordings, next: String(last.id) } : { recordings }
}

function parseCursor(cursor: string | undefined): number {
  if (cursor === undefined) return MAX_ID
  if (!/^\d{1,13}$/.test(cursor) || Number(cursor) > MAX_ID) {
    throw new BadParameter('cursor', 'the page cursor is not one that this list returned')
  }
  return Number(cursor)
}
