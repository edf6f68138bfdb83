/**
 * Locks: who is shut out at once, whatever their certificates and roles say. Pure: facts and a time in, the lock that holds out.
 * A lock is found through one of its targets, so that thousands of them cost a decision nothing.
 */

import { quote } from '../common/text.ts'
import type { Role } from './types.ts'

/** All that are set must fit. None set fits nobody: an empty target must not shut out everybody. */
export interface LockTarget {
  readonly user?: string | undefined
  readonly role?: string | undefined
  /** An OS account. */
  readonly login?: string | undefined
  /** Uuid or name of a node. */
  readonly node?: string | undefined
  /** Id or name of a second factor. */
  readonly mfa_device?: string | undefined
}

export interface Lock {
  readonly id: string
  readonly target: LockTarget
  /** For the person who is shut out; may be empty. */
  readonly message: string
  /** RFC 3339. From then on the lock holds no more. */
  readonly expires?: string | undefined
}

/** What is known of an access where the decision is made. What is not known (a proxy does not see the login) fits no lock. */
export interface LockFacts {
  readonly user?: string
  readonly roles?: readonly string[]
  readonly login?: string | undefined
  /** Everything that the node is called. */
  readonly node?: readonly string[] | undefined
  /** What the second factor behind this access is called, when one was used. */
  readonly mfaDevice?: readonly string[] | undefined
}

const fields = ['user', 'role', 'login', 'node', 'mfa_device'] as const
type Field = (typeof fields)[number]

/** Names of machines are the same in any case; nothing else is. */
const keyOf = (field: Field, value: string): string => `${field} ${field === 'node' ? value.toLowerCase() : value}`

function valuesOf(facts: LockFacts, field: Field): readonly string[] {
  switch (field) {
    case 'user':
      return facts.user === undefined ? [] : [facts.user]
    case 'role':
      return facts.roles ?? []
    case 'login':
      return facts.login === undefined ? [] : [facts.login]
    case 'node':
      return facts.node ?? []
    case 'mfa_device':
      return facts.mfaDevice ?? []
  }
}

const targetsOf = ({ target }: Lock): readonly (readonly [Field, string])[] =>
  fields.flatMap((field) => {
    const value = target[field]
    return value === undefined || value === '' ? [] : [[field, value] as const]
  })

/** Does the lock hold for this access at this time (milliseconds since 1970)? */
export function holds(lock: Lock, facts: LockFacts, nowMs: number): boolean {
  // A time that cannot be read never comes: such a lock stays.
  if (lock.expires !== undefined && Date.parse(lock.expires) <= nowMs) return false
  const targets = targetsOf(lock)
  return (
    targets.length > 0 &&
    targets.every(([field, value]) => {
      const wanted = keyOf(field, value)
      return valuesOf(facts, field).some((known) => keyOf(field, known) === wanted)
    })
  )
}

/** The locks of a cluster, by what they shut out. */
export class LockIndex {
  readonly #byId = new Map<string, Lock>()
  readonly #byKey = new Map<string, Set<Lock>>()

  get size(): number {
    return this.#byId.size
  }

  put(lock: Lock): void {
    this.delete(lock.id)
    this.#byId.set(lock.id, lock)
    const [first] = targetsOf(lock)
    if (first === undefined) return
    const key = keyOf(...first)
    const known = this.#byKey.get(key)
    if (known === undefined) this.#byKey.set(key, new Set([lock]))
    else known.add(lock)
  }

  delete(id: string): void {
    const lock = this.#byId.get(id)
    if (lock === undefined) return
    this.#byId.delete(id)
    for (const target of targetsOf(lock)) {
      const key = keyOf(...target)
      const known = this.#byKey.get(key)
      known?.delete(lock)
      if (known?.size === 0) this.#byKey.delete(key)
    }
  }

  /** A lock that holds for this access; undefined when none does. */
  find(facts: LockFacts, nowMs: number): Lock | undefined {
    if (this.#byKey.size === 0) return undefined
    for (const field of fields) {
      for (const value of valuesOf(facts, field)) {
        for (const lock of this.#byKey.get(keyOf(field, value)) ?? []) if (holds(lock, facts, nowMs)) return lock
      }
    }
    return undefined
  }
}

/** For a person: `the user "alice" is locked: back on Monday`. */
export function lockReason(lock: Lock): string {
  const what = targetsOf(lock).map(([field, value]) => `the ${words[field]} ${quote(value)}`)
  return `${what.join(' with ')} is locked${lock.message === '' ? '' : `: ${lock.message}`}`
}

const words: Readonly<Record<Field, string>> = {
  user: 'user',
  role: 'role',
  login: 'login',
  node: 'node',
  mfa_device: 'second factor',
}

/** For listings: `user="alice"`. */
export const describeTarget = (lock: Pick<Lock, 'target'>): string =>
  targetsOf({ id: '', message: '', ...lock })
    .map(([field, value]) => `${field}=${quote(value)}`)
    .join(' ')

export type LockingMode = 'strict' | 'best_effort'

/** Milliseconds for which what is known of locks counts as known, without news from an auth server. Source: Teleport 7. */
export const maxLockStaleness = 5 * 60_000

/** Strict when the cluster or one of the roles says so: options take away, they never give. */
export const lockingMode = (roles: readonly Role[], cluster: LockingMode): LockingMode =>
  cluster === 'strict' || roles.some(({ spec }) => spec.options.lock === 'strict') ? 'strict' : 'best_effort'

/** Why somebody is refused whose roles want locks to be known for certain; undefined while they are known well enough. */
export const staleReason = (roles: readonly Role[], cluster: LockingMode, staleMs: number): string | undefined =>
  staleMs > maxLockStaleness && lockingMode(roles, cluster) === 'strict'
    ? `no auth server was heard of for more than ${maxLockStaleness / 60_000} minutes, so that locks may be missing (locking mode strict)`
    : undefined
