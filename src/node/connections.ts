/** How many connections and users a node serves at once (`connection_limits`). */

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
