/**
 * Proving a second factor. Every proof is for one user and one action, and is good once: a code by its step, a challenge and a
 * ceremony by being removed, a recovery code by leaving the list. Nothing here counts failures; whoever asks does.
 */

import { type Assertion, bindingOf, type CeremonyProof, type MfaAction, type Proof } from '../../api/mfa-model.ts'
import type { Backend } from '../../backend/contract.ts'
import type { Env } from '../../common/env.ts'
import { isCompareFailed, LimitExceeded } from '../../errors/errors.ts'
import type { OneTimePasswords } from '../otp.ts'
import type { Credentials, StoredDevice, StoredKey, Tables } from '../records.ts'
import type { Ceremonies } from './ceremonies.ts'
import type { Challenges } from './challenges.ts'
import { type FactorSettings, takesRecoveryCode, usable, whyNone } from './policy.ts'
import { hashRecoveryCode } from './recovery-codes.ts'
import { challengeOf, type RelyingParty } from './webauthn.ts'

export type ProvenAction = MfaAction | { readonly kind: 'web_login' }

export interface ProvenBy {
  readonly method: 'otp' | 'webauthn' | 'recovery_code'
  /** Absent for a recovery code. */
  readonly device?: Pick<StoredDevice, 'id' | 'name' | 'kind'>
  /** After a recovery code. */
  readonly codesLeft?: number
}

export type Verdict = { readonly ok: true; readonly by: ProvenBy } | { readonly ok: false; readonly why: string }

export interface FactorsOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly otp: OneTimePasswords
  readonly challenges: Challenges
  readonly ceremonies: Ceremonies
  readonly relyingParty: RelyingParty
  readonly settings: FactorSettings
  readonly env: Env
}

/** Changes of one record that lose against others, before it is an error. */
const attempts = 8

const no = (why: string): Verdict => ({ ok: false, why })

export class Factors {
  readonly #options: FactorsOptions

  constructor(options: FactorsOptions) {
    this.#options = options
  }

  get settings(): FactorSettings {
    return this.#options.settings
  }

  async prove(user: string, action: ProvenAction, proof: Proof): Promise<Verdict> {
    const { otp, recoveryCode, webauthn, ceremony } = proof
    const given = [otp, recoveryCode, webauthn, ceremony].filter((each) => each !== undefined)
    if (given.length > 1) return no('more than one proof was given')
    if (otp !== undefined) return await this.#code(user, otp)
    if (recoveryCode !== undefined) {
      if (!takesRecoveryCode(action.kind)) return no('a recovery code opens no session; enrol a new device with it')
      return await this.#recover(user, recoveryCode)
    }
    if (webauthn !== undefined) return await this.#key(user, bindingOf(action), webauthn)
    if (ceremony !== undefined) return await this.#ceremony(user, action, ceremony)
    const credentials = await this.#credentials(user)
    const hasAny = usable(this.settings, credentials?.devices ?? []).length + (credentials?.recoveryCodes.length ?? 0)
    return no(hasAny === 0 ? whyNone(this.settings) : 'no code')
  }

  async #credentials(user: string): Promise<Credentials | undefined> {
    return (await this.#options.tables.credentials.find(user))?.value
  }

  async #code(user: string, code: string): Promise<Verdict> {
    const devices = usable(this.settings, (await this.#credentials(user))?.devices ?? [])
    const apps = devices.filter((device) => device.kind === 'totp')
    if (apps.length === 0) return no(whyNone(this.settings))
    for (const app of apps) {
      if (!(await this.#options.otp.use(app.secret, code))) continue
      const used = await this.#used(user, app.id, (device) => device)
      return used === undefined ? no('the device was removed') : { ok: true, by: { method: 'otp', device: used } }
    }
    return no('wrong or used code')
  }

  async #recover(user: string, code: string): Promise<Verdict> {
    const hash = hashRecoveryCode(user, code)
    if (hash === undefined || this.settings.secondFactor === 'off') return no('wrong or used recovery code')
    let left = 0
    const found = await this.change(user, (credentials) => {
      // One that is not there is no match, whatever comes out: the codes are hashes of 80 random bits.
      const rest = credentials.recoveryCodes.filter((each) => each !== hash)
      left = rest.length
      return rest.length === credentials.recoveryCodes.length ? undefined : { ...credentials, recoveryCodes: rest }
    })
    return found ? { ok: true, by: { method: 'recovery_code', codesLeft: left } } : no('wrong or used recovery code')
  }

  /** An assertion for a challenge with this binding. */
  async #key(user: string, binding: string, answer: Assertion): Promise<Verdict> {
    const { challenges, relyingParty } = this.#options
    const challenge = challengeOf(answer.response.clientDataJSON)
    const known = await challenges.take(challenge, { user, binding, type: 'get' })
    if (challenge === undefined || known === undefined)
      return no('the challenge is unknown, used, or for something else')
    const devices = usable(this.settings, (await this.#credentials(user))?.devices ?? [])
    const key = devices.find(
      (device): device is StoredKey => device.kind === 'webauthn' && device.credentialId === answer.id,
    )
    if (key === undefined) return no("the security key is none of this user's")
    const verified = await relyingParty.verifyAssertion(answer, challenge, key)
    if (!verified.ok) return no(verified.why)
    const counter = verified.value
    const used = await this.#used(user, key.id, (device) => {
      if (device.kind !== 'webauthn') return undefined
      // Compared with what is stored now: two copies of a key may race.
      if ((counter > 0 || device.counter > 0) && counter <= device.counter) return undefined
      return { ...device, counter }
    })
    if (used === undefined) return no('the key was removed, or its counter went back: it may have been copied')
    return { ok: true, by: { method: 'webauthn', device: used } }
  }

  /** For a page that stands for a program: the proof of possession is there, the program's secret comes later. */
  proveKey(user: string, action: MfaAction, answer: Assertion): Promise<Verdict> {
    return this.#key(user, bindingOf(action), answer)
  }

  async #ceremony(user: string, action: ProvenAction, proof: CeremonyProof): Promise<Verdict> {
    if (action.kind === 'web_login') return no('a ceremony is for a program')
    const device = await this.#options.ceremonies.redeem(user, action, 'get', proof)
    if (device === undefined) return no('the ceremony is unknown, used, not finished, or for something else')
    const devices = usable(this.settings, (await this.#credentials(user))?.devices ?? [])
    if (!devices.some(({ id }) => id === device.id)) return no('the device was removed')
    return { ok: true, by: { method: 'webauthn', device } }
  }

  /** A challenge for the user's keys. */
  async requestOptions(user: string, binding: string) {
    const { challenges, relyingParty } = this.#options
    const devices = usable(this.settings, (await this.#credentials(user))?.devices ?? [])
    const keys = devices.filter((device) => device.kind === 'webauthn')
    return await relyingParty.requestOptions(await challenges.create({ user, binding, type: 'get' }), keys)
  }

  async #used(
    user: string,
    id: string,
    change: (device: StoredDevice) => StoredDevice | undefined,
  ): Promise<StoredDevice | undefined> {
    let used: StoredDevice | undefined
    const lastUsed = this.#options.env.now().toISOString()
    const found = await this.change(user, (credentials) => {
      const device = credentials.devices.find((each) => each.id === id)
      const changed = device === undefined ? undefined : change(device)
      if (changed === undefined) return undefined
      used = { ...changed, lastUsed }
      const now = used
      return { ...credentials, devices: credentials.devices.map((each) => (each.id === id ? now : each)) }
    })
    return found ? used : undefined
  }

  /** Reads, changes and stores a user's record, again when somebody else did so meanwhile; false when `change` wants nothing. */
  async change(user: string, change: (credentials: Credentials) => Credentials | undefined): Promise<boolean> {
    const { backend, tables } = this.#options
    for (let attempt = 0; attempt < attempts; attempt++) {
      const found = await tables.credentials.find(user)
      const next = found === undefined ? undefined : change(found.value)
      if (found === undefined || next === undefined) return false
      try {
        await backend.compareAndSwap(tables.credentials.item(user, next), found.revision)
        return true
      } catch (error) {
        if (!isCompareFailed(error)) throw error
      }
    }
    throw new LimitExceeded('this account is being changed by many at once; try again')
  }
}
