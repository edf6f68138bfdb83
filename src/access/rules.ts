/** Who may create, read, list, update and delete resources through the API. */

import { quote } from '../common/text.ts'
import type { Decision, Role, Rule } from './types.ts'

export type Verb = 'create' | 'read' | 'readnosecrets' | 'list' | 'update' | 'delete' | 'rotate'

/** `resource` is a kind such as `user` or `token`. A deny rule of any role wins. */
export function checkRule(roles: readonly Role[], resource: string, verb: Verb): Decision {
  for (const { metadata, spec } of roles) {
    if (spec.deny.rules.some((rule) => denies(rule, resource, verb))) {
      return { allow: false, reason: `role ${quote(metadata.name)} denies to ${verb} ${resource}`, role: metadata.name }
    }
  }
  for (const { metadata, spec } of roles) {
    if (spec.allow.rules.some((rule) => covers(rule, resource, verb))) {
      return { allow: true, reason: `role ${quote(metadata.name)} allows to ${verb} ${resource}`, role: metadata.name }
    }
  }
  return { allow: false, reason: `no role allows to ${verb} ${resource}` }
}

function covers(rule: Rule, resource: string, verb: Verb): boolean {
  if (!matchesResource(rule, resource)) return false
  // Who may read with secrets may read without them.
  return has(rule.verbs, verb) || (verb === 'readnosecrets' && has(rule.verbs, 'read'))
}

function denies(rule: Rule, resource: string, verb: Verb): boolean {
  if (!matchesResource(rule, resource)) return false
  // Who may not even read without secrets may not read with them.
  return has(rule.verbs, verb) || (verb === 'read' && has(rule.verbs, 'readnosecrets'))
}

const matchesResource = (rule: Rule, resource: string): boolean => has(rule.resources, resource)
const has = (list: readonly string[], item: string): boolean => list.includes(item) || list.includes('*')
