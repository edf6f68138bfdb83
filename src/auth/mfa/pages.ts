/** The browser's side of ceremonies: what a page shows, and what its answers do. Callers are anybody who knows an id. */

import { parseKeyLine } from '../../api/lines.ts'
import { type Assertion, type Attestation, bindingOf, type CeremonyView, type MfaAction } from '../../api/mfa-model.ts'
import { describeDuration } from '../../common/durations.ts'
import type { Env } from '../../common/env.ts'
import { RateLimiter } from '../../common/limiter.ts'
import { AccessDenied, BadParameter, isNotFound } from '../../errors/errors.ts'
import { fingerprintSha256 } from '../../ssh/keys/public-key.ts'
import type { Audit } from '../audit.ts'
import type { Found, StoredCeremony, StoredDevice, Tables } from '../records.ts'
import type { Ceremonies } from './ceremonies.ts'
import type { Challenges } from './challenges.ts'
import { newKeyDevice } from './devices.ts'
import type { Factors } from './factors.ts'
import { challengeOf, type RelyingParty } from './webauthn.ts'

/** Wrong ids and refused answers from one address. */
const guessRate = { burst: 20, perSecond: 1 / 6 }

export interface CeremonyPagesOptions {
  readonly tables: Tables
  readonly audit: Audit
  readonly ceremonies: Ceremonies
  readonly challenges: Challenges
  readonly factors: Factors
  readonly relyingParty: RelyingParty
  readonly clusterName: string
  readonly env: Env
}

export class CeremonyPages {
  readonly #options: CeremonyPagesOptions
  readonly #guesses: RateLimiter

  constructor(options: CeremonyPagesOptions) {
    this.#options = options
    this.#guesses = new RateLimiter(guessRate, options.env)
  }

  async open(id: string, address: string): Promise<CeremonyView> {
    const { factors, clusterName } = this.#options
    const { value } = await this.#find(id, address)
    const { user, action, type, phrase } = value
    const about = { user, clusterName, address: value.address, phrase, ...describeAction(action) }
    if (type === 'create') return { ...about, create: { ...(await this.#creation(value)) } }
    return {
      ...about,
      get: { ...(await factors.requestOptions(user, bindingOf(action))), rpId: this.#options.relyingParty.id },
    }
  }

  async #creation({ user, action }: StoredCeremony) {
    const { tables, challenges, relyingParty } = this.#options
    const devices = (await tables.credentials.find(user))?.value.devices ?? []
    const bytes = await challenges.create({ user, binding: bindingOf(action), type: 'create' })
    return await relyingParty.creationOptions(
      user,
      bytes,
      devices.filter((device) => device.kind === 'webauthn'),
    )
  }

  /** The address on the user's own machine to which the browser brings the code. */
  async answer(
    ask: { id: string; assertion?: Assertion | undefined; attestation?: Attestation | undefined },
    address: string,
  ): Promise<{ redirect: string }> {
    const { ceremonies } = this.#options
    const found = await this.#find(ask.id, address)
    this.#guesses.check(address, 'answers from this address')
    const device = await this.#device(found, ask)
    const redirect = await ceremonies.answer(found, device)
    this.#guesses.reset(address)
    return { redirect }
  }

  async #device(
    { value }: Found<StoredCeremony>,
    ask: { assertion?: Assertion | undefined; attestation?: Attestation | undefined },
  ): Promise<StoredDevice> {
    const { tables, factors } = this.#options
    const { user, action, type } = value
    if (type === 'create') {
      if (ask.attestation === undefined || action.kind !== 'add_device')
        throw new BadParameter('attestation', 'a new key is expected')
      return await this.#newKey(value, action.name, ask.attestation)
    }
    if (ask.assertion === undefined) throw new BadParameter('assertion', "the key's answer is missing")
    const verdict = await factors.proveKey(user, action, ask.assertion)
    if (!verdict.ok) return await this.#refuse(value, verdict.why)
    const devices = (await tables.credentials.find(user))?.value.devices ?? []
    const device = devices.find(({ id }) => id === verdict.by.device?.id)
    return device ?? (await this.#refuse(value, 'the device was removed'))
  }

  async #newKey(value: StoredCeremony, name: string, answer: Attestation): Promise<StoredDevice> {
    const { challenges, relyingParty, env } = this.#options
    const challenge = challengeOf(answer.response.clientDataJSON)
    const known = await challenges.take(challenge, {
      user: value.user,
      binding: bindingOf(value.action),
      type: 'create',
    })
    if (challenge === undefined || known === undefined) {
      return await this.#refuse(value, 'the challenge is unknown, used, or for something else')
    }
    const verified = await relyingParty.verifyCreation(answer, challenge)
    return verified.ok ? newKeyDevice(env, name, verified.value) : await this.#refuse(value, verified.why)
  }

  async #refuse(value: StoredCeremony, why: string): Promise<never> {
    await this.#options.audit.emit({
      event: 'mfa_auth_challenge.validate',
      user: value.user,
      purpose: value.action.kind,
      success: false,
      error: why,
      'addr.remote': value.address,
    })
    throw new AccessDenied('access denied: this security key was not accepted; try again, with a key of this account')
  }

  async #find(id: string, address: string): Promise<Found<StoredCeremony>> {
    try {
      return await this.#options.ceremonies.open(id)
    } catch (error) {
      if (isNotFound(error)) this.#guesses.check(address, 'wrong links from this address')
      throw error
    }
  }
}

/** For people: what a tap on the key will do. */
function describeAction(action: MfaAction): Pick<CeremonyView, 'title' | 'details'> {
  const key = (line: string): [string, string] => ['Key', fingerprintSha256(parseKeyLine(line))]
  switch (action.kind) {
    case 'login':
      return { title: 'Log in with tsh', details: [key(action.publicKey)] }
    case 'session':
      return { title: 'Open a session', details: [['Server', action.host], key(action.publicKey)] }
    case 'grant':
      return {
        title: 'Open sessions for a while',
        details: [
          ['Servers', action.hosts.join(', ')],
          ['For', describeDuration(action.ttlSeconds * 1000)],
          key(action.publicKey),
        ],
      }
    case 'add_device':
      return { title: 'Add a second factor', details: [['Name', action.name]] }
    case 'remove_device':
      return { title: 'Remove a second factor', details: [['Device', action.device]] }
    case 'recovery_codes':
      return { title: 'Make new recovery codes', details: [] }
    case 'change_password':
      return { title: 'Change the password', details: [] }
  }
}
