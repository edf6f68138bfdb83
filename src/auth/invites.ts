/** Links with which a new user, or one who was reset, sets a password and enrols a second factor. Each works once. */

import { authorizeResource } from '../access/authorize.ts'
import type { Caller } from '../api/caller.ts'
import type { Invite, UserRecord } from '../api/model.ts'
import type { Backend, Operation } from '../backend/contract.ts'
import { formatDuration } from '../common/durations.ts'
import type { Env } from '../common/env.ts'
import { RateLimiter } from '../common/limiter.ts'
import { BadParameter, isCompareFailed, NotFound } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import type { Hub } from './hub.ts'
import type { Lockout } from './lockout.ts'
import type { OneTimePasswords } from './otp.ts'
import { checkNewPassword, type Passwords } from './passwords.ts'
import { authItself, listedPage, userFacts } from './permits.ts'
import type { Credentials, Tables } from './records.ts'
import { abbreviate, hashToken, newToken } from './secrets.ts'
import type { AuthSettings } from './settings.ts'
import type { RolesAndTraits, Users } from './users.ts'
import type { WebSessionIndex } from './web-session-index.ts'

/** Seconds. Source: Teleport 7, at most 48 hours for an invite and 24 for a reset. */
const inviteTtl = { default: 3600, max: 48 * 3600 }
const resetTtl = { default: 8 * 3600, max: 24 * 3600 }
/** Wrong links from one address. */
const guessRate = { burst: 20, perSecond: 1 / 6 }

export interface InvitesOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly audit: Audit
  readonly passwords: Passwords
  readonly otp: OneTimePasswords
  readonly lockout: Lockout
  readonly webSessions: Pick<WebSessionIndex, 'removalsOf'>
  readonly users: Users
  readonly hub: Hub
  readonly settings: AuthSettings
  readonly env: Env
}

export interface InviteLink {
  readonly user: string
  readonly token: string
  readonly url: string
  readonly expires: string
}

type Kind = 'invite' | 'reset'

export class Invites {
  readonly #options: InvitesOptions
  readonly #guesses: RateLimiter

  constructor(options: InvitesOptions) {
    this.#options = options
    this.#guesses = new RateLimiter(guessRate, options.env)
  }

  /** A user, and a link for them when a lifetime is given. */
  async createUser(
    caller: Caller,
    spec: RolesAndTraits & { readonly name: string; readonly inviteTtlSeconds?: number | undefined },
  ): Promise<{ user: UserRecord; invite?: InviteLink }> {
    const { users } = this.#options
    if (spec.inviteTtlSeconds === undefined) return { user: await users.create(caller, spec.name, spec) }
    const ttl = Math.min(spec.inviteTtlSeconds, inviteTtl.max)
    const { link, operation } = await this.#prepare(spec.name, 'invite', ttl)
    return { user: await users.create(caller, spec.name, spec, [operation]), invite: link }
  }

  /** Password and second factor are gone from now on, and so is a lock; earlier links stop working. */
  async reset(caller: Caller, name: string, ttlSeconds: number | undefined): Promise<InviteLink> {
    const { backend, tables, audit, users, lockout, webSessions } = this.#options
    const { permit, found } = await users.permitUpdate(caller, name)
    const ttl = Math.min(ttlSeconds ?? resetTtl.default, resetTtl.max)
    const { link, operation } = await this.#prepare(name, 'reset', ttl)
    await audit.emit({ event: 'reset_password_token.create', user: caller.name, name, ttl: formatDuration(ttl * 1000) })
    await backend.commit([
      tables.users.unchanged(found),
      tables.users.put(permit, { ...found.value, activated: false }),
      tables.credentials.remove(name),
      ...webSessions.removalsOf(name),
      ...(await users.invitesOf(name)),
      operation,
    ])
    await lockout.clear(name)
    return link
  }

  async #prepare(user: string, kind: Kind, ttlSeconds: number): Promise<{ link: InviteLink; operation: Operation }> {
    const { tables, env, settings, otp } = this.#options
    const token = newToken(env)
    const expires = new Date(env.now().getTime() + ttlSeconds * 1000)
    const record = {
      user,
      kind,
      shown: abbreviate(token),
      expires: expires.toISOString(),
      ...(settings.secondFactor === 'off' ? {} : { otpSecret: await otp.newSecret() }),
    }
    const operation = tables.invites.put(hashToken(token), record, expires)
    const url = `https://${this.#webAddress()}/web/${kind}/${token}`
    return { link: { user, token, url, expires: record.expires }, operation }
  }

  /** From the configuration, else from a proxy that is there; never from what a client says. */
  #webAddress(): string {
    const { settings, hub, env } = this.#options
    if (settings.webAddress !== undefined) return settings.webAddress
    const proxy = hub.snapshot.servers.list('proxy', env.now().getTime())[0]
    return proxy?.publicAddresses[0] ?? (proxy === undefined ? '<proxyhost>:3080' : `${proxy.hostname}:3080`)
  }

  async open(token: string, address: string): Promise<Invite> {
    const { settings, otp, hub } = this.#options
    const { value } = await this.#find(token, address)
    const enrolment =
      value.otpSecret === undefined ? undefined : await otp.enrolment(value.otpSecret, value.user, hub.clusterName)
    return {
      user: value.user,
      kind: value.kind,
      clusterName: hub.clusterName,
      secondFactor: settings.secondFactor,
      expires: value.expires,
      minPasswordLength: settings.minPasswordLength,
      ...(enrolment === undefined ? {} : { otp: { ...enrolment } }),
    }
  }

  /** Throws BadParameter for what can be put right, so that the link stays good for another try. */
  async accept(request: {
    readonly token: string
    readonly password: string
    readonly otp?: string | undefined
    readonly client: { readonly address: string }
  }): Promise<string> {
    const { backend, tables, audit, passwords, lockout, users, settings, webSessions } = this.#options
    const { address } = request.client
    const invite = await this.#find(request.token, address)
    const { user: name } = invite.value
    checkNewPassword(request.password, name, settings.minPasswordLength)
    const otpSecret = await this.#checkCode(invite.value.otpSecret, request.otp, address)
    const credentials: Credentials = {
      password: await passwords.hash(request.password),
      ...(otpSecret === undefined ? {} : { otpSecret }),
    }
    const user = await users.get(name)
    // Whoever made the link was allowed to.
    const permit = authorizeResource(authItself, 'update', 'user', userFacts(user.value))
    await audit.emit({ event: 'user.password_change', user: name, 'addr.remote': address })
    try {
      await backend.commit([
        tables.invites.unchanged(invite),
        tables.invites.remove(invite.id),
        tables.users.unchanged(user),
        tables.users.put(permit, { ...user.value, activated: true }),
        tables.credentials.put(name, credentials),
        ...webSessions.removalsOf(name),
      ])
    } catch (error) {
      if (isCompareFailed(error)) throw invalid()
      throw error
    }
    await lockout.clear(name)
    return name
  }

  /** The secret to keep: enrolled when the code proves that the user's device has it. */
  async #checkCode(secret: string | undefined, code: string | undefined, address: string): Promise<string | undefined> {
    const { settings, otp } = this.#options
    if (secret === undefined || settings.secondFactor === 'off') return undefined
    if (code === undefined || code === '') {
      if (settings.secondFactor === 'optional') return undefined
      throw new BadParameter('otp', 'a code of the second factor is needed; add the secret to an authenticator app')
    }
    this.#guesses.check(address, 'wrong codes from this address')
    if (!(await otp.use(secret, code))) {
      throw new BadParameter('otp', 'the code is not right; wait for the next one, and check the clock of the device')
    }
    return secret
  }

  async #find(token: string, address: string) {
    const { tables, env } = this.#options
    const found = await tables.invites.find(hashToken(token))
    if (found !== undefined && Date.parse(found.value.expires) > env.now().getTime()) return found
    this.#guesses.check(address, 'wrong links from this address')
    throw invalid()
  }

  async list(caller: Caller) {
    const invites: { token: string; user: string; kind: Kind; expires: string }[] = []
    for await (const { value } of this.#options.tables.invites.all()) {
      const { shown, user, kind, expires } = value
      invites.push({ token: shown, user, kind, expires })
    }
    return listedPage(caller, 'token', { items: invites }, ({ token }) => ({ name: token })).items
  }
}

/** The same whether the link expired, was used, or never existed. */
const invalid = () => new NotFound('this link is not valid: it expired, was used, or never existed; ask for a new one')
