/** Conditions as tokens. One pass, no backtracking; each token knows where it begins, so that errors can say so. */

import { BadParameter } from '../../errors/errors.ts'

export interface Token {
  readonly type: 'name' | 'text' | 'sign' | 'end'
  /** A text without its quotes. */
  readonly value: string
  /** Characters before it. */
  readonly at: number
}

/** UTF-16 units. */
const MAX_LENGTH = 4096

const SIGNS = ['&&', '||', '!', '(', ')', '[', ']', ',', '.'] as const
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\' }

export function problemAt(at: number, what: string): BadParameter {
  return new BadParameter('condition', `the condition has at character ${at + 1}: ${what}`)
}

/** Ends with a token of type `end`. Throws BadParameter with the place. */
export function tokenize(text: string): readonly Token[] {
  if (text.length > MAX_LENGTH) {
    throw new BadParameter('condition', `the condition is longer than ${MAX_LENGTH} characters`)
  }
  const tokens: Token[] = []
  let at = 0
  while (at < text.length) {
    const char = text.charAt(at)
    if (/\s/.test(char)) {
      at++
      continue
    }
    const token = readToken(text, at, char)
    tokens.push(token.token)
    at = token.next
  }
  tokens.push({ type: 'end', value: '', at: text.length })
  return tokens
}

function readToken(text: string, at: number, char: string): { token: Token; next: number } {
  if (char === '"' || char === '`') return readText(text, at, char)
  if (/[A-Za-z_]/.test(char)) {
    let end = at + 1
    while (/[A-Za-z0-9_]/.test(text.charAt(end))) end++
    return { token: { type: 'name', value: text.slice(at, end), at }, next: end }
  }
  const sign = SIGNS.find((candidate) => text.startsWith(candidate, at))
  if (sign !== undefined) return { token: { type: 'sign', value: sign, at }, next: at + sign.length }
  const hint = char === "'" ? '; texts stand in double quotes' : char === '=' ? '; write equals(a, b)' : ''
  throw problemAt(at, `${JSON.stringify(char)}, which means nothing here${hint}`)
}

/** `"…"` with escapes, or as it stands between backticks. */
function readText(text: string, at: number, quote: string): { token: Token; next: number } {
  const parts: string[] = []
  for (let next = at + 1; next < text.length; next++) {
    const char = text.charAt(next)
    if (char === quote) return { token: { type: 'text', value: parts.join(''), at }, next: next + 1 }
    if (char !== '\\' || quote === '`') {
      parts.push(char)
      continue
    }
    next++
    const escaped = text.charAt(next)
    const meant = Object.hasOwn(ESCAPES, escaped) ? ESCAPES[escaped] : undefined
    if (meant === undefined)
      throw problemAt(next - 1, `the escape ${JSON.stringify(`\\${escaped}`)}, which is not known`)
    parts.push(meant)
  }
  throw problemAt(at, 'a text that does not end')
}
