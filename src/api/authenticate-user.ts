/** Who a user certificate proves: one decision for proxy, node and auth. Pure: everything it looks at is passed in. */

import { z } from 'zod'
import { pinsSourceAddress } from '../access/decide.ts'
import { lockReason, staleReason } from '../access/locks.ts'
import { rolesOfGrant } from '../access/requests.ts'
import type { Role } from '../access/types.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { verifyCertificate } from '../ssh/certificate/verify.ts'
import type { ClusterState } from './cluster-state.ts'
import { loginExpiresExtension, mfaVerifiedExtension, sessionMfaHint } from './mfa-names.ts'

export const rolesExtension = 'teleport-roles'
export const traitsExtension = 'teleport-traits'
export const clusterExtension = 'teleport-route-to-cluster'
/** When the user was made: a certificate of a user who was removed is not good for a new one of the same name. */
export const sinceExtension = 'teleport-user-since'
/** Approved requests, whose roles the certificate has besides those of its user. */
export const requestsExtension = 'teleport-active-requests'

export interface UserIdentity {
  readonly user: string
  /** Roles that the certificate names and the user still has. */
  readonly roleNames: readonly string[]
  /** Their definitions now. */
  readonly roles: readonly Role[]
  /** Trait values that the certificate names and the user still has. */
  readonly traits: Readonly<Record<string, readonly string[]>>
  /** Requests of the certificate that still give their roles. */
  readonly accessRequests: readonly string[]
  readonly certificate: Certificate
  readonly expires: Date
  /** When sessions end: for a short certificate that proves a second factor, with the login that it was asked with. */
  readonly sessionExpires: Date
  /** The moment of this decision. */
  readonly authenticatedAt: Date
}

export type UserVerdict =
  | {
      readonly ok: true
      readonly identity: UserIdentity
      /** For `AuthDecision` (security keys). */
      readonly noTouchRequired: boolean
      readonly verifyRequired: boolean
    }
  | {
      readonly ok: false
      readonly reason: string
      /** The certificate is good, but its owner is shut out: whoever has proven it may be told why. */
      readonly locked: boolean
      /** The user that the certificate names, proven or not: for the audit log only. */
      readonly user: string
    }

export interface UserAsk {
  readonly certificate: Certificate
  /** OS login that must be a principal; undefined where the outer user name is not judged (proxy, auth). */
  readonly login: string | undefined
  /** True client address. */
  readonly sourceAddress: string
  readonly now: Date
  /** What the machine that is reached is called, for locks of nodes; undefined where that is no node. */
  readonly node?: readonly string[]
  /** About what was let in before: it goes on when its authority was replaced or its certificate has ended, and ends when the user loses it. */
  readonly isOpen?: boolean
  /** Of a connection that stands: when its certificate was found good. One of a minute opens a session that may last longer. */
  readonly establishedAt?: Date | undefined
}

const knownExtensions = [
  rolesExtension,
  traitsExtension,
  clusterExtension,
  sinceExtension,
  requestsExtension,
  mfaVerifiedExtension,
  loginExpiresExtension,
  sessionMfaHint,
]

const roleNames = z.array(z.string()).max(1024)
const activeRequests = z.strictObject({ access_requests: z.array(z.string()).max(64) })
const traitValues = z.record(z.string(), z.array(z.string()))

/**
 * A certificate is believed for what it names *and* the cluster still grants: a user or role that was removed counts for nothing
 * from that moment on, however long the certificate would live.
 */
export function authenticateUser(state: ClusterState, ask: UserAsk): UserVerdict {
  const { certificate } = ask
  const refuse = (reason: string, locked = false): UserVerdict => ({
    ok: false,
    reason,
    locked,
    user: certificate.keyId,
  })
  const loginExpires = loginExpiryOf(certificate)
  if (loginExpires !== undefined && loginExpires <= ask.now) return refuse('the login of this certificate has ended')
  const now = loginExpires === undefined ? ask.now : (ask.establishedAt ?? ask.now)
  const verdict = verifyCertificate(certificate, {
    type: 'user',
    authorities: ask.isOpen === true ? [certificate.signatureKey] : state.userAuthorities,
    now: ask.isOpen === true ? whileValid(certificate, now) : now,
    principal: ask.login,
    sourceAddress: ask.sourceAddress,
    knownExtensions,
  })
  if (!verdict.ok) return refuse(verdict.reason)

  const cluster = certificate.extensions.get(clusterExtension)?.toString('utf8')
  if (cluster !== state.clusterName) {
    return refuse(`the certificate is for the cluster ${JSON.stringify(cluster ?? '')}, this is ${state.clusterName}`)
  }
  const user = state.user(certificate.keyId)
  if (user === undefined) return refuse(`the user ${JSON.stringify(certificate.keyId)} does not exist any more`)

  const since = certificate.extensions.get(sinceExtension)?.toString('utf8')
  if (since !== undefined && since !== user.created) {
    return refuse(`the certificate is of an earlier user ${JSON.stringify(user.name)}, who was removed`)
  }

  const named = readJson(certificate, rolesExtension, roleNames)
  const traits = readJson(certificate, traitsExtension, traitValues)
  if (named === undefined || traits === undefined) return refuse('the roles or traits in the certificate are malformed')
  const active = certificate.extensions.has(requestsExtension)
    ? readJson(certificate, requestsExtension, activeRequests)
    : { access_requests: [] }
  if (active === undefined) return refuse('the requests in the certificate are malformed')
  const granted = new Map(
    active.access_requests.map((id) => [id, rolesOfGrant(state.grants.get(id), user, ask.now.getTime())] as const),
  )
  const extra = new Set([...granted.values()].flat())
  const roles = unique(named)
    .filter((name) => user.roles.includes(name) || extra.has(name))
    .map((name) => state.role(name))
    .filter((role) => role !== undefined)
  if (roles.length === 0)
    return refuse(`the user ${JSON.stringify(user.name)} has none of the certificate's roles any more`)
  const shutOut = whyShutOut(state, { ...ask, user: user.name, roles, mfaDevice: deviceOf(certificate) })
  if (shutOut !== undefined) return refuse(shutOut, true)

  // Also certificates from before the role said so.
  if (pinsSourceAddress(roles) && !certificate.criticalOptions.has('source-address')) {
    return refuse('a role binds certificates to an address (pin_source_ip) and this one has none; log in again')
  }
  return {
    ok: true,
    noTouchRequired: verdict.noTouchRequired,
    verifyRequired: verdict.verifyRequired,
    identity: {
      user: user.name,
      roleNames: roles.map((role) => role.metadata.name),
      roles,
      traits: intersect(traits, user.traits),
      accessRequests: [...granted].filter(([, names]) => names.length > 0).map(([id]) => id),
      certificate,
      expires: expiryOf(certificate),
      sessionExpires: loginExpires ?? expiryOf(certificate),
      authenticatedAt: ask.establishedAt ?? ask.now,
    },
  }
}

/** The time, or the last moment of the certificate when that has passed. */
const whileValid = (certificate: Certificate, now: Date): Date =>
  new Date(Math.min(now.getTime(), expiryOf(certificate).getTime() - 1))

/** Why somebody may do nothing now, though roles and certificate are good; undefined: no lock holds, as far as must be known. */
export function whyShutOut(
  state: Pick<ClusterState, 'locks' | 'staleMs' | 'config'>,
  who: Pick<UserAsk, 'login' | 'node' | 'now'> & {
    readonly user: string
    readonly roles: readonly Role[]
    /** Id and name of the second factor that was proved. */
    readonly mfaDevice?: readonly string[] | undefined
  },
): string | undefined {
  const { user, roles, login, node, mfaDevice, now } = who
  const facts = { user, roles: roles.map((role) => role.metadata.name), login, node, mfaDevice }
  const lock = state.locks.find(facts, now.getTime())
  if (lock !== undefined) return lockReason(lock)
  return staleReason(roles, state.config.lockingMode, state.staleMs)
}

/** The end of a certificate's validity; far in the future for one without end. */
export function expiryOf(certificate: Certificate): Date {
  const latest = 8_640_000_000_000n
  return new Date(Number(certificate.validBefore < latest ? certificate.validBefore : latest) * 1000)
}

const device = z.looseObject({ device: z.string(), name: z.string() })

/** Id and name, for locks. */
function deviceOf(certificate: Certificate): readonly string[] | undefined {
  const found = readJson(certificate, mfaVerifiedExtension, device)
  return found === undefined ? undefined : [found.device, found.name]
}

/** Only beside a proof of a second factor, and only what a date can be. */
function loginExpiryOf(certificate: Certificate): Date | undefined {
  const text = certificate.extensions.get(loginExpiresExtension)?.toString('utf8')
  if (text === undefined || !certificate.extensions.has(mfaVerifiedExtension)) return undefined
  const time = Date.parse(text)
  return Number.isNaN(time) ? undefined : new Date(time)
}

function readJson<T>(certificate: Certificate, extension: string, schema: z.ZodType<T>): T | undefined {
  const content = certificate.extensions.get(extension)
  if (content === undefined) return undefined
  try {
    return schema.parse(JSON.parse(content.toString('utf8')))
  } catch {
    return undefined
  }
}

const unique = (names: readonly string[]): string[] => [...new Set(names)]

function intersect(
  named: Readonly<Record<string, readonly string[]>>,
  present: Readonly<Record<string, readonly string[]>>,
): Record<string, string[]> {
  const both: [string, string[]][] = []
  for (const [trait, values] of Object.entries(named)) {
    const now = Object.hasOwn(present, trait) ? present[trait] : undefined
    if (now !== undefined) both.push([trait, values.filter((value) => now.includes(value))])
  }
  return Object.fromEntries(both)
}
