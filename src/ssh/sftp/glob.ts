/**
 * Wildcards in paths, as a shell has them: `*`, `?`, `[a-z]`, `[!a-z]`, and `\` before what is meant as itself. A name that begins
 * with a dot needs a dot in the pattern. Matching takes time in proportion to pattern times name, whatever the pattern.
 */

import { LimitExceeded } from '../../errors/errors.ts'

/** Whose files are meant: paths and names as text, in which each side may hold bytes as it likes. */
export interface GlobFiles {
  /** Rejects when there is no such directory, or it cannot be read: then nothing in it matches. */
  names(directory: string): AsyncIterable<string>
  exists(path: string): Promise<boolean>
  isDirectory(path: string): Promise<boolean>
  /** A pattern or a name as the characters that a person sees, where `names` yields something else. */
  text?(name: string): string
}

/** More is taken for a mistake, or for a server that never stops listing. */
const maxMatches = 100_000

export const hasWildcards = (path: string): boolean => /[*?[]/.test(path)

/** Without the backslashes. */
export const unescapeGlob = (pattern: string): string => pattern.replaceAll(/\\(.)/gs, '$1')

/** All paths that match, sorted; none is an empty list. Throws LimitExceeded. */
export async function expandGlob(pattern: string, files: GlobFiles): Promise<readonly string[]> {
  const parts = pattern.split('/')
  const rooted = parts[0] === ''
  let found: string[] = [rooted ? '/' : '']
  const words = rooted ? parts.slice(1) : parts
  for (const [index, word] of words.entries()) {
    const last = index === words.length - 1
    // `a//b`, and `a/` at the end, which stays as it is written.
    if (word === '') {
      if (last) found = found.map((path) => (path.endsWith('/') ? path : `${path}/`))
      continue
    }
    const next: string[] = []
    const add = (path: string) => {
      if (next.push(path) > maxMatches) throw new LimitExceeded(`more than ${maxMatches} files match ${pattern}`)
    }
    for (const base of found) {
      if (!hasWildcards(word)) add(join(base, unescapeGlob(word)))
      else for await (const name of matching(base, word, files)) add(join(base, name))
    }
    if (!hasWildcards(word)) found = last ? await only(next, (path) => files.exists(path)) : next
    else found = last ? next : await only(next, (path) => files.isDirectory(path))
  }
  return found.sort()
}

const join = (base: string, name: string): string =>
  base === '' || base.endsWith('/') ? base + name : `${base}/${name}`

async function* matching(base: string, word: string, files: GlobFiles): AsyncGenerator<string> {
  const text = (name: string) => files.text?.(name) ?? name
  try {
    for await (const name of files.names(base === '' ? '.' : base)) {
      if (matchName(text(word), text(name))) yield name
    }
  } catch (error) {
    if (error instanceof LimitExceeded) throw error
    // A directory that is not there, or not ours to read, has no matches.
  }
}

async function only(paths: readonly string[], is: (path: string) => Promise<boolean>): Promise<string[]> {
  const kept: string[] = []
  for (const path of paths) if (await is(path)) kept.push(path)
  return kept
}

/** Does the name match the pattern of one path component? */
export function matchName(pattern: string, name: string): boolean {
  const tokens = tokensOf(pattern)
  const chars = [...name]
  if (chars[0] === '.' && tokens[0] !== '.') return false
  // The last `*` that was passed, and where in the name it began: on a mismatch it takes one character more.
  let [token, char, star, mark] = [0, 0, -1, 0]
  while (char < chars.length) {
    const here = tokens[token]
    if (here === star_) {
      star = token++
      mark = char
    } else if (here !== undefined && matchesOne(here, chars[char] ?? '')) {
      token++
      char++
    } else if (star >= 0) {
      token = star + 1
      char = ++mark
    } else return false
  }
  return tokens.slice(token).every((rest) => rest === star_)
}

const star_ = Symbol('*')
const any_ = Symbol('?')
interface Class {
  readonly negated: boolean
  readonly ranges: readonly (readonly [string, string])[]
}
/** A string is the character itself. */
type Token = string | typeof star_ | typeof any_ | Class

function matchesOne(token: Token, char: string): boolean {
  if (typeof token === 'string') return token === char
  if (token === any_) return true
  if (typeof token === 'symbol') return false
  return token.ranges.some(([low, high]) => low <= char && char <= high) !== token.negated
}

function tokensOf(pattern: string): readonly Token[] {
  const chars = [...pattern]
  const tokens: Token[] = []
  for (let at = 0; at < chars.length; at++) {
    const char = chars[at] ?? ''
    if (char === '*') {
      if (tokens.at(-1) !== star_) tokens.push(star_)
    } else if (char === '?') tokens.push(any_)
    else if (char === '\\' && at + 1 < chars.length) tokens.push(chars[++at] ?? '')
    else if (char === '[') {
      const end = classEnd(chars, at)
      if (end === undefined) tokens.push(char)
      else {
        tokens.push(classOf(chars.slice(at + 1, end)))
        at = end
      }
    } else tokens.push(char)
  }
  return tokens
}

/** Where the `]` stands; one right after `[` or `[!` is a member. */
function classEnd(chars: readonly string[], open: number): number | undefined {
  const first = chars[open + 1] === '!' || chars[open + 1] === '^' ? open + 2 : open + 1
  const end = chars.indexOf(']', first + 1)
  return end < 0 ? undefined : end
}

function classOf(inside: readonly string[]): Class {
  const negated = inside[0] === '!' || inside[0] === '^'
  const chars = negated ? inside.slice(1) : inside
  const ranges: [string, string][] = []
  for (let at = 0; at < chars.length; at++) {
    const low = chars[at] ?? ''
    const isRange = chars[at + 1] === '-' && at + 2 < chars.length
    ranges.push([low, isRange ? (chars[at + 2] ?? low) : low])
    if (isRange) at += 2
  }
  return { negated, ranges }
}
