/**
 * A ceremony in a browser on behalf of a program that has none: `tsh` begins it, a page of the proxy asks for the key, and the code
 * that proves it travels back through the user's own machine. To use it one needs three things that only that program has together:
 * the id, its secret, and the code that came to its loopback listener. So neither a stranger who sends somebody the link nor
 * another local process that catches the code gets anything (docs/protocol.md).
 */

import { timingSafeEqual } from 'node:crypto'
import {
  bindingOf,
  type Callback,
  type CeremonyProof,
  type CeremonyStart,
  type MfaAction,
} from '../../api/mfa-model.ts'
import type { Backend } from '../../backend/contract.ts'
import type { Env } from '../../common/env.ts'
import { isCompareFailed, NotFound } from '../../errors/errors.ts'
import type { Found, StoredCeremony, StoredDevice, StoredUser, Tables } from '../records.ts'
import { hashToken, newToken } from '../secrets.ts'

/** Seconds. */
const lifetime = 300

export interface CeremoniesOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly env: Env
  /** `host:port` of the web side. */
  webAddress(): string
}

export class Ceremonies {
  readonly #options: CeremoniesOptions

  constructor(options: CeremoniesOptions) {
    this.#options = options
  }

  async start(ask: {
    readonly user: StoredUser
    readonly action: MfaAction
    readonly type: 'get' | 'create'
    readonly callback: Callback
    readonly address: string
  }): Promise<CeremonyStart> {
    const { backend, tables, env, webAddress } = this.#options
    const id = newToken(env)
    const secret = newToken(env)
    const phrase = newPhrase(env)
    const expires = new Date(env.now().getTime() + lifetime * 1000)
    const { user, ...rest } = ask
    const record = {
      ...rest,
      user: user.name,
      userSince: user.created,
      secret: hashToken(secret),
      phrase,
      expires: expires.toISOString(),
    }
    await backend.create(tables.ceremonies.item(hashToken(id), record, expires))
    return { id, secret, phrase, url: `https://${webAddress()}/web/mfa/${id}`, expires: record.expires }
  }

  /** One that waits for its answer. Throws NotFound, the same for every other. */
  async open(id: string): Promise<Found<StoredCeremony>> {
    const found = await this.#find(id)
    const user = found === undefined ? undefined : await this.#options.tables.users.find(found.value.user)
    if (found === undefined || found.value.answer !== undefined || user?.value.created !== found.value.userSince) {
      throw new NotFound('this page is not valid: it expired, was used, or never existed; begin again in the terminal')
    }
    return found
  }

  /** Keeps what the browser proved. Where it has to go next. Throws NotFound when somebody else answered first. */
  async answer(found: Found<StoredCeremony>, device: StoredDevice): Promise<string> {
    const { backend, tables, env } = this.#options
    const code = newToken(env)
    const expires = new Date(found.value.expires)
    const record = { ...found.value, answer: { code: hashToken(code), device } }
    try {
      await backend.compareAndSwap(tables.ceremonies.item(found.id, record, expires), found.revision)
    } catch (error) {
      if (isCompareFailed(error)) throw new NotFound('this page was answered already; look at the terminal')
      throw error
    }
    const { host, port, state } = found.value.callback
    return `http://${host.includes(':') ? `[${host}]` : host}:${port}/callback?state=${state}&code=${code}`
  }

  /** Uses it up, right or wrong. The device that was proved or made, when everything agrees. */
  async redeem(
    user: string,
    action: MfaAction,
    type: 'get' | 'create',
    proof: CeremonyProof,
  ): Promise<StoredDevice | undefined> {
    const { backend, tables } = this.#options
    const found = await this.#find(proof.id)
    // One that is not answered yet stays: a program that asks too early, or a stranger, must not spoil it.
    if (found?.value.answer === undefined) return undefined
    // Nor does who knows the id alone.
    if (!sameHash(found.value.secret, proof.secret)) return undefined
    try {
      await backend.commit([tables.ceremonies.unchanged(found), tables.ceremonies.remove(found.id)])
    } catch (error) {
      if (isCompareFailed(error)) return undefined
      throw error
    }
    const { value } = found
    const isRight =
      sameHash(found.value.answer.code, proof.code) &&
      value.user === user &&
      value.type === type &&
      bindingOf(value.action) === bindingOf(action)
    return isRight ? found.value.answer.device : undefined
  }

  async #find(id: string): Promise<Found<StoredCeremony> | undefined> {
    const { tables, env } = this.#options
    const found = await tables.ceremonies.find(hashToken(id))
    return found !== undefined && Date.parse(found.value.expires) > env.now().getTime() ? found : undefined
  }
}

const sameHash = (stored: string, token: string): boolean =>
  timingSafeEqual(Buffer.from(stored, 'hex'), Buffer.from(hashToken(token), 'hex'))

/** Four letters and four digits, easy to compare. */
function newPhrase(env: Env): string {
  const letters = 'BCDFGHJKLMNPQRSTVWXZ'
  const bytes = [...env.randomBytes(8)]
  const pick = (alphabet: string, from: number[]) => from.map((byte) => alphabet[byte % alphabet.length]).join('')
  return `${pick(letters, bytes.slice(0, 4))}-${pick('0123456789', bytes.slice(4))}`
}
