/** Links with which a new user, or one who was reset, sets a password and enrols a second factor. Each works once. */

import { authorizeResource } from '../access/authorize.ts'
import type { Caller } from '../api/caller.ts'
import type { Attestation } from '../api/mfa-model.ts'
import type { Invite, UserRecord } from '../api/model.ts'
import type { Backend, Operation } from '../backend/contract.ts'
import { formatDuration } from '../common/durations.ts'
import type { Env } from '../common/env.ts'
import { RateLimiter } from '../common/limiter.ts'
import { BadParameter, isCompareFailed, NotFound } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import type { Hub } from './hub.ts'
import type { Lockout } from './lockout.ts'
import type { Challenges } from './mfa/challenges.ts'
import { newKeyDevice } from './mfa/devices.ts'
import { firstDeviceName } from './mfa/migration.ts'
import { accepts, type FactorSettings, isRequired } from './mfa/policy.ts'
import { hashesOf, newRecoveryCodes } from './mfa/recovery-codes.ts'
import { challengeOf, type RelyingParty } from './mfa/webauthn.ts'
import type { OneTimePasswords } from './otp.ts'
import { checkNewPassword, type Passwords } from './passwords.ts'
import { authItself, listedPage, userFacts } from './permits.ts'
import type { StoredDevice, Tables } from './records.ts'
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
  readonly challenges: Challenges
  readonly relyingParty: RelyingParty
  readonly factorSettings: FactorSettings
  /** `host:port`, from the configuration, else from a proxy that is there; never from what a client says. */
  webAddress(): string
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
    const { tables, env, otp, webAddress, factorSettings } = this.#options
    const token = newToken(env)
    const expires = new Date(env.now().getTime() + ttlSeconds * 1000)
    const record = {
      user,
      kind,
      shown: abbreviate(token),
      expires: expires.toISOString(),
      ...(accepts(factorSettings, 'totp') ? { otpSecret: await otp.newSecret() } : {}),
    }
    const operation = tables.invites.put(hashToken(token), record, expires)
    const url = `https://${webAddress()}/web/${kind}/${token}`
    return { link: { user, token, url, expires: record.expires }, operation }
  }

  /** Throws BadParameter when nothing can be done with the link, so that nobody chooses a password for nothing. */
  async open(token: string, address: string): Promise<Invite> {
    const { settings, otp, hub, factorSettings } = this.#options
    const { value } = await this.#find(token, address)
    if (isUseless(value.otpSecret, factorSettings)) throw new BadParameter('otp', linkTooOld)
    const enrolment =
      value.otpSecret === undefined ? undefined : await otp.enrolment(value.otpSecret, value.user, hub.clusterName)
    return {
      user: value.user,
      kind: value.kind,
      clusterName: hub.clusterName,
      secondFactor: settings.secondFactor,
      expires: value.expires,
      minPasswordLength: settings.minPasswordLength,
      // The setting may be another one than when the link was made.
      ...(enrolment === undefined || !accepts(factorSettings, 'totp') ? {} : { otp: { ...enrolment } }),
      webauthn: accepts(factorSettings, 'webauthn'),
    }
  }

  /** A challenge for a new security key of whoever has the link. */
  async beginKey(token: string, address: string) {
    const { challenges, relyingParty, factorSettings } = this.#options
    const { id, value } = await this.#find(token, address)
    if (!accepts(factorSettings, 'webauthn')) throw new BadParameter('webauthn', 'this cluster takes no security keys')
    const bytes = await challenges.create({ user: value.user, binding: bindingOfInvite(id), type: 'create' })
    return { ...(await relyingParty.creationOptions(value.user, bytes, [])) }
  }

  /** Throws BadParameter for what can be put right, so that the link stays good for another try. */
  async accept(request: {
    readonly token: string
    readonly password: string
    readonly otp?: string | undefined
    readonly webauthn?: Attestation | undefined
    readonly deviceName?: string | undefined
    readonly client: { readonly address: string }
  }): Promise<{ user: string; recoveryCodes?: string[] }> {
    const { backend, tables, audit, passwords, lockout, users, settings, env, webSessions } = this.#options
    const { address } = request.client
    const invite = await this.#find(request.token, address)
    const { user: name } = invite.value
    checkNewPassword(request.password, name, settings.minPasswordLength)
    const device = await this.#device(invite, request)
    const codes = device === undefined ? [] : newRecoveryCodes(env)
    const password = await passwords.hash(request.password)
    const user = await users.get(name)
    // Whoever made the link was allowed to.
    const permit = authorizeResource(authItself, 'update', 'user', userFacts(user.value))
    await audit.emit({ event: 'user.password_change', user: name, 'addr.remote': address })
    if (device !== undefined) {
      await audit.emit({
        event: 'mfa.add',
        user: name,
        mfa_device_name: device.name,
        mfa_device_uuid: device.id,
        mfa_device_type: device.kind,
        'addr.remote': address,
      })
    }
    try {
      await backend.commit([
        tables.invites.unchanged(invite),
        tables.invites.remove(invite.id),
        tables.users.unchanged(user),
        tables.users.put(permit, { ...user.value, activated: true }),
        tables.credentials.put(name, {
          password,
          devices: device === undefined ? [] : [device],
          recoveryCodes: hashesOf(name, codes),
        }),
        ...webSessions.removalsOf(name),
      ])
    } catch (error) {
      if (isCompareFailed(error)) throw invalid()
      throw error
    }
    await lockout.clear(name)
    return device === undefined ? { user: name } : { user: name, recoveryCodes: codes }
  }

  /** The user's first device: enrolled when a code or a key's answer proves that they have it. */
  async #device(
    invite: { readonly id: string; readonly value: { readonly user: string; readonly otpSecret?: string | undefined } },
    request: {
      readonly otp?: string | undefined
      readonly webauthn?: Attestation | undefined
      readonly deviceName?: string | undefined
      readonly client: { readonly address: string }
    },
  ): Promise<StoredDevice | undefined> {
    const { factorSettings, otp, env } = this.#options
    const { otpSecret: secret, user } = invite.value
    const { address } = request.client
    if (request.webauthn !== undefined) return await this.#newKey(invite.id, user, request.webauthn, request.deviceName)
    if (request.otp === undefined || request.otp === '') {
      if (!isRequired(factorSettings)) return undefined
      throw new BadParameter(
        'otp',
        !accepts(factorSettings, 'totp') ? keyNeeded : secret === undefined ? linkTooOld : codeNeeded,
      )
    }
    if (factorSettings.secondFactor === 'off') return undefined
    if (!accepts(factorSettings, 'totp')) throw new BadParameter('otp', keyNeeded)
    if (secret === undefined) throw new BadParameter('otp', linkTooOld)
    this.#guesses.check(address, 'wrong codes from this address')
    if (!(await otp.use(secret, request.otp))) {
      throw new BadParameter('otp', 'the code is not right; wait for the next one, and check the clock of the device')
    }
    const addedAt = env.now().toISOString()
    return { kind: 'totp', id: env.randomUuid(), name: request.deviceName ?? firstDeviceName, addedAt, secret }
  }

  async #newKey(invite: string, user: string, answer: Attestation, name = 'security key'): Promise<StoredDevice> {
    const { challenges, relyingParty, factorSettings, env } = this.#options
    if (!accepts(factorSettings, 'webauthn')) throw new BadParameter('webauthn', 'this cluster takes no security keys')
    const challenge = challengeOf(answer.response.clientDataJSON)
    const known = await challenges.take(challenge, { user, binding: bindingOfInvite(invite), type: 'create' })
    const verified =
      challenge === undefined || known === undefined ? undefined : await relyingParty.verifyCreation(answer, challenge)
    if (verified?.ok !== true) {
      throw new BadParameter('webauthn', 'the security key was not accepted; try again with this page')
    }
    return newKeyDevice(env, name, verified.value)
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

/** Who has to enrol an app is given no secret for one: the cluster asked for something else when the link was made. */
const isUseless = (secret: string | undefined, settings: FactorSettings): boolean =>
  secret === undefined && isRequired(settings) && accepts(settings, 'totp') && !accepts(settings, 'webauthn')

const codeNeeded = 'a code of the second factor is needed; add the secret to an authenticator app'
const linkTooOld =
  'this link is from a time when the cluster took no codes, and has no secret for an authenticator app; ask for another link'
const keyNeeded = 'this cluster takes security keys only; open the link in a browser'
/** A challenge belongs to one link. */
const bindingOfInvite = (id: string): string => `invite ${id}`
