/** Requests for roles: who may make, see, review and decide them, and what they give. */

import { MAX_SESSION_TTL_SECONDS, sessionTtlSeconds } from '../access/decide.ts'
import type { ResourceFacts, RuleSubject } from '../access/facts.ts'
import {
  isRequestable,
  judgeRequest,
  requestStrategy,
  stateOf,
  thresholdsFor,
  whyNoReview,
} from '../access/requests.ts'
import { checkRule } from '../access/rules.ts'
import type { Role } from '../access/types.ts'
import type { Caller } from '../api/caller.ts'
import type { AccessRequestRecord, RequestState } from '../api/request-model.ts'
import { readRole } from '../api/role-record.ts'
import type { Env } from '../common/env.ts'
import { quote } from '../common/text.ts'
import {
  AccessDenied,
  AlreadyExists,
  BadParameter,
  CompareFailed,
  MissingParameter,
  NotFound,
} from '../errors/errors.ts'
import { type AccessRequestStore, missingRequest, toldOf } from './access-request-store.ts'
import type { NewAuditEvent } from './audit.ts'
import { permitFound } from './permits.ts'
import type { Found, StoredAccessRequest, StoredUser, Tables } from './records.ts'
import type { Users } from './users.ts'

/** Seconds that granted roles last, unless the roles or the request say less. Source: Teleport 7. */
const maxAccess = 12 * 3600
/** Milliseconds that a request waits for an answer. Source: Teleport 7. */
const maxPending = 3_600_000
/** Milliseconds: the shortest certificate. */
const minAccess = 60_000

export interface AccessRequestsOptions {
  readonly store: AccessRequestStore
  readonly tables: Tables
  readonly users: Pick<Users, 'rolesOf'>
  readonly env: Pick<Env, 'now' | 'randomUuid'>
}

export class AccessRequests {
  readonly #options: AccessRequestsOptions

  constructor(options: AccessRequestsOptions) {
    this.#options = options
  }

  /** Throws AccessDenied, MissingParameter, BadParameter, LimitExceeded. */
  async create(
    caller: Caller,
    spec: {
      readonly user?: string | undefined
      readonly roles: readonly string[]
      readonly reason: string
      readonly reviewers: readonly string[]
      readonly expires?: string | undefined
    },
  ): Promise<AccessRequestRecord> {
    const { store, env } = this.#options
    const name = onBehalf(caller, spec.user, 'user')
    return store.add(name, async () => {
      const { user, subject } = await this.#subject(caller, name)
      const roles = await this.#wanted(subject, user, spec.roles)
      const answer = judgeRequest(subject, roles)
      if (!answer.allow) throw new AccessDenied(`access denied: user ${quote(name)}: ${answer.reason}`)
      const definitions = await this.#definitions(roles)
      if (requestStrategy(subject.roles).mode === 'reason' && spec.reason.trim() === '')
        throw new MissingParameter('reason', 'a reason is needed: your roles want to know why (--reason)')
      const now = env.now()
      const expires = expiryOf([...subject.roles, ...definitions], spec.expires, now)
      const record: StoredAccessRequest = {
        id: env.randomUuid(),
        user: name,
        userCreated: user.created,
        roles,
        state: 'pending',
        reason: spec.reason,
        resolveReason: '',
        created: now.toISOString(),
        expires: expires.toISOString(),
        pendingUntil: new Date(Math.min(expires.getTime(), now.getTime() + maxPending)).toISOString(),
        suggestedReviewers: [...new Set(spec.reviewers.length > 0 ? spec.reviewers : answer.suggestedReviewers)],
        annotations: mutable(answer.annotations),
        resolveAnnotations: {},
        thresholds: answer.terms.thresholds.map((threshold) => ({ ...threshold })),
        requirements: answer.terms.requirements.map(({ role, sets }) => ({ role, sets: sets.map((set) => [...set]) })),
        reviews: [],
      }
      const event: NewAuditEvent = {
        event: 'access_request.create',
        ...toldOf(record, caller.name),
        ...(record.reason === '' ? {} : { reason: record.reason }),
        expires: record.expires,
      }
      return { next: record, events: [event] }
    })
  }

  async page(
    caller: Caller,
    query: { readonly limit: number; readonly after?: string | undefined; readonly state?: RequestState | undefined },
  ) {
    const { store } = this.#options
    const { items, next } = await store.page(query)
    const seen: AccessRequestRecord[] = []
    const reader = await this.#reader(caller)
    for (const found of items) {
      const { value } = found
      if (query.state !== undefined && value.state !== query.state) continue
      if (!store.isOver(value) && mayRead(reader, value, 'list')) seen.push(withRevision(found))
    }
    return next === undefined ? { items: seen } : { items: seen, next }
  }

  /** Names of the roles that the caller may ask for and has not. Throws AccessDenied. */
  async requestable(caller: Caller): Promise<string[]> {
    const { user, subject } = await this.#subject(caller, caller.name)
    return this.#requestableFor(subject, user)
  }

  /** Throws NotFound, for one that the caller may not see too. */
  async get(caller: Caller, id: string): Promise<AccessRequestRecord> {
    const found = await this.#options.store.get(id)
    if (!mayRead(await this.#reader(caller), found.value, 'read')) throw missingRequest(id)
    return withRevision(found)
  }

  /** Throws AccessDenied, AlreadyExists for a second review, CompareFailed when it is decided already. */
  async review(
    caller: Caller,
    id: string,
    spec: { readonly approve: boolean; readonly reason: string; readonly author?: string | undefined },
  ): Promise<AccessRequestRecord> {
    const author = onBehalf(caller, spec.author, 'author')
    const { subject } = await this.#subject(caller, author)
    if (caller.role === 'User') await this.get(caller, id)
    return this.#options.store.change(id, async (record) => {
      const why = whyNoReview(subject, record)
      if (why !== undefined) throw new AccessDenied(`access denied: user ${quote(author)}: ${why}`)
      if (record.reviews.some((review) => review.author === author))
        throw new AlreadyExists(`${quote(author)} has reviewed the request ${id} already`)
      if (record.state !== 'pending') throw decided(record)
      const { approve, reason } = spec
      const thresholds = [...thresholdsFor(record, subject, record, spec)]
      const created = this.#options.env.now().toISOString()
      const reviews = [...record.reviews, { author, approve, reason, created, thresholds }]
      const state = stateOf(record, reviews)
      if (state === 'approved') await this.#checkStillRequestable(record)
      const next = { ...record, reviews, state, ...(state === 'pending' ? {} : { resolveReason: reason }) }
      const about = { ...toldOf(next, author), ...(reason === '' ? {} : { reason }) }
      const proposed = approve ? ('APPROVED' as const) : ('DENIED' as const)
      const review: NewAuditEvent = { event: 'access_request.review', ...about, proposed_state: proposed }
      const update: NewAuditEvent = { event: 'access_request.update', ...about }
      return { next, events: state === 'pending' ? [review] : [review, update] }
    })
  }

  /** Alone, whatever the thresholds. Throws AccessDenied, BadParameter, CompareFailed. */
  async resolve(
    caller: Caller,
    id: string,
    spec: {
      readonly state: 'approved' | 'denied'
      readonly reason: string
      readonly roles?: readonly string[] | undefined
      readonly annotations: Readonly<Record<string, string[]>>
    },
  ): Promise<AccessRequestRecord> {
    return this.#options.store.change(id, async (record) => {
      const ask = { verb: 'update' as const, kind: 'access_request' as const, name: id, hint }
      permitFound(caller, ask, record, requestFacts)
      if (caller.role === 'User' && caller.name === record.user)
        throw new AccessDenied('access denied: nobody decides about their own request')
      const { state, reason, roles, annotations } = spec
      // Denied is denied; what was approved may be taken back.
      if (record.state !== 'pending' && !(record.state === 'approved' && state === 'denied')) throw decided(record)
      if (roles !== undefined) checkSubset(record, roles, state)
      const next: StoredAccessRequest = {
        ...record,
        state,
        resolveReason: reason,
        resolveAnnotations: { ...annotations },
        ...(roles === undefined ? {} : { roles: [...new Set(roles)] }),
      }
      const event: NewAuditEvent = {
        event: 'access_request.update',
        ...toldOf(next, caller.name),
        ...(reason === '' ? {} : { reason }),
        ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
      }
      return { next, events: [event] }
    })
  }

  /** Throws AccessDenied, NotFound. */
  async remove(caller: Caller, id: string): Promise<void> {
    await this.#options.store.remove(id, caller.name, (record) => {
      if (caller.role !== 'User' || caller.name === record.user) return
      const ask = { verb: 'delete' as const, kind: 'access_request' as const, name: id, hint }
      permitFound(caller, ask, record, requestFacts)
    })
  }

  /**
   * What the certificate of a user gets: the roles that are their own, and those of approved requests: of those it has already, as far
   * as they hold, and of those it shall have besides. It ends with the first of them. Throws AccessDenied for one of the latter that
   * gives nothing.
   */
  async grantsFor(
    user: StoredUser,
    own: { readonly roles: readonly Role[]; readonly expires: Date },
    requests: { readonly held: readonly string[]; readonly wanted: readonly string[] },
  ): Promise<{
    readonly roles: readonly Role[]
    readonly notAfter: Date
    readonly accessRequests: readonly string[]
  }> {
    const granted: StoredAccessRequest[] = []
    for (const id of new Set([...requests.wanted, ...requests.held])) {
      const record = (await this.#options.store.find(id))?.value
      const isTheirs = record !== undefined && record.user === user.name && record.userCreated === user.created
      if (isTheirs && record.state === 'approved') granted.push(record)
      else if (requests.wanted.includes(id)) {
        if (!isTheirs) throw new AccessDenied(`access denied: you have no request ${id}, or it is over`)
        throw new AccessDenied(`access denied: the request ${id} is ${record.state}`)
      }
    }
    const names = new Set(granted.flatMap(({ roles }) => roles))
    for (const { metadata } of own.roles) names.delete(metadata.name)
    return {
      roles: [...own.roles, ...(await this.#definitions([...names], false))],
      notAfter: new Date(Math.min(own.expires.getTime(), ...granted.map(({ expires }) => Date.parse(expires)))),
      accessRequests: granted.map(({ id }) => id),
    }
  }

  /** With the roles that are the person's own: what a request gave must not serve to ask for more, or to grant. */
  async #subject(caller: Caller, name: string): Promise<{ readonly user: StoredUser; readonly subject: RuleSubject }> {
    const { tables, users } = this.#options
    const found = await tables.users.find(name)
    if (found === undefined) throw new NotFound(`there is no user ${quote(name)}; tctl users ls lists them`)
    const user = found.value
    if (caller.role !== 'User') {
      return { user, subject: { user: name, roles: await users.rolesOf(user), traits: user.traits } }
    }
    if (caller.user === undefined) throw new AccessDenied('access denied: users ask for roles')
    const { roles, traits } = caller.user
    const own = roles.filter(({ metadata }) => user.roles.includes(metadata.name))
    return { user, subject: { user: name, roles: own, traits } }
  }

  /** Names, each once; `*` is all that may be asked for. */
  async #wanted(subject: RuleSubject, user: StoredUser, asked: readonly string[]): Promise<string[]> {
    if (!asked.includes('*')) return [...new Set(asked)]
    if (asked.length > 1) throw new BadParameter('roles', 'either * for every role, or names')
    const found = await this.#requestableFor(subject, user)
    if (found.length === 0) throw new AccessDenied('access denied: your roles let you ask for no other role')
    return found
  }

  async #requestableFor(subject: RuleSubject, user: StoredUser): Promise<string[]> {
    const found: string[] = []
    for await (const { id } of this.#options.tables.roles.all()) {
      if (!user.roles.includes(id) && isRequestable(subject, id)) found.push(id)
    }
    return found
  }

  async #definitions(names: readonly string[], mustExist = true): Promise<Role[]> {
    const roles: Role[] = []
    for (const name of names) {
      const found = await this.#options.tables.roles.find(name)
      if (found !== undefined) roles.push(readRole(found.value))
      else if (mustExist) throw new BadParameter('roles', `there is no role ${quote(name)}`)
    }
    return roles
  }

  /** The roles of the person may have changed since they asked. */
  async #checkStillRequestable(record: StoredAccessRequest): Promise<void> {
    const { tables, users } = this.#options
    const found = await tables.users.find(record.user)
    if (found === undefined || found.value.created !== record.userCreated) throw missingRequest(record.id)
    const roles = await users.rolesOf(found.value)
    const answer = judgeRequest({ user: record.user, roles, traits: found.value.traits }, record.roles)
    if (!answer.allow) throw new AccessDenied(`access denied: user ${quote(record.user)}: ${answer.reason} any more`)
  }

  async #reader(caller: Caller): Promise<Reader> {
    if (caller.role !== 'User') return 'all'
    const { subject } = await this.#subject(caller, caller.name)
    return { reviewer: subject, reader: caller.user ?? subject }
  }
}

/** Users act for themselves; administrators must name somebody. */
function onBehalf(caller: Caller, named: string | undefined, param: string): string {
  if (caller.role !== 'User') {
    if (named === undefined) throw new MissingParameter(param, `name the ${param} on whose behalf this is`)
    return named
  }
  if (named !== undefined && named !== caller.name)
    throw new AccessDenied(`access denied: only administrators act on behalf of others`)
  return caller.name
}

type Reader = 'all' | { readonly reviewer: RuleSubject; readonly reader: RuleSubject }

function mayRead(reader: Reader, record: StoredAccessRequest, verb: 'list' | 'read'): boolean {
  if (reader === 'all' || reader.reviewer.user === record.user) return true
  if (whyNoReview(reader.reviewer, record) === undefined) return true
  return checkRule(reader.reader, { kind: 'access_request', verb, resource: requestFacts(record) }).allow
}

/** When the roles end at the latest. Throws BadParameter for a time that is too soon. */
function expiryOf(roles: readonly Role[], asked: string | undefined, now: Date): Date {
  const latest =
    now.getTime() + sessionTtlSeconds(roles, undefined, Math.min(maxAccess, MAX_SESSION_TTL_SECONDS)) * 1000
  if (asked === undefined) return new Date(latest)
  const wanted = Date.parse(asked)
  if (wanted < now.getTime() + minAccess) throw new BadParameter('expires', 'the roles would last less than a minute')
  return new Date(Math.min(wanted, latest))
}

function checkSubset(record: StoredAccessRequest, roles: readonly string[], state: 'approved' | 'denied'): void {
  if (state === 'denied') throw new BadParameter('roles', 'a denied request gives no roles')
  const more = roles.find((role) => !record.roles.includes(role))
  if (more !== undefined) throw new BadParameter('roles', `the role ${quote(more)} was not asked for`)
}

const requestFacts = ({ id, roles }: StoredAccessRequest): ResourceFacts => ({ name: id, roles })
const hint = 'tctl requests ls lists them'
const decided = ({ id, state }: StoredAccessRequest) => new CompareFailed(`the request ${id} is ${state} already`)
const mutable = (lists: Readonly<Record<string, readonly string[]>>): Record<string, string[]> =>
  Object.fromEntries(Object.entries(lists).map(([name, values]) => [name, [...values]]))
const withRevision = ({ value, revision }: Found<StoredAccessRequest>): AccessRequestRecord => ({ ...value, revision })
