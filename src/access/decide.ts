/**
 * Who may log in where, with which permissions and for how long. Pure: facts in, a decision with its reason out. A deny
 * wins over every allow; what no role allows is denied.
 */

import { isLogin } from '../common/names.ts'
import { quote } from '../common/text.ts'
import { describeSelector, matchLabels } from './labels.ts'
import { allowingLogin, deniesAllLogins, denyingLogin, loginsOf } from './logins.ts'
import type { Decision, LabelSelector, Labels, Role, Traits } from './types.ts'

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
  return loginDenied(ask) ?? loginAllowed(ask) ?? { allow: false, reason: whyNot(ask) }
}

/** As in the original, a denied label denies every login, and a denied login is denied on every node. */
function loginDenied({ roles, traits, login, nodeLabels }: LoginAsk): Decision | undefined {
  for (const { metadata, spec } of roles) {
    const role = metadata.name
    const entry = denyingLogin(spec.deny, login, traits)
    if (entry !== undefined) {
      const reason = `role ${quote(role)} denies the login ${quote(login)}`
      return { allow: false, reason, role, conditions: [`deny.logins ${entry}`] }
    }
    if (matchLabels(spec.deny.node_labels, nodeLabels, traits) !== 'no match') {
      const reason = `role ${quote(role)} denies nodes with these labels`
      return { allow: false, reason, role, conditions: [`deny.node_labels ${describeSelector(spec.deny.node_labels)}`] }
    }
  }
  return undefined
}

function loginAllowed({ roles, traits, login, nodeLabels }: LoginAsk): Decision | undefined {
  for (const { metadata, spec } of roles) {
    const entry = allowingLogin(spec.allow, login, traits)
    if (entry === undefined) continue
    if (matchLabels(spec.allow.node_labels, nodeLabels, traits) !== 'match') continue
    const conditions = [`allow.logins ${entry}`, `allow.node_labels ${describeSelector(spec.allow.node_labels)}`]
    return { allow: true, reason: `role ${quote(metadata.name)} allows it`, role: metadata.name, conditions }
  }
  return undefined
}

function whyNot({ roles, traits, login }: LoginAsk): string {
  if (roles.length === 0) return 'the user has no roles'
  if (!roles.some(({ spec }) => allowingLogin(spec.allow, login, traits) !== undefined)) {
    return `no role allows the login ${quote(login)}`
  }
  return 'no role allows that login on nodes with these labels'
}

/**
 * May the node make the account that this allowed login lacks? Only by a role that itself allows this login there: what a role says of
 * one environment must not make accounts in another.
 */
export function decideHostUser(ask: LoginAsk): Decision {
  const decision = decideLogin(ask)
  if (!decision.allow) return decision
  const makers = ask.roles.filter(({ spec }) => spec.options.create_host_user)
  const made = loginAllowed({ ...ask, roles: makers })
  return made ?? { allow: false, reason: 'no role that allows it has create_host_user' }
}

/** The logins that `decideLogin` would allow on a node with these labels, sorted, each once. Empty: not even listed. */
export function loginsFor(subject: Subject, nodeLabels: Labels): readonly string[] {
  return allLogins(subject).filter((login) => decideLogin({ ...subject, login, nodeLabels }).allow)
}

/** The logins allowed on any node: the principals of a certificate. Denied logins are left out. Sorted, each once. */
export function allLogins(subject: Subject): readonly string[] {
  const { roles, traits } = subject
  if (roles.some(({ spec }) => deniesAllLogins(spec.deny))) return []
  const denied = new Set(roles.flatMap(({ spec }) => loginsOf(spec.deny, traits)))
  const allowed = new Set(roles.flatMap(({ spec }) => loginsOf(spec.allow, traits)))
  return [...allowed].filter((login) => !denied.has(login)).sort()
}

/** May the subject see the node in a listing? Yes when any login there is allowed. */
export function canSeeNode({ roles, traits }: Subject, nodeLabels: Labels): boolean {
  const matches = (selector: LabelSelector) => matchLabels(selector, nodeLabels, traits)
  if (roles.some(({ spec }) => deniesAllLogins(spec.deny) || matches(spec.deny.node_labels) !== 'no match'))
    return false
  return roles.some(
    ({ spec }) =>
      matches(spec.allow.node_labels) === 'match' &&
      loginsOf(spec.allow, traits).some(
        (login) => !roles.some((role) => denyingLogin(role.spec.deny, login, traits) !== undefined),
      ),
  )
}

/** Limits of a user certificate's lifetime, in seconds. Source: Teleport 7, MinCertDuration and MaxCertDuration. */
const MIN_SESSION_TTL_SECONDS = 60
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

/** Do certificates hold only from the address where they were asked for? One role that says so is enough: the strictest wins. */
export const pinsSourceAddress = (roles: readonly Role[]): boolean =>
  roles.some(({ spec }) => spec.options.pin_source_ip)

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
