/** Who may create, read, list, update and delete resources through the API. Pure, like every decision here. */

import { quote } from '../common/text.ts'
import { type NamedResource, type ResourceFacts, type RuleSubject, ruleFacts, ruleVocabulary } from './facts.ts'
import { type Answer, evaluate } from './predicate/evaluate.ts'
import { parsePredicate } from './predicate/parse.ts'
import type { Predicate } from './predicate/types.ts'
import type { Decision, Rule } from './types.ts'

export type Verb = 'create' | 'read' | 'readnosecrets' | 'list' | 'update' | 'delete' | 'rotate'

export interface RuleAsk {
  /** A kind of resource such as `user` or `token`. */
  readonly kind: string
  readonly verb: Verb
  /** Absent: about no one resource. Conditions about it then allow nothing, and deny. */
  readonly resource?: ResourceFacts | NamedResource
  /**
   * The question is only whether there may be a resource for which the answer is yes; the one who asks so asks again for each. A
   * condition about the resource then neither forbids nor grants.
   */
  readonly perhaps?: boolean
}

/** A deny rule of any role wins. */
export function checkRule(subject: RuleSubject, ask: RuleAsk): Decision {
  const { kind, verb, resource, perhaps = false } = ask
  const facts = ruleFacts(subject, kind, resource)
  const holds = (rule: Rule): Answer => holdsFor(rule, facts)
  const what = resource === undefined ? kind : `${kind} ${quote(resource.name)}`
  for (const { metadata, spec } of subject.roles) {
    const denying = spec.deny.rules.find((rule) => denies(rule, kind, verb) && isDenial(holds(rule), perhaps))
    if (denying === undefined) continue
    const reason = `role ${quote(metadata.name)} denies to ${verb} ${what}`
    return { allow: false, reason, role: metadata.name, conditions: [`deny.rules ${describeRule(denying)}`] }
  }
  let conditional = false
  for (const { metadata, spec } of subject.roles) {
    const covering = spec.allow.rules.filter((rule) => covers(rule, kind, verb))
    const granting = covering.find((rule) => isGrant(holds(rule), perhaps))
    conditional ||= covering.length > 0
    if (granting === undefined) continue
    const reason = `role ${quote(metadata.name)} allows to ${verb} ${what}`
    return { allow: true, reason, role: metadata.name, conditions: [`allow.rules ${describeRule(granting)}`] }
  }
  // The same for a resource that does not exist and for one that the condition excludes.
  const reason = conditional
    ? `no role allows to ${verb} ${what} (there are conditions)`
    : `no role allows to ${verb} ${kind}`
  return { allow: false, reason }
}

const isDenial = (answer: Answer, perhaps: boolean): boolean => answer === true || (answer === 'unknown' && !perhaps)
const isGrant = (answer: Answer, perhaps: boolean): boolean => answer === true || (answer === 'unknown' && perhaps)

/** Rules are values that never change. */
const conditions = new WeakMap<Rule, Predicate | 'unreadable'>()

/** Throws BadParameter with the place of what cannot be read. */
export const parseWhere = (text: string): Predicate => parsePredicate(text, ruleVocabulary)

/** `unknown` for a condition that cannot be read: it denies, and grants nothing. */
function holdsFor(rule: Rule, facts: Parameters<typeof evaluate>[1]): Answer {
  if (rule.where === undefined) return true
  let condition = conditions.get(rule)
  if (condition === undefined) {
    condition = readCondition(rule.where)
    conditions.set(rule, condition)
  }
  return condition === 'unreadable' ? 'unknown' : evaluate(condition, facts)
}

function readCondition(where: string): Predicate | 'unreadable' {
  try {
    return parseWhere(where)
  } catch {
    return 'unreadable'
  }
}

function covers(rule: Rule, kind: string, verb: Verb): boolean {
  if (!has(rule.resources, kind)) return false
  // Who may read with secrets may read without them.
  return has(rule.verbs, verb) || (verb === 'readnosecrets' && has(rule.verbs, 'read'))
}

function denies(rule: Rule, kind: string, verb: Verb): boolean {
  if (!has(rule.resources, kind)) return false
  // Who may not even read without secrets may not read with them.
  return has(rule.verbs, verb) || (verb === 'read' && has(rule.verbs, 'readnosecrets'))
}

const has = (list: readonly string[], item: string): boolean => list.includes(item) || list.includes('*')

const describeRule = ({ resources, verbs, where }: Rule): string =>
  `${resources.join(',')}: ${verbs.join(',')}${where === undefined ? '' : ` where ${where}`}`
