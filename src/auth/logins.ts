/** Password and second factor for a certificate. Every refusal is worded the same, takes the same time, and is in the audit log. */

import { whyShutOut } from '../api/authenticate-user.ts'
import type { ClusterState } from '../api/cluster-state.ts'
import { parseKeyLine } from '../api/lines.ts'
import type { UserCredentials } from '../api/model.ts'
import type { Env } from '../common/env.ts'
import { RateLimiter } from '../common/limiter.ts'
import { AccessDenied, isLimitExceeded } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { Audit } from './audit.ts'
import type { Issuer } from './certificates.ts'
import type { Lockout } from './lockout.ts'
import type { OneTimePasswords } from './otp.ts'
import type { Passwords } from './passwords.ts'
import { KeyedQueue } from './queue.ts'
import type { Found, StoredUser, Tables } from './records.ts'
import type { AuthSettings } from './settings.ts'
import type { Users } from './users.ts'

/** Failures from one address: twenty at once, then one every three seconds. Logins that succeed cost nothing. */
const failureRate = { burst: 20, perSecond: 1 / 3 }
/** Logins of one user that wait for each other, so that parallel guesses count one by one. */
const waitingPerUser = 32

/** What somebody shows to prove who they are. */
export interface LoginProof {
  readonly user: string
  readonly password: string
  readonly otp?: string | undefined
  readonly client: { readonly address: string; readonly userAgent?: string | undefined }
}

export interface LoginRequest extends LoginProof {
  readonly publicKey: string
  readonly ttlSeconds?: number | undefined
}

export interface LoginsOptions {
  readonly tables: Tables
  readonly audit: Audit
  readonly passwords: Passwords
  readonly otp: OneTimePasswords
  readonly lockout: Lockout
  readonly users: Users
  readonly issuer: Issuer
  readonly state: Pick<ClusterState, 'locks' | 'staleMs' | 'config'>
  readonly settings: AuthSettings
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
    const user = (await this.authenticate(request)).value
    const { users, issuer } = this.#options
    const { address } = request.client
    const roles = await users.rolesOf(user)
    return issuer.user({ user, roles, publicKey, ttlSeconds: request.ttlSeconds, address })
  }

  /**
   * The user that the proof is of, as they were when it was looked at; success and failure are in the audit log. The same for a
   * certificate and for a browser session. Throws AccessDenied, LimitExceeded.
   */
  async authenticate(request: LoginProof): Promise<Found<StoredUser>> {
    const user = await this.#queues.run(request.user, () => this.#prove(request))
    const { users, audit, state, env } = this.#options
    const { name } = user.value
    const about = { event: 'user.login', user: name, method: 'local', 'addr.remote': request.client.address } as const
    const roles = await users.rolesOf(user.value)
    const shutOut = whyShutOut(state, { user: name, roles, login: undefined, now: env.now() })
    if (shutOut !== undefined) {
      // Only somebody with the right password hears of it.
      await audit.emit({ ...about, success: false, error: shutOut })
      throw new AccessDenied(`access denied: ${shutOut}`)
    }
    await audit.emit({ ...about, success: true })
    return user
  }

  async #prove(request: LoginProof): Promise<Found<StoredUser>> {
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
      // Taken before the password is looked at, given back when it was right.
      this.#failures.check(address, 'failed logins from this address')
      await lockout.check(request.user)
    } catch (error) {
      if (isLimitExceeded(error)) await refused(messageOf(error))
      throw error
    }
    const { user, why } = await this.#check(request)
    if (user === undefined) {
      await lockout.failed(request.user)
      await refused(why)
      throw new AccessDenied('access denied: wrong user name, password or code')
    }
    this.#failures.reset(address)
    await lockout.clear(user.value.name)
    return user
  }

  async #check(request: LoginProof): Promise<{ readonly user: Found<StoredUser> | undefined; readonly why: string }> {
    const { tables, passwords } = this.#options
    const found = await tables.users.find(keyable(request.user))
    const credentials = await tables.credentials.find(keyable(request.user))
    const right = await passwords.verify(credentials?.value.password, request.password)
    if (found === undefined) return { user: undefined, why: 'there is no such user' }
    if (!right) return { user: undefined, why: 'wrong password' }
    const why = await this.#checkCode(credentials?.value.otpSecret, request.otp)
    return why === undefined ? { user: found, why: '' } : { user: undefined, why }
  }

  /** Only after the password was right, so that nobody else can use up a code. */
  async #checkCode(secret: string | undefined, code: string | undefined): Promise<string | undefined> {
    const { settings, otp } = this.#options
    if (settings.secondFactor === 'off') return undefined
    if (secret === undefined) {
      return settings.secondFactor === 'optional' ? undefined : 'no second factor is enrolled; reset the user'
    }
    if (code === undefined) return 'no code'
    return (await otp.use(secret, code)) ? undefined : 'wrong or used code'
  }
}

/** A name with a zero byte, or longer than a key may be, is nobody's; it takes the same way as any unknown one. */
const keyable = (name: string): string => (/^[^\0]{1,128}$/u.test(name) && name.isWellFormed() ? name : '-')
