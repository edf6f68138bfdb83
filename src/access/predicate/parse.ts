/** From a text to a tree. Every name, every type and every bound is checked here, so that asking the tree cannot fail. */

import { nearest, quote } from '../../common/text.ts'
import type { BadParameter } from '../../errors/errors.ts'
import { problemAt, type Token, tokenize } from './tokens.ts'
import type { FieldType, Operand, Predicate, Vocabulary } from './types.ts'

const MAX_DEPTH = 32
const FUNCTIONS = ['equals', 'contains'] as const

/** Throws BadParameter that names the place and what is not known there. */
export function parsePredicate(text: string, vocabulary: Vocabulary): Predicate {
  return new Parser(tokenize(text), vocabulary).parse()
}

class Parser {
  readonly #tokens: readonly Token[]
  readonly #vocabulary: Vocabulary
  #next = 0
  #depth = 0

  constructor(tokens: readonly Token[], vocabulary: Vocabulary) {
    this.#tokens = tokens
    this.#vocabulary = vocabulary
  }

  parse(): Predicate {
    const whole = this.#or()
    const rest = this.#peek()
    if (rest.type !== 'end') throw unexpected(rest, '"&&", "||" or the end')
    return whole
  }

  #or(): Predicate {
    if (++this.#depth > MAX_DEPTH) throw problemAt(this.#peek().at, `more than ${MAX_DEPTH} levels of parentheses`)
    const parts = [this.#and()]
    while (this.#take('||')) parts.push(this.#and())
    this.#depth--
    return single('or', parts)
  }

  #and(): Predicate {
    const parts = [this.#not()]
    while (this.#take('&&')) parts.push(this.#not())
    return single('and', parts)
  }

  #not(): Predicate {
    let negated = false
    while (this.#take('!')) negated = !negated
    const part = this.#primary()
    return negated ? { type: 'not', part } : part
  }

  #primary(): Predicate {
    if (this.#take('(')) {
      const inner = this.#or()
      this.#expect(')')
      return inner
    }
    const token = this.#peek()
    if (token.type !== 'name') throw unexpected(token, 'a function such as equals(…) or contains(…)')
    this.#next++
    const type = FUNCTIONS.find((known) => known === token.value)
    if (type === undefined) throw unknownFunction(token)
    this.#expect('(')
    const left = this.#operand()
    this.#expect(',')
    const right = this.#operand()
    this.#expect(')')
    checkTypes(type, left, right, token.at)
    return { type, left, right }
  }

  #operand(): Operand {
    const token = this.#peek()
    this.#next++
    if (token.type === 'text') return { type: 'literal', text: token.value }
    if (token.type !== 'name') throw unexpected(token, 'a text in double quotes or a field')
    const path = this.#path(token)
    const holds = Object.hasOwn(this.#vocabulary, path) ? this.#vocabulary[path] : undefined
    if (holds === undefined) throw this.#unknownField(token, path)
    if (!holds.startsWith('map')) return { type: 'field', path, holds }
    if (!this.#take('[')) throw unexpected(this.#peek(), `["name"], since ${path} holds several`)
    const key = this.#peek()
    if (key.type !== 'text') throw unexpected(key, 'a name in double quotes')
    this.#next++
    this.#expect(']')
    return { type: 'field', path, holds, key: key.value }
  }

  #path(first: Token): string {
    const names = [first.value]
    while (this.#take('.')) {
      const name = this.#peek()
      if (name.type !== 'name') throw unexpected(name, 'a name after "."')
      this.#next++
      names.push(name.value)
    }
    const path = names.join('.')
    // A function without arguments is a field with another spelling.
    if (Object.hasOwn(this.#vocabulary, `${path}()`) && this.#take('(')) {
      this.#expect(')')
      return `${path}()`
    }
    return path
  }

  #unknownField(token: Token, path: string): BadParameter {
    const known = Object.keys(this.#vocabulary)
    const near = nearest(path, known)
    const hint = near === undefined ? `; known are ${known.join(', ')}` : `; did you mean ${near}?`
    return problemAt(token.at, `${quote(path)}, which is not known here${hint}`)
  }

  #peek(): Token {
    return this.#tokens[this.#next] ?? { type: 'end', value: '', at: 0 }
  }

  #take(sign: string): boolean {
    const token = this.#peek()
    if (token.type !== 'sign' || token.value !== sign) return false
    this.#next++
    return true
  }

  #expect(sign: string): void {
    if (!this.#take(sign)) throw unexpected(this.#peek(), `"${sign}"`)
  }
}

function single(type: 'and' | 'or', parts: readonly Predicate[]): Predicate {
  const [only] = parts
  return parts.length === 1 && only !== undefined ? only : { type, parts }
}

function unexpected(token: Token, wanted: string): BadParameter {
  return problemAt(token.at, `${token.type === 'end' ? 'its end' : quote(token.value)} where ${wanted} is expected`)
}

function unknownFunction(token: Token): BadParameter {
  return problemAt(
    token.at,
    `the function ${quote(token.value)}, which does not exist; there are ${FUNCTIONS.join(' and ')}`,
  )
}

function checkTypes(type: 'equals' | 'contains', left: Operand, right: Operand, at: number): void {
  const types = `${typeOf(left)} and ${typeOf(right)}`
  if (type === 'contains' && types !== 'texts and text') {
    throw problemAt(at, `contains(…) of ${types}; it takes a list and one text`)
  }
  if (type === 'equals' && typeOf(left) !== typeOf(right)) {
    throw problemAt(at, `equals(…) of ${types}, which are never equal`)
  }
}

function typeOf(operand: Operand): 'text' | 'texts' {
  const holds: FieldType = operand.type === 'literal' ? 'text' : operand.holds
  return holds.endsWith('texts') ? 'texts' : 'text'
}
