/** Who a user certificate proves: one decision for proxy, node and auth. Pure: everything it looks at is passed in. */

import { z } from 'zod'
import { pinsSourceAddress } from '../access/decide.ts'
import type { Role } from '../access/types.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { verifyCertificate } from '../ssh/certificate/verify.ts'
import type { ClusterState } from './cluster-state.ts'

export const rolesExtension = 'teleport-roles'
export const traitsExtension = 'teleport-traits'
export const clusterExtension = 'teleport-route-to-cluster'
/** When the user was made: a certificate of a user who was removed is not good for a new one of the same name. */
export const sinceExtension = 'teleport-user-since'

export interface UserIdentity {
  readonly user: string
  /** Roles that the certificate names and the user still has. */
  readonly roleNames: readonly string[]
  /** Their definitions now. */
  readonly roles: readonly Role[]
  /** Trait values that the certificate names and the user still has. */
  readonly traits: Readonly<Record<string, readonly string[]>>
  readonly certificate: Certificate
  readonly expires: Date
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
  /** About what was let in before: it goes on when its authority has been replaced since, and ends when the user loses it. */
  readonly isOpen?: boolean
}

const roleNames = z.array(z.string()).max(1024)
const traitValues = z.record(z.string(), z.array(z.string()))

/**
 * A certificate is believed for what it names *and* the cluster still grants: a user or role that was removed counts for nothing
 * from that moment on, however long the certificate would live.
 */
export function authenticateUser(state: ClusterState, ask: UserAsk): UserVerdict {
  const { certificate } = ask
  const refuse = (reason: string): UserVerdict => ({ ok: false, reason, user: certificate.keyId })
  const verdict = verifyCertificate(certificate, {
    type: 'user',
    authorities: ask.isOpen === true ? [certificate.signatureKey] : state.userAuthorities,
    now: ask.now,
    principal: ask.login,
    sourceAddress: ask.sourceAddress,
    knownExtensions: [rolesExtension, traitsExtension, clusterExtension, sinceExtension],
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
  const roles = unique(named)
    .filter((name) => user.roles.includes(name))
    .map((name) => state.role(name))
    .filter((role) => role !== undefined)
  if (roles.length === 0)
    return refuse(`the user ${JSON.stringify(user.name)} has none of the certificate's roles any more`)

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
      certificate,
      expires: expiryOf(certificate),
    },
  }
}

/** The end of a certificate's validity; far in the future for one without end. */
export function expiryOf(certificate: Certificate): Date {
  const latest = 8_640_000_000_000n
  return new Date(Number(certificate.validBefore < latest ? certificate.validBefore : latest) * 1000)
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
