/** What people type to search screens, as an FTS5 expression in which nothing they typed is syntax. */

import { BadParameter } from '../../errors/errors.ts'

const MAX_CHARACTERS = 256
const MAX_WORDS = 16
/** What the index's tokenizer keeps; anything else separates words. */
const TOKEN = /[\p{L}\p{N}\p{Co}]/u
const PART = /"([^"]*)"|([^\s"]+)/g

/**
 * Words that stand in one line, in any order; `"so many words"` as they stand. The last word may be the beginning of one. Punctuation
 * separates words, so `/etc/passwd` finds `etc` followed by `passwd`. Throws BadParameter.
 */
export function parseSearch(text: string): string {
  if (text.length > MAX_CHARACTERS) throw bad(`it is longer than ${MAX_CHARACTERS} characters`)
  const clean = text.toWellFormed().replaceAll(/\p{Cc}/gu, ' ')
  if ((clean.match(/"/g)?.length ?? 0) % 2 === 1) throw bad('a quote is not closed')
  const parts = [...clean.matchAll(PART)].map(([, phrase, word]) => ({
    text: phrase ?? word ?? '',
    open: word !== undefined,
  }))
  const words = parts.filter((part) => TOKEN.test(part.text))
  if (words.length === 0) throw bad('it has no word; words have letters or digits')
  if (words.length > MAX_WORDS) throw bad(`it has more than ${MAX_WORDS} words`)
  const last = words.at(-1)
  // `ls /` and `foo.` end with something that separates, so the word before it is whole.
  const prefix = last === parts.at(-1) && last?.open === true && TOKEN.test([...last.text].at(-1) ?? '')
  return words.map((word, at) => `"${word.text}"${prefix && at === words.length - 1 ? '*' : ''}`).join(' AND ')
}

const bad = (reason: string) => new BadParameter('search', `cannot search for that: ${reason}`)
