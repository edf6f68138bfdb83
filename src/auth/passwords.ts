/**
 * Passwords: Argon2id off the main thread, a few at a time, so that a storm of logins is a queue and not a stall. Source of the
 * parameters: OWASP password storage cheat sheet (at least 19 MiB, 2 passes), made a step stronger.
 */

import { type Argon2Parameters, argon2, timingSafeEqual } from 'node:crypto'
import type { Env } from '../common/env.ts'
import { BadParameter } from '../errors/errors.ts'
import { guessable } from './common-passwords.ts'
import { WorkQueue } from './queue.ts'

/** What a hash costs who computes it. */
export interface PasswordCost {
  /** KiB. */
  readonly memory: number
  readonly passes: number
}

/** About 65 ms on a small server. */
const strong: PasswordCost = { memory: 32_768, passes: 3 }
const parallelism = 1
const tagLength = 32
/** Bytes of memory at a time are `running` times `memory`. At 2 a time and 65 ms, 200 in line wait 6.5 s at most. */
const queueLimits = { running: 2, waiting: 200 }
/** Characters. The API refuses longer ones before they come here. */
const maxLength = 1024

interface Parsed {
  readonly memory: number
  readonly passes: number
  readonly parallelism: number
  readonly salt: Buffer
  readonly tag: Buffer
}

export class Passwords {
  readonly #queue = new WorkQueue(queueLimits)
  readonly #env: Env
  readonly #cost: PasswordCost
  readonly #fake: Parsed

  /** `cost`: another one for tests that log in a hundred times. */
  constructor(env: Env, cost = strong) {
    this.#env = env
    this.#cost = cost
    // No password has this tag; it costs as much to find out as with a real one.
    this.#fake = { ...cost, parallelism, salt: env.randomBytes(16), tag: env.randomBytes(tagLength) }
  }

  /** The PHC string to store. Throws LimitExceeded when too many wait. */
  async hash(password: string): Promise<string> {
    const salt = this.#env.randomBytes(16)
    const { memory, passes } = this.#cost
    const tag = await this.#derive(password, { memory, passes, parallelism, salt, tag: Buffer.alloc(tagLength) })
    const base64 = (bytes: Buffer) => bytes.toString('base64').replace(/=+$/, '')
    return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${base64(salt)}$${base64(tag)}`
  }

  /** Takes as long without a stored password as with one. Throws LimitExceeded when too many wait. */
  async verify(stored: string | undefined, password: string): Promise<boolean> {
    const parsed = stored === undefined ? undefined : parsePhc(stored)
    const expected = parsed ?? this.#fake
    const tag = await this.#derive(password, expected)
    const equal = timingSafeEqual(tag, expected.tag)
    return equal && parsed !== undefined
  }

  #derive(password: string, parsed: Parsed): Promise<Buffer> {
    const parameters: Argon2Parameters = {
      message: password.normalize('NFC'),
      nonce: parsed.salt,
      parallelism: parsed.parallelism,
      tagLength: parsed.tag.length,
      memory: parsed.memory,
      passes: parsed.passes,
    }
    return this.#queue.run(() => {
      const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
      argon2('argon2id', parameters, (error, tag) => (error === null ? resolve(Buffer.from(tag)) : reject(error)))
      return promise
    })
  }
}

function parsePhc(text: string): Parsed | undefined {
  const match = /^\$argon2id\$v=19\$m=(\d{1,7}),t=(\d{1,3}),p=(\d{1,2})\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(text)
  if (match === null) return undefined
  const [, m, t, p, salt, tag] = match
  return {
    memory: Number(m),
    passes: Number(t),
    parallelism: Number(p),
    salt: Buffer.from(salt ?? '', 'base64'),
    tag: Buffer.from(tag ?? '', 'base64'),
  }
}

/** Throws BadParameter that says what is wrong. */
export function checkNewPassword(password: string, user: string, minLength: number): void {
  const length = [...password].length
  if (length < minLength) {
    throw new BadParameter('password', `the password has ${length} characters, at least ${minLength} are required`)
  }
  if (password.length > maxLength) {
    throw new BadParameter('password', `the password is longer than ${maxLength} characters`)
  }
  const why = guessable(password, user)
  if (why !== undefined) throw new BadParameter('password', `the password is too easy to guess: ${why}; choose another`)
}
