/** Join tokens: static ones from the configuration, dynamic ones that live 15 minutes and work once. */

import { authorizeResource } from '../access/authorize.ts'
import type { ResourceFacts } from '../access/facts.ts'
import type { Caller } from '../api/caller.ts'
import type { JoinToken, ServerRole } from '../api/model.ts'
import type { Backend, Operation } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { RateLimiter } from '../common/limiter.ts'
import { AccessDenied, BadParameter } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import { actorOf, listedPage, permitFound, tokenFacts } from './permits.ts'
import type { Found, StoredToken, Tables } from './records.ts'
import { abbreviate, hashToken, newToken } from './secrets.ts'
import type { StaticToken } from './settings.ts'

/** Seconds. */
const maxTtl = 15 * 60
/** Wrong tokens from one address: ten at once, then one every six seconds. */
const guessRate = { burst: 10, perSecond: 1 / 6 }
/** Wrong tokens from everywhere. */
const totalRate = { burst: 200, perSecond: 10 }

/** What a token allows, and what using it up means. */
export interface Grant {
  readonly roles: readonly ServerRole[]
  /** Operations that fail together when somebody else was faster. Empty for static tokens. */
  readonly use: readonly Operation[]
}

export class Tokens {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #audit: Audit
  readonly #env: Env
  readonly #static: ReadonlyMap<string, StaticToken>
  readonly #guesses: RateLimiter
  readonly #allGuesses: RateLimiter

  constructor(options: {
    backend: Backend
    tables: Tables
    audit: Audit
    env: Env
    staticTokens: readonly StaticToken[]
  }) {
    this.#backend = options.backend
    this.#tables = options.tables
    this.#audit = options.audit
    this.#env = options.env
    this.#static = new Map(options.staticTokens.map((token) => [hashToken(token.value), token]))
    this.#guesses = new RateLimiter(guessRate, options.env)
    this.#allGuesses = new RateLimiter(totalRate, options.env)
  }

  async create(
    caller: Caller,
    spec: {
      readonly roles: readonly ServerRole[]
      readonly value?: string | undefined
      readonly ttlSeconds?: number | undefined
      readonly labels: Readonly<Record<string, string>>
    },
  ): Promise<JoinToken> {
    const token = spec.value ?? newToken(this.#env)
    if (!/^[\x21-\x7e]+$/.test(token)) {
      throw new BadParameter('value', 'a token consists of visible ASCII characters without spaces')
    }
    if (this.#static.has(hashToken(token)))
      throw new BadParameter('value', 'this token is in the configuration file already')
    const ttl = Math.min(spec.ttlSeconds ?? maxTtl, maxTtl)
    const expires = new Date(this.#env.now().getTime() + ttl * 1000)
    const roles = [...new Set(spec.roles)]
    const labels = { ...spec.labels }
    const shown = abbreviate(token)
    const permit = authorizeResource(actorOf(caller), 'create', 'token', tokenFacts({ token: shown, roles, labels }))
    await this.#audit.emit({ event: 'token.create', user: caller.name, roles, expires: expires.toISOString() })
    const stored = { shown: permit.target.name, roles, labels, expires: expires.toISOString() }
    await this.#backend.create(this.#tables.tokens.item(hashToken(token), stored, expires))
    return { token, roles, labels: stored.labels, static: false, expires: stored.expires }
  }

  /** Is it good now? A wrong one counts against its address. */
  async check(token: string, address: string): Promise<boolean> {
    const room = this.#guesses.take(address) && this.#allGuesses.take('')
    const grant = await this.#find(token)
    if (grant === undefined || !room) return false
    this.#guesses.reset(address)
    return true
  }

  /** Throws AccessDenied when it is not good any more, or not for these roles. */
  async grant(token: string, roles: readonly ServerRole[]): Promise<Grant> {
    const grant = await this.#find(token)
    if (grant === undefined) throw new AccessDenied('the token is not valid: it expired, was used, or never existed')
    const missing = roles.filter((role) => !grant.roles.includes(role))
    if (missing.length > 0) {
      throw new AccessDenied(
        `the token is for ${grant.roles.join(', ')} and does not let a machine join as ${missing.join(', ')}`,
      )
    }
    return grant
  }

  async list(caller: Caller): Promise<JoinToken[]> {
    const tokens: JoinToken[] = [...this.#static.values()].map(({ value, roles }) => ({
      token: abbreviate(value),
      roles: [...roles],
      labels: {},
      static: true,
    }))
    for await (const { value } of this.#tables.tokens.all()) {
      const { shown, roles, labels, expires } = value
      tokens.push({ token: shown, roles, labels, static: false, expires })
    }
    return listedPage(caller, 'token', { items: tokens }, tokenFacts).items
  }

  /** By its value, or by what listings show when that is one token or invite only. Throws AccessDenied, NotFound, BadParameter. */
  async remove(caller: Caller, name: string): Promise<void> {
    const shown = name.endsWith('…') ? name : `${name}…`
    if (
      this.#static.has(hashToken(name)) ||
      [...this.#static.values()].some(({ value }) => abbreviate(value) === shown)
    ) {
      throw new BadParameter(
        'token',
        'this token is in the configuration file; remove it there and restart the auth service',
      )
    }
    const [only, ...others] = await this.#matching(name, shown)
    const ask = { verb: 'delete' as const, kind: 'token' as const, name: shown, hint: 'tctl tokens ls lists them' }
    const { found } = permitFound(caller, ask, only, ({ facts }) => facts)
    if (others.length > 0)
      throw new BadParameter('token', `several tokens begin with ${JSON.stringify(name)}; give the whole one`)
    await this.#backend.commit([found.removal])
  }

  /** The one with that value; without one, all that are shown so. */
  async #matching(
    name: string,
    shown: string,
  ): Promise<{ readonly facts: ResourceFacts; readonly removal: Operation }[]> {
    const { tokens, invites } = this.#tables
    const id = hashToken(name)
    const token = ({ id, value }: Found<StoredToken>) => ({
      facts: tokenFacts({ ...value, token: value.shown }),
      removal: tokens.remove(id),
    })
    const invite = ({ id, value }: { readonly id: string; readonly value: { readonly shown: string } }) => ({
      facts: { name: value.shown },
      removal: invites.remove(id),
    })
    const exactToken = await tokens.find(id)
    if (exactToken !== undefined) return [token(exactToken)]
    const exactInvite = await invites.find(id)
    if (exactInvite !== undefined) return [invite(exactInvite)]
    const all = []
    for await (const found of tokens.all()) if (found.value.shown === shown) all.push(token(found))
    for await (const found of invites.all()) if (found.value.shown === shown) all.push(invite(found))
    return all
  }

  async #find(token: string): Promise<Grant | undefined> {
    const id = hashToken(token)
    const fixed = this.#static.get(id)
    if (fixed !== undefined) return { roles: fixed.roles, use: [] }
    const found = await this.#tables.tokens.find(id)
    if (found === undefined || Date.parse(found.value.expires) <= this.#env.now().getTime()) return undefined
    return { roles: found.value.roles, use: [this.#tables.tokens.unchanged(found), this.#tables.tokens.remove(id)] }
  }
}
