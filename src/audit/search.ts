/** Finds events: by the index as far as it reaches, by looking at each event in what is newer. */

import { setImmediate as nextTurn } from 'node:timers/promises'
import { parseFields } from './bound.ts'
import type { AuditFile, FoundRow } from './file.ts'
import type { AuditFilter } from './store.ts'
import type { IndexQuery, TextIndex } from './text-index.ts'
import { matchesTerms, parseTerms, type Term, wordsOf } from './words.ts'

/** Rows looked at before other work gets its turn: a few milliseconds. */
const SCAN_ROWS = 1000
/** Asked of the index at a time: a page of the usual size. */
const FIND_ROWS = 101
/** Where few rows match, windows become larger by this factor until they have `SCAN_ROWS`; where all match, one page is read. */
const GROWTH = 3

/** Events looked at to tell how rare a word is, and words of a phrase, its last ones, of which that is asked. */
const SAMPLE = 16
const MOST_WORDS = 8
/** When fewer than one of so many events with the words of a phrase has the phrase, the index looks for the phrase itself. */
const FEW_MATCH = 10

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
  /** Phrases, as they stand in such a body. */
  readonly phrases: readonly RegExp[]
  /** Whether a text may have a part in what is asked for: others need not be cut up. */
  readonly mayCount: (text: string) => boolean
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
  const words = (terms ?? []).flatMap(plainWords)
  const phrases = (terms ?? [])
    .filter((term) => term.words.includes(' ') && isPlain(term))
    .map((term) => new RegExp(term.words.split(' ').join(between)))
  const mayCount = textFilter(terms ?? [])
  return { types, user, sid, terms, low, high, indexed, literals, words, phrases, mayCount }
}

/** Each term begins with a word, which a text of ASCII contains in lower case. */
function textFilter(terms: readonly Term[]): (text: string) => boolean {
  if (!terms.every(isPlain)) return () => true
  const first = terms.map((term) => term.words.split(' ')[0] ?? '')
  return (text) => {
    const lower = text.toLowerCase()
    return first.some((word) => lower.includes(word)) || !ascii.test(text)
  }
}

/** Not a UUID, of which the body has other characters in between, and not the beginning of one. */
const plainWord = /^[a-z0-9]{1,31}$/
const plainBeginning = /^[a-z0-9]{1,8}$/

function plainWords({ words, prefix }: Term): string[] {
  const all = words.split(' ')
  return all.filter((word, n) => (prefix && n === all.length - 1 ? plainBeginning : plainWord).test(word))
}

const isPlain = (term: Term): boolean => plainWords(term).length === term.words.split(' ').length

/** Between two words of JSON in lower case: what is no word, or the escape of it. */
const between = '(?:[^a-z0-9]|\\\\[bfnrt]|\\\\u[0-9a-f]{4})+'

const ascii = /^[\0-\x7f]*$/

/** Cheap, and true for everything that matches: most events need not be parsed. */
function mayMatch(body: string, { literals, words, phrases }: Compiled): boolean {
  if (!literals.every((literal) => body.includes(literal))) return false
  if (words.length === 0 || !ascii.test(body)) return true
  const text = body.toLowerCase()
  return words.every((word) => text.includes(word)) && phrases.every((phrase) => phrase.test(text))
}

/** What is known of a row: the index found what was asked for, or of each phrase only one word. Tags may only look alike. */
type Known = 'nothing' | 'some words' | 'words'

function matches(row: FoundRow, query: Compiled, known: Known): boolean {
  if (row.timeMs < query.low || row.timeMs >= query.high) return false
  const { terms, types, user, sid } = query
  const tagged = types !== undefined || user !== undefined || sid !== undefined
  if (known === 'nothing' ? !query.indexed : known === 'words' && !tagged) return true
  if (known !== 'words' && !mayMatch(row.body, query)) return false
  const event = parseFields(row.body)
  if (types !== undefined && !types.includes(String(event.event))) return false
  if (user !== undefined && event.user !== user) return false
  if (sid !== undefined && event.sid !== sid) return false
  return known === 'words' || terms === undefined || matchesTerms(wordsOf(event, query.mayCount), terms)
}

/** Rows that match, in windows, with a turn of the event loop after each. `index` is absent while it cannot be read. */
export async function* findRows(
  log: AuditFile,
  index: TextIndex | undefined,
  query: Compiled,
  order: Order,
  after: number | undefined,
): AsyncGenerator<FoundRow> {
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
): AsyncGenerator<FoundRow> {
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
): AsyncGenerator<FoundRow> {
  const direction = directions[order]
  const hasPhrase = query.terms?.some(({ words }) => words.includes(' ')) === true
  let known: Known = hasPhrase ? 'some words' : 'words'
  const rare = hasPhrase ? { ...query, terms: rareWords(index, query.terms ?? [], low, high, direction) } : query
  const find = (from: number, to: number) =>
    index.find(known === 'words' ? query : rare, from, to, FIND_ROWS, direction)
  for await (const found of inWindows(low, high, [FIND_ROWS], order, find, (ei) => ei)) {
    const rows = log.rowsAt(found).filter((row) => matches(row, query, known))
    yield* rows
    // Words that many events have, in another order: then the index is quicker to follow where they stand.
    if (rows.length * FEW_MATCH < found.length) known = 'words'
  }
}

/**
 * Of each phrase the word that the fewest events have, as far as a sample tells. The index walks through all that have `etc` to find
 * `/etc/ssh/sshd_config`, while to read a row takes a few microseconds.
 */
function rareWords(
  index: TextIndex,
  terms: readonly Term[],
  low: number,
  high: number,
  direction: 'ASC' | 'DESC',
): readonly Term[] {
  const spacing = (term: Term): number => {
    const found = index.find({ ...nothing, terms: [term] }, low, high, SAMPLE, direction)
    const [first, last] = [found[0], found.at(-1)]
    if (first === undefined || last === undefined) return Number.POSITIVE_INFINITY
    return (found.length < SAMPLE ? high - low : Math.abs(last - first)) / found.length
  }
  return terms.map((term) => {
    if (!term.words.includes(' ')) return term
    const words = term.words.split(' ')
    const single = words.map((word, n) => ({ words: word, prefix: term.prefix && n === words.length - 1 }))
    const spaced = single.slice(-MOST_WORDS).map((one) => ({ one, space: spacing(one) }))
    return spaced.reduce((best, next) => (next.space > best.space ? next : best)).one
  })
}

const nothing: IndexQuery = { types: undefined, user: undefined, sid: undefined, terms: undefined }

async function* scanRows(
  log: AuditFile,
  query: Compiled,
  low: number,
  high: number,
  order: Order,
): AsyncGenerator<FoundRow> {
  const read = (from: number, to: number, size: number) => log.rows(from, to, size, directions[order])
  for await (const rows of inWindows(low, high, scanSizes, order, read, ({ ei }) => ei)) {
    for (const row of rows) if (matches(row, query, 'nothing')) yield row
  }
}

const scanSizes = [FIND_ROWS, FIND_ROWS * GROWTH, SCAN_ROWS]

const directions = { newest: 'DESC', oldest: 'ASC' } as const

/**
 * What `take` gives of `low <= ei < high`, at most so many at a time as `sizes` says, the last of them for all that follow, each from
 * where the last ended. Other work has its turn in between.
 */
async function* inWindows<T>(
  low: number,
  high: number,
  sizes: readonly number[],
  order: Order,
  take: (from: number, to: number, size: number) => readonly T[],
  numberOf: (one: T) => number,
): AsyncGenerator<readonly T[]> {
  let [from, to] = [low, high]
  for (let window = 0; from < to; window++) {
    const size = sizes[Math.min(window, sizes.length - 1)] ?? FIND_ROWS
    const taken = take(from, to, size)
    yield taken
    const last = taken.at(-1)
    if (last === undefined || taken.length < size) return
    if (order === 'newest') to = numberOf(last)
    else from = numberOf(last) + 1
    await nextTurn()
  }
}
