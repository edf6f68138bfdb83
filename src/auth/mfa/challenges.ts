/** Challenges: random, short-lived, for one user and one purpose, and gone with the first answer, right or wrong. */

import type { Backend } from '../../backend/contract.ts'
import type { Env } from '../../common/env.ts'
import { isCompareFailed } from '../../errors/errors.ts'
import type { Found, StoredChallenge, Tables } from '../records.ts'
import { hashToken } from '../secrets.ts'

/** Seconds. */
const lifetime = 180
/** Bytes. */
const size = 32

export class Challenges {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #env: Env

  constructor(backend: Backend, tables: Tables, env: Env) {
    this.#backend = backend
    this.#tables = tables
    this.#env = env
  }

  /** The bytes; the base64url form of them is what an answer names. */
  async create(challenge: Pick<StoredChallenge, 'user' | 'binding' | 'type'> & { secret?: string }): Promise<Buffer> {
    const bytes = this.#env.randomBytes(size)
    const expires = new Date(this.#env.now().getTime() + lifetime * 1000)
    const record = { ...challenge, tries: 0, expires: expires.toISOString() }
    await this.#backend.create(this.#tables.challenges.item(hashToken(bytes.toString('base64url')), record, expires))
    return bytes
  }

  async find(challenge: string): Promise<Found<StoredChallenge> | undefined> {
    const found = await this.#tables.challenges.find(hashToken(challenge))
    return found !== undefined && Date.parse(found.value.expires) > this.#env.now().getTime() ? found : undefined
  }

  /** Uses it up: of everybody who shows the same one, one gets it. Undefined also for one of somebody or something else, which is gone then. */
  async take(
    challenge: string | undefined,
    ask: Pick<StoredChallenge, 'user' | 'binding' | 'type'>,
  ): Promise<StoredChallenge | undefined> {
    const found = challenge === undefined ? undefined : await this.find(challenge)
    if (found === undefined) return undefined
    const { challenges } = this.#tables
    try {
      await this.#backend.commit([challenges.unchanged(found), challenges.remove(found.id)])
    } catch (error) {
      if (isCompareFailed(error)) return undefined
      throw error
    }
    const { user, binding, type } = found.value
    return user === ask.user && binding === ask.binding && type === ask.type ? found.value : undefined
  }
}
