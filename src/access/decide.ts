/**
 * Who may log in where, with which permissions and for how long. Pure: facts in, a decision with its reason out. A deny
 * wins over every allow; what no role allows is denied.
 */

import { isLogin } from '../common/names.ts'
import { quote } from '../common/text.ts'
import { matchLabels } from './labels.ts'
import { expandTemplate, parseTemplate } from './traits.ts'
import type { Decision, Labels, Role, RoleConditions, Traits } from './types.ts'

export interface Subject {
  readonly roles: readonly Role[]
  readonly traits: Traits
}

export interface LoginAsk extends Subject {
  /** The OS account. */
  readonly login: string
  readonly nodeLabels: Labels
}

/** May the subject log in as this OS account on a node with these labels? */
export function decideLogin(ask: LoginAsk): Decision {
  if (!isLogin(ask.login)) return { allow: false, reason: `${quote(ask.login)} is not a valid login` }
  const denied = denial(ask)
  if (denied !== undefined) return denied
  for (const { metadata, spec } of ask.roles) {
    if (!loginsOf(spec.allow, ask.traits).includes(ask.login)) continue
    if (matchLabels(spec.allow.node_labels, ask.nodeLabels, ask.traits) === 'match') {
      return { allow: true, reason: `role ${quote(metadata.name)} allows it`, role: metadata.name }
    }
  }
  return { allow: false, reason: whyNot(ask) }
}

/** As in the original, a denied label denies every login, and a denied login is denied on every node. */
function denial(ask: LoginAsk): Decision | undefined {
  for (const { metadata, spec } of ask.roles) {
    const role = metadata.name
    if (loginsOf(spec.deny, ask.traits).includes(ask.login) || spec.deny.logins.includes('*')) {
      return { allow: false, reason: `role ${quote(role)} denies the login ${quote(ask.login)}`, role }
    }
    if (deniesNode(spec.deny, ask))
      return { allow: false, reason: `role ${quote(role)} denies nodes with these labels`, role }
  }
  return undefined
}

const deniesNode = (deny: RoleConditions, ask: { nodeLabels: Labels; traits: Traits }): boolean =>
  matchLabels(deny.node_labels, ask.nodeLabels, ask.traits) !== 'no match'

function whyNot(ask: LoginAsk): string {
  if (ask.roles.length === 0) return 'the user has no roles'
  if (!ask.roles.some(({ spec }) => loginsOf(spec.allow, ask.traits).includes(ask.login))) {
    return `no role allows the login ${quote(ask.login)}`
  }
  return 'no role allows that login on nodes with these labels'
}

/** The OS accounts that a condition names, traits filled in. What is no valid login is left out. */
function loginsOf(conditions: RoleConditions, traits: Traits): readonly string[] {
  return conditions.logins.flatMap((text) => {
    try {
      return expandTemplate(parseTemplate(text), traits).filter(isLogin)
    } catch {
      return []
    }
  })
}

/** The logins that `decideLogin` would allow on a node with these labels, sorted, each once. Empty: not even listed. */
export function loginsFor(subject: Subject, nodeLabels: Labels): readonly string[] {
  return allLogins(subject).filter((login) => decideLogin({ ...subject, login, nodeLabels }).allow)
}

/** The logins allowed on any node: the principals of a certificate. Denied logins are left out. Sorted, each once. */
export function allLogins(subject: Subject): readonly string[] {
  const { roles, traits } = subject
  if (roles.some(({ spec }) => spec.deny.logins.includes('*'))) return []
  const denied = new Set(roles.flatMap(({ spec }) => loginsOf(spec.deny, traits)))
  const allowed = new Set(roles.flatMap(({ spec }) => loginsOf(spec.allow, traits)))
  return [...allowed].filter((login) => !denied.has(login)).sort()
}

/** May the subject see the node in a listing? Yes when any login there is allowed. */
export const canSeeNode = (subject: Subject, nodeLabels: Labels): boolean => loginsFor(subject, nodeLabels).length > 0

/** Limits of a user certificate's lifetime, in seconds. Source: Teleport 7, MinCertDuration and MaxCertDuration. */
export const MIN_SESSION_TTL_SECONDS = 60
export const MAX_SESSION_TTL_SECONDS = 30 * 3600

/**
 * Lifetime of a user certificate in seconds: what was asked for, or the cluster's default, at most the smallest
 * `max_session_ttl` of the roles, always within 60 to 108000.
 */
export function sessionTtlSeconds(
  roles: readonly Role[],
  requestedSeconds: number | undefined,
  defaultSeconds: number,
): number {
  const wanted = requestedSeconds ?? defaultSeconds
  const caps = roles
    .map((role) => Math.floor(role.spec.options.max_session_ttl / 1000))
    .filter((seconds) => seconds > 0)
  const ttl = Math.min(Number.isFinite(wanted) ? Math.floor(wanted) : defaultSeconds, ...caps, MAX_SESSION_TTL_SECONDS)
  return Math.max(MIN_SESSION_TTL_SECONDS, ttl)
}

export interface Permissions {
  readonly pty: boolean
  readonly portForwarding: boolean
  readonly agentForwarding: boolean
  readonly x11Forwarding: boolean
}

/** What the roles allow inside a session. As in the original one role that allows is enough; no role allows nothing. */
export function permissions(roles: readonly Role[]): Permissions {
  return {
    pty: roles.length > 0,
    portForwarding: roles.some((role) => role.spec.options.port_forwarding),
    agentForwarding: roles.some((role) => role.spec.options.forward_agent),
    x11Forwarding: roles.some((role) => role.spec.options.permit_x11_forwarding),
  }
}
