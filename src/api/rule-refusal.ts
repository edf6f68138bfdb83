/** What the roles of a user say about a call, before its handler looks at anything. */

import { checkRule } from '../access/rules.ts'
import type { Caller } from './caller.ts'
import type { Endpoint, RuleRequirement } from './endpoint.ts'
import { pageEndpoints } from './page-endpoints.ts'
import { refusalOf } from './serve.ts'

/** For `checkRule` of the API. Undefined: not refused. */
/** Why the roles of a user do not allow it; undefined when they do. */
export function refusalByRules(caller: Caller, rule: RuleRequirement): string | undefined {
  if (caller.user === undefined) return 'the connection has no user'
  const { resource: kind, verb, each = false } = rule
  const decision = checkRule(caller.user, { kind, verb, perhaps: each })
  return decision.allow ? undefined : decision.reason
}

/** `METHOD /path` of the calls that the page may make for this user: what the page need not offer is absent. */
export const callsAllowed = (user: NonNullable<Caller['user']>, address: string): readonly string[] => {
  const caller: Caller = { role: 'User', name: user.user, address, user }
  return pageEndpoints.filter((each) => refusalOf(each, caller, refusalByRules) === undefined).map(callName)
}

export const callName = ({ method, path }: Endpoint): string => `${method} ${path}`
