/**
 * What a search for words means: letters and digits make words, upper and lower case and accents do not matter, everything else
 * separates. One function cuts up events and questions alike, so that the index and a look at the events themselves agree.
 */

import { BadParameter } from '../errors/errors.ts'

const MAX_QUERY = 1000
const MAX_TERMS = 32
/** Between the fields of an event, so that a phrase never runs from one into the next. No word can be it. */
const BETWEEN = '¦'
/** Identities that each event has of its own; they would fill the index and tell nobody anything. */
const LEFT_OUT: ReadonlySet<string> = new Set(['uid', 'time', 'ei', 'hash', 'cluster_name'])

/** Session and server ids are one word each. */
const uuid = /([0-9a-f]{8})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{4})-([0-9a-f]{12})/gi
const ascii = /^[\0-\x7f]*$/

/** Words with one space between them. */
function toWords(text: string): string {
  const whole = text.includes('-') ? text.replace(uuid, '$1$2$3$4$5') : text
  if (ascii.test(whole)) {
    return whole
      .toLowerCase()
      .replace(/[^a-z0-9]+/g, ' ')
      .trim()
  }
  return whole
    .normalize('NFKD')
    .replace(/\p{M}+/gu, '')
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim()
}

/** All words of an event, field after field. `counts` leaves out texts that do not matter. */
export function wordsOf(
  event: Readonly<Record<string, unknown>>,
  counts: (text: string) => boolean = () => true,
): string {
  const parts: string[] = []
  const collect = (value: unknown) => {
    if (typeof value === 'string') {
      if (counts(value)) parts.push(toWords(value))
    } else if (typeof value === 'number') collect(String(value))
    else if (typeof value === 'object' && value !== null) for (const inner of Object.values(value)) collect(inner)
  }
  for (const [name, value] of Object.entries(event)) if (!LEFT_OUT.has(name)) collect(value)
  return parts.join(` ${BETWEEN} `)
}

export interface Term {
  /** Words that follow each other. */
  readonly words: string
  /** The last word may go on. */
  readonly prefix: boolean
}

/**
 * Terms that must all be there. `"a b"` is a phrase, `abc*` a beginning, `/etc/passwd` the phrase of its parts. Throws BadParameter
 * when there is nothing to search for, or too much.
 */
export function parseTerms(text: string): readonly Term[] {
  if (text.length > MAX_QUERY) {
    throw new BadParameter('text', `the text to search for is longer than ${MAX_QUERY} characters`)
  }
  const terms: Term[] = []
  for (const [piece, quoted] of text.matchAll(/"([^"]*)"?\*?|[^\s"]+/g)) {
    const words = toWords(quoted ?? piece)
    if (words !== '') terms.push({ words, prefix: piece.endsWith('*') })
  }
  if (terms.length === 0) throw new BadParameter('text', 'there is no word in the text to search for')
  if (terms.length > MAX_TERMS) throw new BadParameter('text', `a search has at most ${MAX_TERMS} words or phrases`)
  return terms
}

/** `words`: of an event, as `wordsOf` made them. */
export function matchesTerms(words: string, terms: readonly Term[]): boolean {
  const text = ` ${words} `
  return terms.every((term) => text.includes(term.prefix ? ` ${term.words}` : ` ${term.words} `))
}
