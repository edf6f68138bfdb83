/** Why somebody may or may not log in somewhere, role by role, and with which options. For administrators; pure like the decision itself. */

import { quote } from '../common/text.ts'
import {
  decideHostUser,
  decideLogin,
  type LoginAsk,
  permissions,
  pinsSourceAddress,
  sessionTtlSeconds,
} from './decide.ts'
import { describeSelector, matchLabels } from './labels.ts'
import { allowingLogin, denyingLogin } from './logins.ts'
import { type ClusterSessionOptions, sessionOptions } from './session-options.ts'
import type { Decision, Role } from './types.ts'

export interface RoleFinding {
  readonly role: string
  readonly effect: 'allows' | 'denies' | 'nothing'
  /** A sentence fragment. */
  readonly because: string
}

/** What holds for a session of somebody with these roles. */
export interface EffectiveOptions {
  /** Seconds that a certificate lives unless less is asked for. */
  readonly sessionTtlSeconds: number
  readonly portForwarding: boolean
  /** Absent: to any target. */
  readonly forwardTo?: readonly string[]
  readonly agentForwarding: boolean
  readonly x11Forwarding: boolean
  readonly fileCopy: boolean
  /** Milliseconds, 0 for none. */
  readonly idleTimeoutMs: number
  readonly disconnectExpiredCert: boolean
  /** 0: any number. */
  readonly maxConnections: number
  /** 0: the engine's own limit. */
  readonly maxSessions: number
  readonly recordStrict: boolean
  readonly recordExecOutput: boolean
  readonly requireSessionMfa: boolean
  readonly lock: 'strict' | 'best_effort'
  readonly pinSourceIp: boolean
}

export interface Explanation extends Decision {
  /** Would the node make the account if it lacked it? */
  readonly createHostUser: boolean
  readonly roles: readonly RoleFinding[]
  readonly options: EffectiveOptions
}

/** The answer of `decideLogin`, with what each role had to say about it. */
export function explainLogin(ask: LoginAsk, cluster: ClusterSessionOptions, defaultTtlSeconds: number): Explanation {
  return {
    ...decideLogin(ask),
    createHostUser: decideHostUser(ask).allow,
    roles: ask.roles.map((role) => findingOf(role, ask)),
    options: effectiveOptions(ask.roles, cluster, defaultTtlSeconds),
  }
}

function findingOf({ metadata, spec }: Role, { login, nodeLabels, traits }: LoginAsk): RoleFinding {
  const role = metadata.name
  const { allow, deny } = spec
  const denied = denyingLogin(deny, login, traits)
  if (denied !== undefined) return { role, effect: 'denies', because: `deny.logins has ${denied}` }
  const deniedNode = matchLabels(deny.node_labels, nodeLabels, traits)
  if (deniedNode !== 'no match') {
    const how = deniedNode === 'unreadable' ? 'cannot be read, so it denies' : 'matches the node'
    return { role, effect: 'denies', because: `deny.node_labels ${describeSelector(deny.node_labels)} ${how}` }
  }
  const entry = allowingLogin(allow, login, traits)
  const labels = describeSelector(allow.node_labels)
  const node = matchLabels(allow.node_labels, nodeLabels, traits)
  const loginPart =
    entry === undefined
      ? `allow.logins ${allow.logins.length === 0 ? 'is empty' : `(${allow.logins.join(', ')}) does not give ${quote(login)}`}`
      : `allow.logins has ${entry}`
  const nodePart =
    labels === ''
      ? 'allow.node_labels is empty, which matches no node'
      : `allow.node_labels ${labels} ${node === 'match' ? 'matches' : node === 'unreadable' ? 'cannot be read' : 'does not match the node'}`
  const effect = entry !== undefined && node === 'match' ? 'allows' : 'nothing'
  return { role, effect, because: `${loginPart}; ${nodePart}` }
}

export function effectiveOptions(
  roles: readonly Role[],
  cluster: ClusterSessionOptions,
  defaultTtlSeconds: number,
): EffectiveOptions {
  const session = sessionOptions(roles, cluster)
  const allowed = permissions(roles)
  const options = roles.map(({ spec }) => spec.options)
  const targets = options.flatMap(({ forward_to }) => forward_to)
  return {
    sessionTtlSeconds: sessionTtlSeconds(roles, undefined, defaultTtlSeconds),
    portForwarding: allowed.portForwarding,
    ...(targets.length === 0 ? {} : { forwardTo: targets }),
    agentForwarding: allowed.agentForwarding,
    x11Forwarding: allowed.x11Forwarding,
    fileCopy: session.fileCopy,
    idleTimeoutMs: session.idleTimeoutMs,
    disconnectExpiredCert: session.disconnectExpiredCert,
    maxConnections: session.maxConnections,
    maxSessions: session.maxSessions,
    recordStrict: session.recordStrict,
    recordExecOutput: session.recordExecOutput,
    requireSessionMfa: options.some(({ require_session_mfa }) => require_session_mfa),
    lock: options.some(({ lock }) => lock === 'strict') ? 'strict' : 'best_effort',
    pinSourceIp: pinsSourceAddress(roles),
  }
}
