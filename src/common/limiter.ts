/** Token buckets by key (an address, a user), for logins, joins and connections before authentication. */

import { LimitExceeded } from '../errors/errors.ts'
import { formatDuration } from './durations.ts'
import type { Env } from './env.ts'

export interface RateLimit {
  /** How many may come at once. */
  readonly burst: number
  /** How many come back each second. */
  readonly perSecond: number
  /** Keys remembered; beyond, the one used longest ago is forgotten. Default 10000. */
  readonly maxKeys?: number
}

interface Bucket {
  readonly tokens: number
  readonly at: number
}

export class RateLimiter {
  readonly #limit: RateLimit
  readonly #env: Pick<Env, 'monotonicMs'>
  /** In order of use, oldest first. */
  readonly #buckets = new Map<string, Bucket>()

  constructor(limit: RateLimit, env: Pick<Env, 'monotonicMs'>) {
    this.#limit = limit
    this.#env = env
  }

  /** Takes one token; false when there is none. */
  take(key: string, cost = 1): boolean {
    const { burst, maxKeys = 10_000 } = this.#limit
    const tokens = this.#tokens(key)
    const allowed = tokens >= cost
    const left = allowed ? tokens - cost : tokens
    this.#buckets.delete(key)
    if (left < burst) this.#buckets.set(key, { tokens: left, at: this.#env.monotonicMs() })
    if (this.#buckets.size > maxKeys) this.#forgetOldest()
    return allowed
  }

  /** Throws LimitExceeded: "too many `what`; try again in 20s". */
  check(key: string, what: string, cost = 1): void {
    if (this.take(key, cost)) return
    const waitMs = Math.ceil(((cost - this.#tokens(key)) / this.#limit.perSecond) * 1000)
    const wait = Number.isFinite(waitMs) ? `; try again in ${formatDuration(Math.ceil(waitMs / 1000) * 1000)}` : ''
    throw new LimitExceeded(`too many ${what}${wait}`)
  }

  /** Gives the key its full burst again, as after a successful login. */
  reset(key: string): void {
    this.#buckets.delete(key)
  }

  /** Keys in memory, for tests and metrics. */
  get size(): number {
    return this.#buckets.size
  }

  #tokens(key: string): number {
    const { burst, perSecond } = this.#limit
    const bucket = this.#buckets.get(key)
    if (bucket === undefined) return burst
    return Math.min(burst, bucket.tokens + ((this.#env.monotonicMs() - bucket.at) / 1000) * perSecond)
  }

  #forgetOldest(): void {
    const oldest = this.#buckets.keys().next()
    if (oldest.done !== true) this.#buckets.delete(oldest.value)
  }
}
