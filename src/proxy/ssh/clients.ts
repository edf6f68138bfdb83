/** Who is connected to a proxy: how many connections and how many users at once, and when each one's certificate ends. */

import type { Env } from '../../common/env.ts'
import { LimitExceeded } from '../../errors/errors.ts'

export interface ClientLimits {
  /** SSH connections at once. */
  readonly maxConnections: number
  /** Different users at once. */
  readonly maxUsers: number
}

export class Clients {
  readonly #limits: ClientLimits
  readonly #perUser = new Map<string, number>()
  #connections = 0

  constructor(limits: ClientLimits) {
    this.#limits = limits
  }

  get users(): number {
    return this.#perUser.size
  }

  /** Counts a connection in; the function that is returned counts it out. Throws LimitExceeded. */
  enter(user: string): () => void {
    const { maxConnections, maxUsers } = this.#limits
    if (this.#connections >= maxConnections) {
      throw new LimitExceeded(
        `this proxy already serves ${maxConnections} connections (connection_limits.max_connections)`,
      )
    }
    const mine = this.#perUser.get(user)
    if (mine === undefined && this.#perUser.size >= maxUsers) {
      throw new LimitExceeded(`this proxy already serves ${maxUsers} users (connection_limits.max_users)`)
    }
    this.#connections++
    this.#perUser.set(user, (mine ?? 0) + 1)
    let left = false
    return () => {
      if (left) return
      left = true
      this.#connections--
      const count = (this.#perUser.get(user) ?? 1) - 1
      if (count === 0) this.#perUser.delete(user)
      else this.#perUser.set(user, count)
    }
  }
}

/** Longer than any certificate, shorter than a timer of Node.js can wait. */
const longestWaitMs = 7 * 86_400_000

/** Calls `expired` at that time, unless the signal comes first. Wall-clock time counts, so it is looked at again after each wait. */
export async function atExpiry(expires: Date, env: Env, signal: AbortSignal, expired: () => void): Promise<void> {
  try {
    for (;;) {
      const left = expires.getTime() - env.now().getTime()
      if (left <= 0) return expired()
      await env.sleep(Math.min(left, longestWaitMs), signal)
    }
  } catch {
    // The connection ended first.
  }
}
