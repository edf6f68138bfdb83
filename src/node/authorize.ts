/**
 * Decides about a certificate and a login on this node: certificate, roles, then the account of the machine. Asked at login and
 * again for every channel, so that a user, role or account that is taken away counts at once on open connections too.
 */

import { authorizeLogin, loginRefused } from '../access/authorize.ts'
import { decideHostUser, decideLogin, type LoginAsk, type Permissions, permissions } from '../access/decide.ts'
import type { MfaNode } from '../access/session-mfa.ts'
import type { Labels } from '../access/types.ts'
import { authenticateUser, type UserIdentity, type UserVerdict } from '../api/authenticate-user.ts'
import type { ClusterState } from '../api/cluster-state.ts'
import { missingSessionMfa } from '../api/session-mfa.ts'
import type { Env } from '../common/env.ts'
import { AccessDenied } from '../errors/errors.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import type { ConnectedUser, NodeUser } from './node-user.ts'
import type { Account } from './os/account-files.ts'
import type { Accounts } from './os/accounts.ts'
import type { HostUsers } from './os/host-users.ts'
import type { Privileges } from './os/privileges.ts'

export interface AuthorizeContext {
  readonly state: ClusterState
  readonly accounts: Accounts
  readonly privileges: Privileges
  readonly hostUsers: HostUsers
  readonly uuid: string
  readonly hostname: string
  labels(): Labels
  readonly env: Env
}

export interface LoginAttempt {
  readonly certificate: Certificate
  readonly login: string
  readonly sourceAddress: string
  /** Whoever asks has proven to have the key. Before that nothing is done on their behalf. */
  readonly proven: boolean
  /** Of a connection that stands: when it was let in. */
  readonly establishedAt?: Date
}

/** Refused after the certificate was found good: the person may be told why. */
export class LoginRefused extends AccessDenied {
  readonly user: string
  constructor(user: string, message: string) {
    super(message)
    this.user = user
  }
}

/** The certificate itself is not good, or its owner has no roles left: the client hears nothing of the reason. */
export class CertificateRefused extends AccessDenied {
  /** The user that the certificate names, for the audit log. */
  readonly user: string
  constructor(user: string, message: string) {
    super(message)
    this.user = user
  }
}

/** Throws CertificateRefused or LoginRefused, both AccessDenied, with the reason. */
export async function authorize(context: AuthorizeContext, attempt: LoginAttempt): Promise<NodeUser> {
  const { state, accounts, privileges } = context
  const { certificate, login } = attempt
  const verdict = authenticateUser(state, { ...attempt, node: namesOf(context), now: context.env.now() })
  if (!verdict.ok) throw (verdict.locked ? undefined : lacksLogin(context, attempt)) ?? refusalOf(verdict)
  const { identity } = verdict
  const refuse = (message: string): LoginRefused => new LoginRefused(identity.user, message)
  const ask = askOf(context, identity, login)
  // The roles first: whoever may not use a login does not learn whether it exists.
  const allowed = reasonOf(() => authorizeLogin(ask, login), refuse)
  const missing = missingSessionMfa(identity, mfaNodeOf(context), state.config.requireSessionMfa)
  if (missing !== undefined) throw refuse(`access denied: ${missing}`)
  await context.hostUsers.underWay(login)
  const account = (await accounts.find(allowed.target)) ?? (await madeAccount(context, attempt, ask, refuse))
  if (account === undefined) throw refuse(`there is no account ${JSON.stringify(login)} on this node`)
  reasonOf(() => privileges.check(account), refuse)
  const judged = accounts.judge(account)
  if (!judged.ok) throw refuse(judged.message)
  return {
    identity,
    account: reasonOf(() => authorizeLogin(ask, account), refuse),
    permissions: granted(permissions(identity.roles), certificate),
    noTouchRequired: verdict.noTouchRequired,
    verifyRequired: verdict.verifyRequired,
  }
}

/** Undefined when no role wants accounts to be made, and before the key is proven. */
async function madeAccount(
  { accounts, hostUsers }: AuthorizeContext,
  { login, proven }: LoginAttempt,
  ask: LoginAsk & { readonly user: string },
  refuse: (message: string) => LoginRefused,
): Promise<Account | undefined> {
  if (!decideHostUser(ask).allow) return undefined
  if (!proven) return undefined
  await hostUsers.make(login, ask.user).catch((error: unknown) => {
    throw error instanceof AccessDenied ? refuse(error.message) : error
  })
  return accounts.find(login)
}

/** A good certificate that lacks nothing but this login: its owner may know why. */
function lacksLogin(context: AuthorizeContext, { certificate, sourceAddress, login }: Omit<LoginAttempt, 'proven'>) {
  const ask = { certificate, sourceAddress, login: undefined, now: context.env.now() }
  const verdict = authenticateUser(context.state, ask)
  if (!verdict.ok) return undefined
  const { user, roles, traits } = verdict.identity
  const { allow, reason } = decideLogin({ roles, traits, login, nodeLabels: context.labels() })
  const why = allow ? 'the certificate is older than the role that allows it; log in again' : reason
  return new LoginRefused(user, loginRefused({ user, login, node: context.hostname }, why).message)
}

/**
 * For a connection that can do nothing but join sessions: a good certificate, and roles that the cluster still grants. Which session
 * may be joined is decided for each. Throws CertificateRefused, or LoginRefused for a lock and without a second factor where one is needed.
 */
export function authorizeJoiner(context: JudgeContext, attempt: Omit<LoginAttempt, 'login' | 'proven'>): ConnectedUser {
  const verdict = authenticateUser(context.state, {
    ...attempt,
    login: undefined,
    node: namesOf(context),
    now: context.env.now(),
  })
  if (!verdict.ok) throw refusalOf(verdict)
  const { identity, noTouchRequired, verifyRequired } = verdict
  // Joining is a session too, whoever owns it.
  const missing = missingSessionMfa(identity, mfaNodeOf(context), context.state.config.requireSessionMfa, true)
  if (missing !== undefined) throw new LoginRefused(identity.user, `access denied: ${missing}`)
  const permissions = { pty: true, portForwarding: false, agentForwarding: false, x11Forwarding: false }
  return { identity, permissions, noTouchRequired, verifyRequired }
}

type JudgeContext = Pick<AuthorizeContext, 'state' | 'env' | 'uuid' | 'hostname' | 'labels'>

/**
 * Why what is open would be refused now, as far as the cluster decides; undefined while it would not. The accounts of the machine are
 * looked at when something is opened. Without a login: a connection that joins sessions.
 */
export function whyNoMore(
  context: JudgeContext,
  attempt: Omit<LoginAttempt, 'login' | 'proven'> & { readonly login: string | undefined },
): string | undefined {
  const now = context.env.now()
  const verdict = authenticateUser(context.state, { ...attempt, node: namesOf(context), now, isOpen: true })
  if (!verdict.ok) return verdict.reason
  const { login } = attempt
  if (login === undefined) return undefined
  try {
    authorizeLogin({ ...askOf(context, verdict.identity, login), login }, login)
    return undefined
  } catch (error) {
    if (error instanceof AccessDenied) return error.message
    throw error
  }
}

/** For locks of nodes. */
const namesOf = ({ uuid, hostname, state }: Pick<JudgeContext, 'uuid' | 'hostname' | 'state'>): readonly string[] => [
  uuid,
  hostname,
  `${hostname}.${state.clusterName}`,
]

const askOf = (context: Pick<JudgeContext, 'hostname' | 'labels'>, identity: UserIdentity, login: string) => ({
  user: identity.user,
  roles: identity.roles,
  traits: identity.traits,
  node: context.hostname,
  nodeLabels: context.labels(),
  login,
})

/** A lock is for the person to know, once the certificate is proven. */
const refusalOf = ({ user, reason, locked }: Extract<UserVerdict, { readonly ok: false }>): AccessDenied =>
  locked ? new LoginRefused(user, `access denied: ${reason}`) : new CertificateRefused(user, reason)

const mfaNodeOf = ({ uuid, hostname, labels, state }: JudgeContext): MfaNode => ({
  uuid,
  hostname,
  labels: labels(),
  clusterName: state.clusterName,
})

function reasonOf<T>(run: () => T, refuse: (message: string) => LoginRefused): T {
  try {
    return run()
  } catch (error) {
    if (error instanceof AccessDenied) throw refuse(error.message)
    throw error
  }
}

/** A certificate may carry less than the roles give (`ssh-keygen -O clear`), never more. */
function granted(roles: Permissions, certificate: Certificate): Permissions {
  const has = (name: string): boolean => certificate.extensions.has(name)
  return {
    pty: roles.pty && has('permit-pty'),
    portForwarding: roles.portForwarding && has('permit-port-forwarding'),
    agentForwarding: roles.agentForwarding && has('permit-agent-forwarding'),
    x11Forwarding: roles.x11Forwarding && has('permit-X11-forwarding'),
  }
}
