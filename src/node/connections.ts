/** How many connections and users a node serves at once (`connection_limits`), and who failed to log in too often. */

import type { Env } from '../common/env.ts'
import { RateLimiter } from '../common/limiter.ts'
import { LimitExceeded } from '../errors/errors.ts'

export interface ConnectionLimits {
  readonly maxConnections: number
  /** Different users at once. */
  readonly maxUsers: number
}

export class Connections {
  readonly #limits: ConnectionLimits
  readonly #perUser = new Map<string, number>()
  #count = 0

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
  }

  /** Counts a connection in; the function that is returned counts it out. Throws LimitExceeded. */
  enter(user: string): () => void {
    const { maxConnections, maxUsers } = this.#limits
    if (this.#count >= maxConnections) {
      throw new LimitExceeded(
        `this node already serves ${maxConnections} connections (connection_limits.max_connections)`,
      )
    }
    const mine = this.#perUser.get(user) ?? 0
    if (mine === 0 && this.#perUser.size >= maxUsers) {
      throw new LimitExceeded(`this node already serves ${maxUsers} users (connection_limits.max_users)`)
    }
    this.#count++
    this.#perUser.set(user, mine + 1)
    return () => {
      this.#count--
      const left = (this.#perUser.get(user) ?? 1) - 1
      if (left <= 0) this.#perUser.delete(user)
      else this.#perUser.set(user, left)
    }
  }
}

/** Penalties by source address, as OpenSSH's PerSourcePenalties: a few mistakes cost nothing, a stream of them is not even looked at. */
export class Penalties {
  readonly #limiter: RateLimiter
  readonly #refused = new Map<string, number>()
  readonly #env: Env

  constructor(env: Env) {
    this.#env = env
    this.#limiter = new RateLimiter({ burst: 60, perSecond: 0.5 }, env)
  }

  failed(address: string): void {
    if (this.#limiter.take(address)) return
    if (this.#refused.size > 10_000) this.#refused.clear()
    this.#refused.set(address, this.#env.monotonicMs() + penaltyMs)
  }

  isRefused(address: string): boolean {
    const until = this.#refused.get(address)
    if (until === undefined) return false
    if (until > this.#env.monotonicMs()) return true
    this.#refused.delete(address)
    return false
  }
}

const penaltyMs = 30_000
