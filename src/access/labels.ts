/** Label selectors. An empty selector matches nothing: a forgotten field must never grant access. */

import { quote } from '../common/text.ts'
import { BadParameter } from '../errors/errors.ts'
import { compileRegex } from './regex.ts'
import { expandTemplate, parseTemplate } from './traits.ts'
import type { LabelSelector, Labels, Traits } from './types.ts'

type Matcher = (value: string) => boolean

/** Selectors are few and asked for all the time; the bound keeps a hostile set of roles from growing it. */
const MAX_CACHED = 2000
const cache = new Map<string, Matcher | undefined>()

/**
 * One selector value: `^…$` is a regular expression, `*` stands for any text, the rest is literal. Case counts.
 * Throws BadParameter for a pattern that cannot be read.
 */
export function compileSelectorValue(pattern: string): Matcher {
  if (pattern === '*') return () => true
  if (pattern.startsWith('^') && pattern.endsWith('$')) return compileRegex(pattern)
  if (!pattern.includes('*')) return (value) => value === pattern
  return compileGlob(pattern)
}

function compileGlob(pattern: string): Matcher {
  if (pattern.length > 512)
    throw new BadParameter('pattern', `the pattern ${quote(pattern)} is longer than 512 characters`)
  const [first = '', ...rest] = pattern.split('*')
  const last = rest.pop() ?? ''
  return (value) => {
    if (value.length < first.length + last.length || !value.startsWith(first) || !value.endsWith(last)) return false
    const end = value.length - last.length
    let at = first.length
    for (const part of rest) {
      // The leftmost place is always good enough: what follows only gets more room.
      const found = value.indexOf(part, at)
      if (found === -1 || found + part.length > end) return false
      at = found + part.length
    }
    return true
  }
}

/**
 * `match` when every label of the selector is there with a fitting value, or the selector is `'*': '*'`. `unreadable`
 * when it has a pattern that cannot be read: grants treat that as no match, denials as a match.
 */
export function matchLabels(
  selector: LabelSelector,
  labels: Labels,
  traits: Traits,
): 'match' | 'no match' | 'unreadable' {
  const entries = Object.entries(selector)
  if (entries.length === 0) return 'no match'
  const wildcard = Object.hasOwn(selector, '*') ? selector['*'] : undefined
  if (wildcard?.length === 1 && wildcard[0] === '*') return 'match'
  let unreadable = false
  for (const [name, values] of entries) {
    const result = matchOne(name, values, labels, traits)
    if (result === 'no match') return 'no match'
    if (result === 'unreadable') unreadable = true
  }
  return unreadable ? 'unreadable' : 'match'
}

function matchOne(
  name: string,
  patterns: readonly string[],
  labels: Labels,
  traits: Traits,
): ReturnType<typeof matchLabels> {
  const names = expand(name, traits)
  // As in the original: of several names, the first counts.
  const key = names?.[0]
  if (names === undefined) return 'unreadable'
  if (key === undefined || !Object.hasOwn(labels, key)) return 'no match'
  const value = labels[key] ?? ''
  let unreadable = false
  for (const pattern of patterns) {
    if (pattern.includes('{{')) {
      const expanded = expand(pattern, traits)
      if (expanded?.includes(value)) return 'match'
      unreadable ||= expanded === undefined
    } else {
      const matcher = cachedMatcher(pattern)
      if (matcher?.(value)) return 'match'
      unreadable ||= matcher === undefined
    }
  }
  return unreadable ? 'unreadable' : 'no match'
}

function expand(text: string, traits: Traits): readonly string[] | undefined {
  if (!text.includes('{{')) return [text]
  try {
    return expandTemplate(parseTemplate(text), traits)
  } catch {
    return undefined
  }
}

function cachedMatcher(pattern: string): Matcher | undefined {
  if (cache.has(pattern)) return cache.get(pattern)
  let matcher: Matcher | undefined
  try {
    matcher = compileSelectorValue(pattern)
  } catch {
    matcher = undefined
  }
  if (cache.size >= MAX_CACHED) cache.clear()
  cache.set(pattern, matcher)
  return matcher
}
