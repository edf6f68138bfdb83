/** Time-based one-time passwords (RFC 6238): 6 digits, 30 s, one step either way, each code once. */

import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { isAlreadyExists } from '../errors/errors.ts'
import type { Tables } from './records.ts'
import { hashToken } from './secrets.ts'

/** Seconds. */
const period = 30
const digits = 6
/** Steps that a clock may be off. */
const window = 1
/** Bytes, as RFC 4226 recommends. */
const secretBytes = 20

export interface Enrolment {
  /** Base32. */
  readonly secret: string
  /** `otpauth://totp/…`, what the QR code holds. */
  readonly uri: string
}

export class OneTimePasswords {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #env: Env

  constructor(backend: Backend, tables: Tables, env: Env) {
    this.#backend = backend
    this.#tables = tables
    this.#env = env
  }

  async newSecret(): Promise<string> {
    const { Secret } = await import('otpauth')
    const bytes = new Uint8Array(this.#env.randomBytes(secretBytes))
    return new Secret({ buffer: bytes.buffer }).base32
  }

  async enrolment(secret: string, user: string, clusterName: string): Promise<Enrolment> {
    return { secret, uri: (await totp(secret, user, clusterName)).toString() }
  }

  /** The step of a right code, not used up; undefined for a wrong one. */
  async check(secret: string, code: string): Promise<number | undefined> {
    if (!/^\d{6}$/.test(code)) return undefined
    const generator = await totp(secret, '', '')
    const timestamp = this.#env.now().getTime()
    const delta = generator.validate({ token: code, timestamp, window })
    return delta === null ? undefined : Math.floor(timestamp / 1000 / period) + delta
  }

  /** Checks a code and uses it up: of everybody who shows the same code, in the whole cluster, one is right. */
  async use(secret: string, code: string): Promise<boolean> {
    const step = await this.check(secret, code)
    if (step === undefined) return false
    const expires = new Date((step + window + 2) * period * 1000)
    try {
      await this.#backend.create(this.#tables.usedCodes.item(`${hashToken(secret)} ${step}`, {}, expires))
      return true
    } catch (error) {
      if (isAlreadyExists(error)) return false
      throw error
    }
  }
}

async function totp(secret: string, label: string, issuer: string) {
  // Loaded with the first login, not with the service.
  const { Secret, TOTP } = await import('otpauth')
  return new TOTP({ issuer, label, secret: Secret.fromBase32(secret), algorithm: 'SHA1', digits, period })
}
