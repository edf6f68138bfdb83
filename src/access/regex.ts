/**
 * Regular expressions for label selectors in time linear in the text, whatever the pattern: V8's engine backtracks, so
 * that `^(a+)+$` in a role would stop the proxy. The usual subset of RE2: literals, `.`, classes, groups, alternation,
 * `* + ? {n,m}`, `^ $`, `\d \w \s`, `(?i)`. No look-around, no back-references. ADR: docs/decisions/label-regex.md.
 */

import { BadParameter } from '../errors/errors.ts'

const MAX_PATTERN = 512
const MAX_REPEAT = 100
const MAX_PROGRAM = 4000
const MAX_DEPTH = 32

type Test = (char: string) => boolean

type Node =
  | { readonly type: 'char'; readonly test: Test }
  | { readonly type: 'start' | 'end' | 'empty' }
  | { readonly type: 'sequence' | 'choice'; readonly parts: readonly Node[] }
  | { readonly type: 'repeat'; readonly part: Node; readonly min: number; readonly max: number }

type Step =
  | { readonly op: 'char'; readonly test: Test }
  | { readonly op: 'start' | 'end' | 'match' }
  | { readonly op: 'jump'; to: number }
  | { readonly op: 'split'; to: number; other: number }

/** A test for a whole text. Throws BadParameter that says what in the pattern is not supported. */
export function compileRegex(pattern: string): (text: string) => boolean {
  if (pattern.length > MAX_PATTERN) throw bad(`is longer than ${MAX_PATTERN} characters`)
  const program: Step[] = []
  emit(new Parser(pattern).parse(), program)
  program.push({ op: 'match' })
  return (text) => run(program, [...text])
}

function bad(why: string): BadParameter {
  return new BadParameter('pattern', `the regular expression ${why}`)
}

class Parser {
  readonly #chars: readonly string[]
  #at = 0
  #ignoreCase = false
  #depth = 0

  constructor(pattern: string) {
    this.#chars = [...pattern]
  }

  parse(): Node {
    const node = this.#choice()
    if (this.#at < this.#chars.length) throw bad('has a ")" without "("')
    return node
  }

  #choice(): Node {
    if (++this.#depth > MAX_DEPTH) throw bad(`nests more than ${MAX_DEPTH} groups`)
    const ignoreCase = this.#ignoreCase
    const parts = [this.#sequence()]
    while (this.#take('|')) parts.push(this.#sequence())
    this.#ignoreCase = ignoreCase
    this.#depth--
    return parts.length === 1 ? (parts[0] ?? { type: 'empty' }) : { type: 'choice', parts }
  }

  #sequence(): Node {
    const parts: Node[] = []
    for (let char = this.#peek(); char !== undefined && char !== '|' && char !== ')'; char = this.#peek()) {
      parts.push(this.#repeated(this.#atom()))
    }
    return { type: 'sequence', parts }
  }

  #repeated(atom: Node): Node {
    const counts = this.#counts()
    if (counts === undefined) return atom
    // Lazy or greedy makes no difference to whether a whole text matches.
    this.#take('?')
    if (this.#counts() !== undefined) throw bad('repeats a repetition')
    if (atom.type === 'start' || atom.type === 'end') throw bad('repeats "^" or "$"')
    return { type: 'repeat', part: atom, ...counts }
  }

  #counts(): { min: number; max: number } | undefined {
    if (this.#take('*')) return { min: 0, max: Number.POSITIVE_INFINITY }
    if (this.#take('+')) return { min: 1, max: Number.POSITIVE_INFINITY }
    if (this.#take('?')) return { min: 0, max: 1 }
    if (this.#peek() !== '{') return undefined
    const match = /^\{(\d{1,4})(?:(,)(\d{1,4})?)?\}/.exec(this.#chars.slice(this.#at, this.#at + 12).join(''))
    if (match === null) throw bad('has a "{" that is not a repetition; write \\{ for the character')
    this.#at += match[0].length
    const min = Number(match[1])
    const max = match[2] === undefined ? min : match[3] === undefined ? Number.POSITIVE_INFINITY : Number(match[3])
    if (min > max || min > MAX_REPEAT || (max > MAX_REPEAT && max !== Number.POSITIVE_INFINITY)) {
      throw bad(`has a repetition above ${MAX_REPEAT} or in the wrong order`)
    }
    return { min, max }
  }

  #atom(): Node {
    const char = this.#next()
    switch (char) {
      case '(':
        return this.#group()
      case '[':
        return { type: 'char', test: this.#class() }
      case '.':
        return { type: 'char', test: (other) => other !== '\n' }
      case '^':
        return { type: 'start' }
      case '$':
        return { type: 'end' }
      case '\\':
        return { type: 'char', test: this.#escape() }
      case '*':
      case '+':
      case '?':
      case '{':
        throw bad(`repeats nothing with "${char}"`)
      default:
        return { type: 'char', test: this.#literal(char) }
    }
  }

  #group(): Node {
    if (this.#take('?')) {
      if (this.#take('i')) {
        if (!this.#take(')')) throw bad('uses a group option other than (?i) and (?:')
        this.#ignoreCase = true
        return { type: 'empty' }
      }
      if (!this.#take(':')) throw bad('uses look-around or a group option other than (?i) and (?:')
    }
    const node = this.#choice()
    if (!this.#take(')')) throw bad('has a "(" without ")"')
    return node
  }

  #literal(char: string): Test {
    if (!this.#ignoreCase) return (other) => other === char
    const lower = char.toLowerCase()
    return (other) => other.toLowerCase() === lower
  }

  #escape(): Test {
    const char = this.#next()
    const shorthand = SHORTHANDS[char]
    if (shorthand !== undefined) return shorthand
    return this.#literal(escapedChar(char))
  }

  #class(): Test {
    const negated = this.#take('^')
    const tests: Test[] = []
    for (let first = true; ; first = false) {
      const char = this.#next()
      if (char === ']' && !first) break
      if (char === '[' && this.#peek() === ':') throw bad('uses a named class; write the characters')
      tests.push(this.#classItem(char))
    }
    const any = (char: string) => tests.some((test) => test(char))
    const folded: Test = this.#ignoreCase
      ? (char) => any(char) || any(char.toLowerCase()) || any(char.toUpperCase())
      : any
    return negated ? (char) => !folded(char) : folded
  }

  #classItem(char: string): Test {
    let from = char
    if (char === '\\') {
      const escaped = this.#next()
      const shorthand = SHORTHANDS[escaped]
      if (shorthand !== undefined) return shorthand
      from = escapedChar(escaped)
    }
    if (this.#peek() !== '-' || this.#chars[this.#at + 1] === ']') return (other) => other === from
    this.#next()
    const end = this.#next()
    const to = end === '\\' ? escapedChar(this.#next()) : end
    const [low, high] = [from.codePointAt(0) ?? 0, to.codePointAt(0) ?? 0]
    if (low > high) throw bad('has a range in the wrong order')
    return (other) => {
      const code = other.codePointAt(0) ?? 0
      return code >= low && code <= high
    }
  }

  #peek(): string | undefined {
    return this.#chars[this.#at]
  }

  #next(): string {
    const char = this.#chars[this.#at++]
    if (char === undefined) throw bad('ends too early')
    return char
  }

  #take(char: string): boolean {
    if (this.#peek() !== char) return false
    this.#at++
    return true
  }
}

const isDigit: Test = (char) => /^[0-9]$/.test(char)
const isWord: Test = (char) => /^[A-Za-z0-9_]$/.test(char)
const isSpace: Test = (char) => /^[\t\n\f\r ]$/.test(char)
const SHORTHANDS: Readonly<Record<string, Test>> = {
  d: isDigit,
  D: (char) => !isDigit(char),
  w: isWord,
  W: (char) => !isWord(char),
  s: isSpace,
  S: (char) => !isSpace(char),
}
const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', f: '\f' }

function escapedChar(char: string): string {
  const known = ESCAPES[char]
  if (known !== undefined) return known
  // A letter or digit may mean something elsewhere (\b, \1, \p): better no meaning than the wrong one.
  if (/[A-Za-z0-9]/.test(char)) throw bad(`uses \\${char}, which is not supported`)
  return char
}

function emit(node: Node, program: Step[]): void {
  if (program.length > MAX_PROGRAM) throw bad('is too large; use fewer or smaller repetitions')
  switch (node.type) {
    case 'char':
      program.push({ op: 'char', test: node.test })
      return
    case 'start':
    case 'end':
      program.push({ op: node.type })
      return
    case 'empty':
      return
    case 'sequence':
      for (const part of node.parts) emit(part, program)
      return
    case 'choice':
      emitChoice(node.parts, program)
      return
    case 'repeat':
      emitRepeat(node, program)
      return
  }
}

function emitChoice(parts: readonly Node[], program: Step[]): void {
  const jumps: { to: number }[] = []
  for (const [index, part] of parts.entries()) {
    if (index === parts.length - 1) {
      emit(part, program)
      break
    }
    const split = { op: 'split' as const, to: program.length + 1, other: 0 }
    program.push(split)
    emit(part, program)
    const jump = { op: 'jump' as const, to: 0 }
    program.push(jump)
    jumps.push(jump)
    split.other = program.length
  }
  for (const jump of jumps) jump.to = program.length
}

function emitRepeat(node: Extract<Node, { type: 'repeat' }>, program: Step[]): void {
  for (let count = 0; count < node.min; count++) emit(node.part, program)
  if (node.max === Number.POSITIVE_INFINITY) {
    const split = { op: 'split' as const, to: program.length + 1, other: 0 }
    program.push(split)
    emit(node.part, program)
    program.push({ op: 'jump', to: program.indexOf(split) })
    split.other = program.length
    return
  }
  const splits: { other: number }[] = []
  for (let count = node.min; count < node.max; count++) {
    const split = { op: 'split' as const, to: program.length + 1, other: 0 }
    program.push(split)
    splits.push(split)
    emit(node.part, program)
  }
  for (const split of splits) split.other = program.length
}

/** Thompson's simulation: all states at once, each at most once per character. */
function run(program: readonly Step[], text: readonly string[]): boolean {
  let current = follow(program, [0], 0, text.length)
  for (let position = 0; position < text.length; position++) {
    const char = text[position] ?? ''
    const next: number[] = []
    for (const index of current) {
      const step = program[index]
      if (step?.op === 'char' && step.test(char)) next.push(index + 1)
    }
    if (next.length === 0) return false
    current = follow(program, next, position + 1, text.length)
  }
  return [...current].some((index) => program[index]?.op === 'match')
}

function follow(program: readonly Step[], from: readonly number[], position: number, length: number): Set<number> {
  const reached = new Set<number>()
  const stack = [...from]
  for (let index = stack.pop(); index !== undefined; index = stack.pop()) {
    if (reached.has(index)) continue
    reached.add(index)
    const step = program[index]
    if (step === undefined) continue
    if (step.op === 'jump') stack.push(step.to)
    else if (step.op === 'split') stack.push(step.other, step.to)
    else if (step.op === 'start' && position === 0) stack.push(index + 1)
    else if (step.op === 'end' && position === length) stack.push(index + 1)
  }
  return reached
}
