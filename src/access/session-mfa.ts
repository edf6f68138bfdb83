/** Whether a session needs a second factor of its own, and for how long one proof may do for several. Pure. */

import { matchLabels } from './labels.ts'
import type { Labels, Role, Traits } from './types.ts'

export interface SessionMfaAsk {
  readonly roles: readonly Role[]
  readonly traits: Traits
  /** Undefined where no node is meant: then any role that asks for a factor counts. */
  readonly nodeLabels: Labels | undefined
  /** `require_session_mfa` of the cluster. */
  readonly cluster: boolean
}

/**
 * The cluster asks for it, or a role that gives access to the node does. Source: Teleport 7, CheckAccessToServer: roles that do not
 * match the node do not count. A selector that cannot be read counts as one that matches.
 */
export function needsSessionMfa({ roles, traits, nodeLabels, cluster }: SessionMfaAsk): boolean {
  if (cluster) return true
  return roles.some(({ spec }) => {
    if (!spec.options.require_session_mfa) return false
    return nodeLabels === undefined || matchLabels(spec.allow.node_labels, nodeLabels, traits) !== 'no match'
  })
}

/** Could any node ask this user for one? */
export const mayNeedSessionMfa = (roles: readonly Role[], cluster: boolean): boolean =>
  needsSessionMfa({ roles, traits: {}, nodeLabels: undefined, cluster })

/**
 * Milliseconds for which one proof may open sessions on several nodes; 0: not at all. Each role that asks for a factor must allow
 * it, and the shortest counts; where only the cluster asks, roles that say something about it.
 */
export function grantTtlMs(roles: readonly Role[]): number {
  const asking = roles.filter(({ spec }) => spec.options.require_session_mfa)
  const deciding = asking.length > 0 ? asking : roles.filter(({ spec }) => spec.options.session_mfa_grant_ttl > 0)
  const limits = deciding.map(({ spec }) => spec.options.session_mfa_grant_ttl)
  return limits.length === 0 ? 0 : Math.min(...limits)
}

/** A node as targets of a proof name it. */
export interface MfaNode {
  readonly uuid: string
  readonly hostname: string
  readonly labels: Labels
  readonly clusterName: string
}

/** Is the node one of the targets? Each is a uuid, a name with or without the cluster's, or `label=value`. */
export function coversNode(targets: readonly string[], node: MfaNode): boolean {
  const hostname = node.hostname.toLowerCase()
  const names = new Set([node.uuid, hostname, `${hostname}.${node.clusterName}`, `${node.uuid}.${node.clusterName}`])
  return targets.some((target) => {
    const equals = target.indexOf('=')
    if (equals < 0) return names.has(target.toLowerCase())
    const label = target.slice(0, equals)
    return equals > 0 && Object.hasOwn(node.labels, label) && node.labels[label] === target.slice(equals + 1)
  })
}
