/** Answers a list: filters by keys, words by the text index, each skipping to where the other one is. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { stripControl } from '../../common/text.ts'
import { BadParameter } from '../../errors/errors.ts'
import {
  type CatalogueDatabase,
  type CatalogueRow,
  type Hit,
  type ListFilter,
  MAX_ID,
  nodeKey,
  personKey,
} from './catalogue-database.ts'
import { parseSearch } from './search-query.ts'
import type { RecordingMatch, RecordingPage, RecordingQuery } from './store.ts'

type Listed = RecordingPage['recordings'][number]

const MAX_PAGE = 1000
/** Lines shown of each recording. */
const MATCHES = 3
/** Milliseconds after which a search answers with what it has found; the cursor goes on from there. */
const SEARCH_MS = 2000
/** Milliseconds of searching without a break. */
const TURN_MS = 100
/** Lines passed over before it is better to ask anew: some milliseconds. */
const WALK = 2000

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
  const hits = new HitCursor(database, words)
  for (let below = start; ; ) {
    const turnEnds = nowMs() + TURN_MS
    try {
      while (nowMs() < turnEnds) {
        const found = hits.below(below)
        if (found === undefined) return { recordings }
        const [row] = database.list(filter, found + 1, 1)
        if (row === undefined) return { recordings }
        if (row.id === found && !isGone(row.summary.sid)) {
          recordings.push({ ...row.summary, matches: hits.lines(found).map(withoutControl) })
        }
        below = row.id === found ? found : row.id + 1
        if (recordings.length >= size || nowMs() > until) return { recordings, next: String(below) }
      }
    } finally {
      hits.close()
    }
    // Other lists, and what is written, get their turn.
    await nextTurn()
  }
}

const withoutControl = ({ atMs, text }: RecordingMatch) => ({ atMs, text: stripControl(text) })

/**
 * Goes down the lines that match. Walking is cheap, a new query is not (for the beginning of a word it collects all lines first), and
 * a new query skips far: so it walks a while and then asks again.
 */
class HitCursor {
  readonly #database: CatalogueDatabase
  readonly #words: string
  #rows: Generator<Hit> | undefined
  #current: Hit | undefined

  constructor(database: CatalogueDatabase, words: string) {
    this.#database = database
    this.#words = words
  }

  /** The newest recording below that id that has a match. */
  below(id: number): number | undefined {
    for (let walked = 0; this.#rows !== undefined && walked < WALK; walked++) {
      if (this.#current === undefined || this.#current.id < id) return this.#current?.id
      this.#step()
    }
    this.close()
    this.#rows = this.#database.hits(this.#words, id)
    this.#step()
    return this.#current?.id
  }

  /** The first lines of the recording where it stands. */
  lines(id: number): readonly RecordingMatch[] {
    let first: Hit[] = []
    for (let walked = 0; this.#current?.id === id; walked++) {
      // Down the recording, so the last ones that come are the first.
      first = [this.#current, ...first].slice(0, MATCHES)
      if (walked === WALK) {
        this.close()
        first = [...this.#database.firstHits(this.#words, id, MATCHES)]
        break
      }
      this.#step()
    }
    return first.map((hit) => this.#database.line(hit)).filter((line) => line !== undefined)
  }

  close(): void {
    this.#rows?.return(undefined)
    this.#rows = undefined
    this.#current = undefined
  }

  #step(): void {
    const next = this.#rows?.next()
    this.#current = next?.done === false ? next.value : undefined
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
