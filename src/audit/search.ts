/** Finds events: by the index as far as it reaches, by looking at each event in what is newer. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseFields } from './bound.ts'
import type { AuditFile, StoredRow } from './file.ts'
import type { AuditFilter } from './store.ts'
import type { IndexQuery, TextIndex } from './text-index.ts'
import { matchesTerms, parseTerms, wordsOf } from './words.ts'

/** Rows looked at before other work gets its turn: a few milliseconds. */
const SCAN_ROWS = 1000
/** Asked of the index at a time: a page of the usual size. */
const FIND_ROWS = 101

export type Order = 'newest' | 'oldest'

interface Compiled extends IndexQuery {
  readonly low: number
  readonly high: number
  /** Something that the index knows is asked for. */
  readonly indexed: boolean
  /** What the text of a body that matches contains, each of them. */
  readonly literals: readonly string[]
  /** Words that a body of ASCII contains in lower case. */
  readonly words: readonly string[]
}

/** Throws BadParameter for a text without words. */
export function compileFilter(filter: AuditFilter): Compiled {
  const text = filter.text === undefined || filter.text === '' ? undefined : filter.text
  const terms = text === undefined ? undefined : parseTerms(text)
  const { types, user, sid } = filter
  const indexed = terms !== undefined || types !== undefined || user !== undefined || sid !== undefined
  const low = filter.from?.getTime() ?? Number.NEGATIVE_INFINITY
  const high = filter.to?.getTime() ?? Number.POSITIVE_INFINITY
  const literals = [...(types?.length === 1 ? types : []), user, sid].flatMap((value) =>
    value === undefined ? [] : [JSON.stringify(value)],
  )
  const words = (terms ?? []).flatMap((term) => term.words.split(' ')).filter((word) => /^[a-z0-9]{1,31}$/.test(word))
  return { types, user, sid, terms, low, high, indexed, literals, words }
}

const ascii = /^[\0-\x7f]*$/

/** Cheap, and true for everything that matches: most events need not be parsed. */
function mayMatch(body: string, { literals, words }: Compiled): boolean {
  if (!literals.every((literal) => body.includes(literal))) return false
  if (words.length === 0 || !ascii.test(body)) return true
  const text = body.toLowerCase()
  return words.every((word) => text.includes(word))
}

/** `found`: by the index, which is exact for words, but not for tags. */
function matches(row: StoredRow, query: Compiled, found = false): boolean {
  if (row.timeMs < query.low || row.timeMs >= query.high) return false
  const { terms, types, user, sid } = query
  const tagged = types !== undefined || user !== undefined || sid !== undefined
  if (found ? !tagged : !query.indexed) return true
  if (!found && !mayMatch(row.body, query)) return false
  const event = parseFields(row.body)
  if (types !== undefined && !types.includes(String(event.event))) return false
  if (user !== undefined && event.user !== user) return false
  if (sid !== undefined && event.sid !== sid) return false
  return found || terms === undefined || matchesTerms(wordsOf(event), terms)
}

/** Rows that match, in windows, with a turn of the event loop after each. `index` is absent while it cannot be read. */
export async function* findRows(
  log: AuditFile,
  index: TextIndex | undefined,
  query: Compiled,
  order: Order,
  after: number | undefined,
): AsyncGenerator<StoredRow> {
  if (query.types?.length === 0) return
  const low = Math.max(log.cutTo + 1, order === 'oldest' ? (after ?? 0) + 1 : 1)
  const high = Math.min(
    log.head.ei + 1,
    order === 'newest' ? (after ?? Number.MAX_SAFE_INTEGER) : Number.MAX_SAFE_INTEGER,
  )
  const border = Math.min(Math.max((index?.indexedTo ?? 0) + 1, low), high)
  const old = () => indexedRows(log, index, query, low, border, order)
  const fresh = () => scanRows(log, query, border, high, order)
  if (order === 'newest') {
    yield* fresh()
    yield* old()
  } else {
    yield* old()
    yield* fresh()
  }
}

async function* indexedRows(
  log: AuditFile,
  index: TextIndex | undefined,
  query: Compiled,
  low: number,
  high: number,
  order: Order,
): AsyncGenerator<StoredRow> {
  if (index === undefined || low >= high) return
  const timed = Number.isFinite(query.low) || Number.isFinite(query.high)
  const whole = [{ from: low, to: high }]
  const ranges = timed ? index.ranges(finite(query.low), finite(query.high)) : whole
  for (const range of order === 'newest' ? ranges.reverse() : ranges) {
    const from = Math.max(low, range.from)
    const to = Math.min(high, range.to)
    if (from >= to) continue
    if (query.indexed) yield* foundRows(log, index, query, from, to, order)
    else yield* scanRows(log, query, from, to, order)
  }
}

const finite = (time: number): number => Math.max(-Number.MAX_SAFE_INTEGER, Math.min(Number.MAX_SAFE_INTEGER, time))

async function* foundRows(
  log: AuditFile,
  index: TextIndex,
  query: Compiled,
  low: number,
  high: number,
  order: Order,
): AsyncGenerator<StoredRow> {
  let [from, to] = [low, high]
  while (from < to) {
    const found = index.find(query, from, to, FIND_ROWS, order === 'newest' ? 'DESC' : 'ASC')
    for (const ei of found) {
      const row = log.row(ei)
      // Tags are short, and the log decides: what only looks alike is left out here.
      if (row !== undefined && matches(row, query, true)) yield row
    }
    const last = found.at(-1)
    if (last === undefined || found.length < FIND_ROWS) return
    if (order === 'newest') to = last
    else from = last + 1
    await nextTurn()
  }
}

async function* scanRows(
  log: AuditFile,
  query: Compiled,
  low: number,
  high: number,
  order: Order,
): AsyncGenerator<StoredRow> {
  let [from, to] = [low, high]
  while (from < to) {
    const rows = log.rows(from, to, SCAN_ROWS, order === 'newest' ? 'DESC' : 'ASC')
    for (const row of rows) if (matches(row, query)) yield row
    const last = rows.at(-1)
    if (last === undefined || rows.length < SCAN_ROWS) return
    if (order === 'newest') to = last.ei
    else from = last.ei + 1
    await nextTurn()
  }
}
