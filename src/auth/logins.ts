/** Password and second factor for a certificate. Every refusal is worded the same, takes the same time, and is in the audit log. */

import { whyShutOut } from '../api/authenticate-user.ts'
import type { ClusterState } from '../api/cluster-state.ts'
import { parseKeyLine } from '../api/lines.ts'
import { bindingOf, type Callback, type CeremonyStart, type MfaAction, type Proof } from '../api/mfa-model.ts'
import type { UserCredentials } from '../api/model.ts'
import type { Env } from '../common/env.ts'
import { RateLimiter } from '../common/limiter.ts'
import { AccessDenied, BadParameter, isLimitExceeded } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { Audit } from './audit.ts'
import type { Issuer } from './certificates.ts'
import type { Lockout } from './lockout.ts'
import type { Ceremonies } from './mfa/ceremonies.ts'
import type { Factors, ProvenAction, ProvenBy } from './mfa/factors.ts'
import { choiceOf, isNeeded } from './mfa/policy.ts'
import { describeProof } from './mfa/prover.ts'
import type { Passwords } from './passwords.ts'
import { KeyedQueue } from './queue.ts'
import type { Found, StoredUser, Tables } from './records.ts'
import type { Users } from './users.ts'

/** Failures from one address: twenty at once, then one every three seconds. Logins that succeed cost nothing. */
const failureRate = { burst: 20, perSecond: 1 / 3 }
/** Logins of one user that wait for each other, so that parallel guesses count one by one. */
const waitingPerUser = 32

interface PasswordRequest {
  readonly user: string
  readonly password: string
  readonly client: { readonly address: string; readonly userAgent?: string | undefined }
}

/** What somebody shows to prove who they are: with at most one second factor. */
export interface LoginProof extends PasswordRequest, Proof {}

export interface LoginRequest extends LoginProof {
  readonly publicKey: string
  readonly ttlSeconds?: number | undefined
}

/** What begins with a password, at the proxy. */
type PasswordAction = Extract<MfaAction, { kind: 'login' | 'change_password' }>

export interface LoginsOptions {
  readonly tables: Tables
  readonly audit: Audit
  readonly passwords: Passwords
  readonly factors: Factors
  readonly ceremonies: Ceremonies
  readonly lockout: Lockout
  readonly users: Users
  readonly issuer: Issuer
  readonly state: Pick<ClusterState, 'locks' | 'staleMs' | 'config'>
  readonly env: Env
}

export class Logins {
  readonly #options: LoginsOptions
  readonly #failures: RateLimiter
  readonly #queues = new KeyedQueue(waitingPerUser)

  constructor(options: LoginsOptions) {
    this.#options = options
    this.#failures = new RateLimiter(failureRate, options.env)
  }

  async login(request: LoginRequest): Promise<UserCredentials> {
    const publicKey = parseKeyLine(request.publicKey)
    const { publicKey: line, ttlSeconds } = request
    const user = (await this.authenticate(request, { kind: 'login', publicKey: line, ttlSeconds })).value
    const { users, issuer } = this.#options
    const { address } = request.client
    const roles = await users.rolesOf(user)
    return issuer.user({ user, roles, publicKey, ttlSeconds: request.ttlSeconds, address })
  }

  /**
   * The user that the proof is of, as they were when it was looked at; success and failure are in the audit log. The same for a
   * certificate and for a browser session. `action` is what a ceremony may have been for. Throws AccessDenied, LimitExceeded.
   */
  async authenticate(request: LoginProof, action?: PasswordAction): Promise<Found<StoredUser>> {
    const { users, audit, state, env } = this.#options
    const { user, by } = await this.#queues.run(request.user, () =>
      this.#prove(request, () => this.#factor(request, action)),
    )
    const { name } = user.value
    const { address } = request.client
    if (by?.method === 'recovery_code') {
      await audit.emit({
        event: 'recovery_code.used',
        user: name,
        success: true,
        recovery_codes_left: by.codesLeft ?? 0,
        'addr.remote': address,
      })
    }
    const about = {
      event: 'user.login',
      user: name,
      method: 'local',
      'addr.remote': address,
      ...describeProof(by),
    } as const
    const roles = await users.rolesOf(user.value)
    const mfaDevice = by?.device === undefined ? undefined : [by.device.id, by.device.name]
    const shutOut = whyShutOut(state, { user: name, roles, login: undefined, mfaDevice, now: env.now() })
    if (shutOut !== undefined) {
      // Only somebody with the right password hears of it.
      await audit.emit({ ...about, success: false, error: shutOut })
      throw new AccessDenied(`access denied: ${shutOut}`)
    }
    await audit.emit({ ...about, success: true })
    return user
  }

  /**
   * Half a login: the password was right. Which factors can finish it, with a challenge for the keys. It forgives no earlier failure:
   * whoever has stolen a password must not win new tries for the second factor with it.
   */
  async begin(request: PasswordRequest) {
    const { factors, tables } = this.#options
    this.#checkMode()
    const { user } = await this.#queues.run(request.user, () => this.#prove(request))
    const credentials = (await tables.credentials.find(user.value.name))?.value
    const choice = choiceOf(factors.settings, credentials)
    if (!choice.webauthn) return { choice }
    const options = await factors.requestOptions(user.value.name, bindingOf({ kind: 'web_login' }))
    return { choice, webauthn: { ...options, rpId: options.rpId ?? '' } }
  }

  /** Half a login, or half of what a new password needs, to be finished by a key in a browser. Forgives no earlier failure either. */
  async startCeremony(
    request: PasswordRequest & { action: PasswordAction; callback: Callback },
  ): Promise<CeremonyStart> {
    const { ceremonies } = this.#options
    if (request.action.kind === 'login') parseKeyLine(request.action.publicKey)
    this.#checkMode()
    const { user } = await this.#queues.run(request.user, () => this.#prove(request))
    const { action, callback, client } = request
    return await ceremonies.start({ user: user.value, action, type: 'get', callback, address: client.address })
  }

  /** Where codes are the only factor they come with the password, and nobody learns which of the two was wrong. */
  #checkMode(): void {
    const { secondFactor } = this.#options.factors.settings
    if (secondFactor === 'off' || secondFactor === 'otp') {
      throw new BadParameter('second_factor', 'this cluster takes the password and the code together')
    }
  }

  async #prove(
    request: PasswordRequest,
    more?: () => Promise<Factor>,
  ): Promise<{ user: Found<StoredUser>; by?: ProvenBy }> {
    const { lockout, audit } = this.#options
    const { address } = request.client
    const refused = (message: string) =>
      audit.emit({
        event: 'user.login',
        user: request.user,
        method: 'local',
        success: false,
        error: message,
        'addr.remote': address,
      })
    try {
      // Taken before the password is looked at, given back when the whole login was right.
      this.#failures.check(address, 'failed logins from this address')
      await lockout.check(request.user)
    } catch (error) {
      if (isLimitExceeded(error)) await refused(messageOf(error))
      throw error
    }
    const password = await this.#password(request)
    const factor = 'why' in password || more === undefined ? undefined : await more()
    const why = 'why' in password ? password.why : factor?.why
    if (why !== undefined || 'why' in password) {
      await lockout.failed(request.user)
      await refused(why ?? '')
      throw new AccessDenied('access denied: wrong user name, password or code')
    }
    if (more !== undefined) {
      this.#failures.reset(address)
      await lockout.clear(password.user.value.name)
    }
    return { user: password.user, ...(factor?.by === undefined ? {} : { by: factor.by }) }
  }

  async #password(request: PasswordRequest): Promise<{ readonly user: Found<StoredUser> } | { readonly why: string }> {
    const { tables, passwords } = this.#options
    const found = await tables.users.find(keyable(request.user))
    const credentials = await tables.credentials.find(keyable(request.user))
    const right = await passwords.verify(credentials?.value.password, request.password)
    if (found === undefined) return { why: 'there is no such user' }
    return right ? { user: found } : { why: 'wrong password' }
  }

  /** Only after the password was right, so that nobody else can use up a code. */
  async #factor(request: LoginProof, login: PasswordAction | undefined): Promise<Factor> {
    const { tables, factors } = this.#options
    const { user, otp, recoveryCode, webauthn, ceremony } = request
    const credentials = (await tables.credentials.find(user))?.value
    if (!isNeeded(factors.settings, credentials)) return {}
    // An assertion of a page is for whatever login its page asks for; a ceremony is for the very key that it showed.
    const action: ProvenAction = webauthn === undefined && login !== undefined ? login : { kind: 'web_login' }
    const verdict = await factors.prove(user, action, { otp, recoveryCode, webauthn, ceremony })
    return verdict.ok ? { by: verdict.by } : { why: verdict.why }
  }
}

interface Factor {
  readonly by?: ProvenBy
  readonly why?: string
}

/** A name with a zero byte, or longer than a key may be, is nobody's; it takes the same way as any unknown one. */
const keyable = (name: string): string => (/^[^\0]{1,128}$/u.test(name) && name.isWellFormed() ? name : '-')
