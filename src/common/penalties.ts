/** Who failed to log in too often, and how much of it is worth a record. */

import type { Env } from './env.ts'
import { RateLimiter } from './limiter.ts'
import { sourceOf } from './source.ts'

/** Failures of one address that cost nothing: sixty, and one every two seconds. */
const allowance = { burst: 60, perSecond: 0.5 }
/** Records of failures of all addresses together: strangers must not be able to fill a disk. */
const records = { burst: 500, perSecond: 20 }
/** Milliseconds. */
const penaltyMs = 30_000

/** Penalties by source address, as OpenSSH's PerSourcePenalties: a few mistakes cost nothing, a stream of them is not even looked at. */
export class Penalties {
  readonly #limiter: RateLimiter
  readonly #records: RateLimiter
  readonly #refused = new Map<string, number>()
  readonly #env: Env

  constructor(env: Env) {
    this.#env = env
    this.#limiter = new RateLimiter(allowance, env)
    this.#records = new RateLimiter(records, env)
  }

  /** Counts a failure. False: there were so many that this one need not be recorded. */
  failed(address: string): boolean {
    const known = this.isRefused(address)
    const source = sourceOf(address)
    if (!this.#limiter.take(source)) {
      if (this.#refused.size > 10_000) this.#refused.clear()
      this.#refused.set(source, this.#env.monotonicMs() + penaltyMs)
    }
    return !known && this.#records.take('')
  }

  isRefused(address: string): boolean {
    const source = sourceOf(address)
    const until = this.#refused.get(source)
    if (until === undefined) return false
    if (until > this.#env.monotonicMs()) return true
    this.#refused.delete(source)
    return false
  }
}
