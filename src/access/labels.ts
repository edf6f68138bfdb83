/** Label selectors. An empty selector matches nothing: a forgotten field must never grant access. */

import { quote } from '../common/text.ts'
import { BadParameter } from '../errors/errors.ts'
import { compileRegex } from './regex.ts'
import { expandTemplate, parseTemplate, type Template } from './traits.ts'
import type { LabelSelector, Labels, Traits } from './types.ts'

type Matcher = (value: string) => boolean

/** Many roles have the same patterns; the bound keeps a hostile set of roles from growing it. */
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

/** Of a selector, read once. */
interface Entry {
  /** Absent: it cannot be read. */
  readonly name?: Template
  readonly matchers: readonly Matcher[]
  readonly templates: readonly Template[]
  /** One of its values cannot be read. */
  readonly broken: boolean
}
type Compiled = 'everything' | readonly Entry[]

export type LabelMatch = 'match' | 'no match' | 'unreadable'

/** Roles are values that never change: what was read stays good for as long as the role is there. */
const selectors = new WeakMap<LabelSelector, Compiled>()

/**
 * `match` when every label of the selector is there with a fitting value, or the selector is `'*': '*'`. `unreadable`
 * when it has a pattern that cannot be read: grants treat that as no match, denials as a match.
 */
export function matchLabels(selector: LabelSelector, labels: Labels, traits: Traits): LabelMatch {
  let compiled = selectors.get(selector)
  if (compiled === undefined) {
    compiled = compile(selector)
    selectors.set(selector, compiled)
  }
  if (compiled === 'everything') return 'match'
  if (compiled.length === 0) return 'no match'
  let unreadable = false
  for (const entry of compiled) {
    const result = matchOne(entry, labels, traits)
    if (result === 'no match') return 'no match'
    if (result === 'unreadable') unreadable = true
  }
  return unreadable ? 'unreadable' : 'match'
}

function compile(selector: LabelSelector): Compiled {
  const wildcard = Object.hasOwn(selector, '*') ? selector['*'] : undefined
  if (wildcard?.length === 1 && wildcard[0] === '*') return 'everything'
  return Object.entries(selector).map(([label, values]): Entry => {
    const name = readTemplate(label)
    const plain = values.filter((value) => !value.includes('{{')).map(cachedMatcher)
    const filled = values.filter((value) => value.includes('{{')).map(readTemplate)
    return {
      ...(name === undefined ? {} : { name }),
      matchers: plain.filter((matcher) => matcher !== undefined),
      templates: filled.filter((template) => template !== undefined),
      broken: [...plain, ...filled].includes(undefined),
    }
  })
}

function matchOne({ name, matchers, templates, broken }: Entry, labels: Labels, traits: Traits): LabelMatch {
  if (name === undefined) return 'unreadable'
  // As in the original: of several names, the first counts.
  const [key] = expandTemplate(name, traits)
  if (key === undefined || !Object.hasOwn(labels, key)) return 'no match'
  const value = labels[key] ?? ''
  if (matchers.some((matcher) => matcher(value))) return 'match'
  if (templates.some((template) => expandTemplate(template, traits).includes(value))) return 'match'
  return broken ? 'unreadable' : 'no match'
}

function readTemplate(text: string): Template | undefined {
  // Names and values without braces stand for themselves, whatever else they hold.
  if (!text.includes('{{')) return { prefix: text, suffix: '' }
  try {
    return parseTemplate(text)
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

/** For people: `env=dev|stage, region=^us-.*$`. */
export const describeSelector = (selector: LabelSelector): string =>
  Object.entries(selector)
    .map(([name, values]) => `${name}=${values.join('|')}`)
    .join(', ')
