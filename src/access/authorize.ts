/**
 * Permission as a value. Code that reaches a node asks for an `Authorized<…>`, which only this file can make, so that a
 * forgotten check does not compile.
 */

import { quote } from '../common/text.ts'
import { AccessDenied } from '../errors/errors.ts'
import { canSeeNode, decideLogin, type Subject } from './decide.ts'
import { canJoinOthers } from './join.ts'
import type { Decision, Labels } from './types.ts'

class Proof<T> {
  readonly target: T
  readonly decision: Decision
  /** Private, so that no object literal has this type. */
  readonly #proof = true
  constructor(target: T, decision: Decision) {
    this.target = target
    this.decision = decision
  }
  static holds(value: unknown): boolean {
    return typeof value === 'object' && value !== null && #proof in value
  }
}

/** A target that the roles of somebody allow. */
export type Authorized<T> = Proof<T>

/** Is it a real proof? For the borders where a type could have been cast. */
export const isAuthorized = (value: unknown): boolean => Proof.holds(value)

export interface AccessAsk extends Subject {
  /** The Teleport user, for the message. */
  readonly user: string
  /** The node's name, for the message. */
  readonly node: string
  readonly nodeLabels: Labels
}

/** Throws AccessDenied that names user, login and node, with the reason. */
export function authorizeLogin<T>(ask: AccessAsk & { readonly login: string }, target: T): Authorized<T> {
  const decision = decideLogin(ask)
  if (!decision.allow) {
    throw new AccessDenied(
      `access denied: user ${quote(ask.user)} may not log in as ${quote(ask.login)} on node ${quote(ask.node)}: ${decision.reason}`,
    )
  }
  return new Proof(target, decision)
}

/**
 * For a proxy, which does not see the login inside the ciphertext: some login on the node must be allowed, or the user may join
 * sessions of others and therefore reach any node by its uuid; there the node grants nothing but joining. Throws AccessDenied.
 */
export function authorizeReach<T>(ask: AccessAsk & { readonly byUuid?: boolean }, target: T): Authorized<T> {
  if (ask.byUuid === true && canJoinOthers(ask.roles)) {
    return new Proof(target, { allow: true, reason: 'a role allows to join sessions' })
  }
  if (!canSeeNode(ask, ask.nodeLabels)) {
    throw new AccessDenied(
      `access denied: no role of user ${quote(ask.user)} allows a login on node ${quote(ask.node)}`,
    )
  }
  return new Proof(target, { allow: true, reason: 'a role allows a login there' })
}
