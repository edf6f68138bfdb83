/** Who a user certificate proves: one decision for proxy, node and auth. Pure: everything it looks at is passed in. */

import type { Certificate } from '../ssh/certificate/types.ts'
import type { ClusterState } from './cluster-state.ts'
import type { RoleRecord } from './model.ts'

export interface UserIdentity {
  readonly user: string
  /** Roles that the certificate names and the user still has. */
  readonly roleNames: readonly string[]
  /** Their definitions now. */
  readonly roles: readonly RoleRecord[]
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
      readonly reason: string /** The user the certificate names, for the audit log. */
      readonly user?: string
    }

export interface UserAsk {
  readonly certificate: Certificate
  /** OS login that must be a principal; undefined where the outer user name is not judged (proxy, auth). */
  readonly login: string | undefined
  /** True client address. */
  readonly sourceAddress: string
  readonly now: Date
}

export function authenticateUser(_state: ClusterState, _ask: UserAsk): UserVerdict {
  return { ok: false, reason: 'not decided yet' }
}
