/**
 * Permission as a value. Code that reaches or lists nodes, reads a recording or changes a resource asks for an `Authorized<…>`, which
 * only this file can make, so that a forgotten check does not compile.
 */

import { quote } from '../common/text.ts'
import { AccessDenied } from '../errors/errors.ts'
import { canSeeNode, decideLogin, type Subject } from './decide.ts'
import type { NamedResource, ResourceFacts, RuleSubject } from './facts.ts'
import { canJoinOthers } from './join.ts'
import { checkRule, type Verb } from './rules.ts'
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
  if (!decision.allow) throw loginRefused(ask, decision.reason)
  return new Proof(target, decision)
}

export const loginRefused = (
  { user, login, node }: { readonly user: string; readonly login: string; readonly node: string },
  reason: string,
): AccessDenied =>
  new AccessDenied(
    `access denied: user ${quote(user)} may not log in as ${quote(login)} on node ${quote(node)}: ${reason}`,
  )

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

/** Who acts on resources: a user with roles, or a part of the cluster that acts by itself (`Admin`, `Auth`, …). */
export type Actor = RuleSubject | { readonly builtin: string }

/** One resource, and what may be done to it. */
export interface Permit<Kind extends string = string, Action extends Verb = Verb> {
  readonly kind: Kind
  readonly verb: Action
  readonly name: string
}

/**
 * May the actor do this to this one resource? Whoever then does it takes kind, verb and name from the proof, so that what was asked
 * about is what is done. Throws AccessDenied: the same for a resource that was read and is excluded, and for one that does not exist.
 */
export function authorizeResource<Kind extends string, Action extends Verb>(
  actor: Actor,
  verb: Action,
  kind: Kind,
  resource: ResourceFacts | NamedResource,
): Authorized<Permit<Kind, Action>> {
  const target = { kind, verb, name: resource.name }
  if ('builtin' in actor) return new Proof(target, byBuiltin(actor))
  const decision = checkRule(actor, { kind, verb, resource })
  if (!decision.allow) throw new AccessDenied(`access denied: user ${quote(actor.user)}: ${decision.reason}`)
  return new Proof(target, decision)
}

const byBuiltin = ({ builtin }: { readonly builtin: string }): Decision => ({
  allow: true,
  reason: `the built-in role ${builtin}`,
})

/** Those of the resources that the actor may list, in their order. */
export function authorizeListed<T>(
  actor: Actor,
  kind: string,
  items: readonly T[],
  factsOf: (item: T) => ResourceFacts,
  verb: Verb = 'list',
): readonly Authorized<T>[] {
  if ('builtin' in actor) return items.map((item) => new Proof(item, byBuiltin(actor)))
  return items.flatMap((item) => {
    const decision = checkRule(actor, { kind, verb, resource: factsOf(item) })
    return decision.allow ? [new Proof(item, decision)] : []
  })
}

/** The node for somebody who lists nodes; undefined when it does not exist for them. */
export function authorizeSight<T>(
  actor: Subject | { readonly builtin: string },
  node: T & { readonly labels: Labels },
): Authorized<T> | undefined {
  if ('builtin' in actor) return new Proof<T>(node, byBuiltin(actor))
  if (!canSeeNode(actor, node.labels)) return undefined
  return new Proof<T>(node, { allow: true, reason: 'a role allows a login there' })
}

/** By a rule, or because the actor took part in it and no rule denies it. Undefined: it does not exist for them. */
export function authorizeRecording<T>(
  actor: Actor,
  verb: 'list' | 'read',
  recording: T,
  about: { readonly facts: ResourceFacts; readonly tookPart: boolean },
): Authorized<T> | undefined {
  if ('builtin' in actor) return new Proof(recording, byBuiltin(actor))
  const decision = checkRule(actor, { kind: 'session', verb, resource: about.facts })
  if (decision.allow) return new Proof(recording, decision)
  // Nothing allows it, which is something else than a role that denies it.
  if (decision.role !== undefined || !about.tookPart) return undefined
  return new Proof(recording, { allow: true, reason: 'the user took part in it' })
}
