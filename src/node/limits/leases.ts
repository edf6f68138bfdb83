/**
 * `max_connections`: how many connections a user may have to all nodes together. Auth counts; a connection of somebody whose roles set no
 * limit asks nobody. While auth is away nobody with a limit gets in: the limit is a promise, and only auth knows the other nodes.
 */

import type { Lease } from '../../api/lease-routes.ts'
import { counted } from '../../common/text.ts'
import { withDeadline } from '../../common/timeout.ts'
import { isLimitExceeded, LimitExceeded } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import type { Rejections } from './rejections.ts'
import { optionsNow } from './role-limits.ts'

/** The auth API as far as it is needed here. */
export interface LeaseApi {
  /** Throws LimitExceeded. */
  acquire(lease: Lease, maximum: number, signal: AbortSignal): Promise<void>
  renew(leases: readonly Lease[], signal: AbortSignal): Promise<void>
  release(lease: Lease): Promise<void>
}

/** Milliseconds. A third of what auth waits for news. */
const renewEvery = 40_000
const acquireTimeout = 5_000
/** Leases in one call. */
const batch = 5_000

export class ConnectionLeases {
  readonly #node: NodeContext
  readonly #api: LeaseApi
  readonly #rejections: Rejections
  readonly #held = new Map<NodeConnection, Lease>()
  #renewing = false

  constructor(node: NodeContext, api: LeaseApi, rejections: Rejections) {
    this.#node = node
    this.#api = api
    this.#rejections = rejections
  }

  /** Undefined when no role sets a limit. Rejects with LimitExceeded, which says why. */
  enter(connection: NodeConnection): Promise<void> | undefined {
    const { maxConnections } = optionsNow(this.#node, connection)
    return maxConnections === 0 ? undefined : this.#acquire(connection, maxConnections)
  }

  /** Gives the place back. */
  leave(connection: NodeConnection): void {
    const lease = this.#held.get(connection)
    if (lease === undefined) return
    this.#held.delete(connection)
    this.#release(lease)
  }

  async #acquire(connection: NodeConnection, maximum: number): Promise<void> {
    const { env } = this.#node
    const lease = { user: connection.identity.identity.user, id: connection.id }
    try {
      const ask = (signal: AbortSignal) => this.#api.acquire(lease, maximum, signal)
      await withDeadline(ask, acquireTimeout, 'the auth service', env, connection.signal)
    } catch (error) {
      // An answer that came too late, or was lost on the way, has counted all the same.
      this.#release(lease)
      const reason = isLimitExceeded(error)
        ? `your roles allow ${counted(maximum, 'connection')} at a time (max_connections): ${error.message}`
        : `your roles limit your connections (max_connections), and the auth service cannot be asked how many there are: ${messageOf(error)}`
      this.#rejections.record(connection, reason, maximum)
      throw new LimitExceeded(reason, { cause: error })
    }
    this.#held.set(connection, lease)
    void this.#keepRenewing()
  }

  /** A lease whose return auth does not hear of expires there. */
  #release(lease: Lease): void {
    this.#api.release(lease).catch((error: unknown) => {
      this.#node.logger.debug('a lease will expire by itself', { user: lease.user, reason: messageOf(error) })
    })
  }

  async #keepRenewing(): Promise<void> {
    if (this.#renewing) return
    this.#renewing = true
    while (this.#held.size > 0) {
      await this.#node.env.sleep(renewEvery)
      const leases = [...this.#held.values()]
      for (let at = 0; at < leases.length; at += batch) await this.#renew(leases.slice(at, at + batch))
    }
    this.#renewing = false
  }

  async #renew(leases: readonly Lease[]): Promise<void> {
    const { env, logger } = this.#node
    try {
      await withDeadline((signal) => this.#api.renew(leases, signal), renewEvery, 'the auth service', env)
    } catch (error) {
      logger.debug('cannot renew leases of connections', { reason: messageOf(error) })
    }
    // What ended meanwhile was given back, perhaps before auth had heard that it is still there.
    const held = new Set(this.#held.values())
    for (const lease of leases) if (!held.has(lease)) this.#release(lease)
  }
}
