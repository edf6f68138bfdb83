/**
 * Asks a condition. With three answers: a condition about something that is not known yet (the resource, before it was read) is
 * neither true nor false, and the caller decides what that means for a grant and what for a denial.
 */

import { assertNever } from '../../errors/errors.ts'
import type { Facts, Operand, Predicate } from './types.ts'

export type Answer = boolean | 'unknown'

export function evaluate(predicate: Predicate, facts: Facts): Answer {
  switch (predicate.type) {
    case 'and':
      return decide(predicate.parts, facts, false)
    case 'or':
      return decide(predicate.parts, facts, true)
    case 'not': {
      const answer = evaluate(predicate.part, facts)
      return answer === 'unknown' ? answer : !answer
    }
    case 'equals':
    case 'contains': {
      const left = textsOf(predicate.left, facts)
      const right = textsOf(predicate.right, facts)
      if (left === undefined || right === undefined) return 'unknown'
      return predicate.type === 'equals' ? same(left, right) : left.includes(right[0] ?? '')
    }
    default:
      return assertNever(predicate)
  }
}

/** One part that has this answer decides. */
function decide(parts: readonly Predicate[], facts: Facts, deciding: boolean): Answer {
  let unknown = false
  for (const part of parts) {
    const answer = evaluate(part, facts)
    if (answer === deciding) return deciding
    unknown ||= answer === 'unknown'
  }
  return unknown ? 'unknown' : !deciding
}

/** One text is a list of one; a name that a map does not have is an empty text, or an empty list, as in the original. */
function textsOf(operand: Operand, facts: Facts): readonly string[] | undefined {
  if (operand.type === 'literal') return [operand.text]
  const value = facts(operand.path)
  if (value === undefined) return undefined
  if (typeof value === 'string') return [value]
  if (isList(value)) return value
  const { key = '' } = operand
  const entry = Object.hasOwn(value, key) ? value[key] : undefined
  if (entry === undefined) return operand.holds === 'map of text' ? [''] : []
  return typeof entry === 'string' ? [entry] : entry
}

const isList = (value: unknown): value is readonly string[] => Array.isArray(value)

const same = (left: readonly string[], right: readonly string[]): boolean =>
  left.length === right.length && left.every((text, index) => text === right[index])
