/**
 * From the caller of a route to the proof that one resource may be changed. The tables of resources take nothing else, so a route that
 * forgets to ask does not compile.
 */

import { type Actor, type Authorized, authorizeListed, authorizeResource, type Permit } from '../access/authorize.ts'
import type { ResourceFacts } from '../access/facts.ts'
import type { Verb } from '../access/rules.ts'
import type { Caller } from '../api/caller.ts'
import type { JoinToken, Presence, RoleRecord } from '../api/model.ts'
import { quote } from '../common/text.ts'
import { AccessDenied, NotFound } from '../errors/errors.ts'

/** The auth service on its own account: what follows from something that was allowed before, such as a password that was set by a link. */
export const authItself: Actor = { builtin: 'Auth' }

export function actorOf(caller: Caller): Actor {
  if (caller.role !== 'User') return { builtin: caller.role }
  if (caller.user === undefined) throw new AccessDenied('access denied: this connection has no user')
  return caller.user
}

/**
 * For a resource that may or may not exist: AccessDenied in the same words either way, then NotFound, so that nobody finds out which
 * of the resources that a condition hides exist.
 */
export function permitFound<Kind extends string, Action extends Verb, T>(
  caller: Caller,
  ask: { readonly verb: Action; readonly kind: Kind; readonly name: string; readonly hint: string },
  found: T | undefined,
  factsOf: (found: T) => ResourceFacts,
): { readonly permit: Authorized<Permit<Kind, Action>>; readonly found: T } {
  const { verb, kind, name, hint } = ask
  const resource = found === undefined ? { name, unread: true as const } : factsOf(found)
  const permit = authorizeResource(actorOf(caller), verb, kind, resource)
  if (found === undefined) throw new NotFound(`there is no ${kind} ${quote(name)}; ${hint}`)
  return { permit, found }
}

/** To write a resource: what is there now and what is to be there must both be allowed, or conditions could be walked around. */
export function permitPut<Kind extends string>(
  caller: Caller,
  kind: Kind,
  before: ResourceFacts | undefined,
  after: ResourceFacts,
): Authorized<Permit<Kind, 'create' | 'update'>> {
  const actor = actorOf(caller)
  if (before === undefined) return authorizeResource(actor, 'create', kind, after)
  authorizeResource(actor, 'update', kind, before)
  return authorizeResource(actor, 'update', kind, after)
}

/** A page of a listing without what the caller may not list; it may be shorter than asked for, with more to come. */
export function listedPage<T>(
  caller: Caller,
  kind: string,
  page: { readonly items: readonly T[]; readonly next?: string },
  factsOf: (item: T) => ResourceFacts,
): { items: T[]; next?: string } {
  const items = authorizeListed(actorOf(caller), kind, page.items, factsOf).map(({ target }) => target)
  return page.next === undefined ? { items } : { items, next: page.next }
}

export function roleFacts({ metadata }: RoleRecord): ResourceFacts {
  const { name, description, labels } = metadata
  return {
    name,
    ...(typeof description === 'string' ? { description } : {}),
    ...(typeof labels === 'object' && labels !== null ? { labels: labels as Readonly<Record<string, string>> } : {}),
  }
}

export const userFacts = ({
  name,
  roles,
  traits,
}: {
  readonly name: string
  readonly roles: readonly string[]
  readonly traits: Readonly<Record<string, readonly string[]>>
}): ResourceFacts => ({ name, roles, traits })

export const nodeFacts = ({ uuid, labels, hostname, address }: Presence): ResourceFacts => ({
  name: uuid,
  labels,
  hostname,
  address,
})

/** Under the beginning of the token, as listings show it. */
export const tokenFacts = ({ token, roles, labels }: Pick<JoinToken, 'token' | 'roles' | 'labels'>): ResourceFacts => ({
  name: token,
  roles,
  labels,
})
