/**
 * How many connections a user has in the whole cluster. One record a user, changed by compare-and-swap: with two auth servers on one
 * store, or a restart in between, the last free place is still given once.
 */

import type { Caller } from '../api/caller.ts'
import type { Lease, UserLeases } from '../api/lease-routes.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { counted } from '../common/text.ts'
import { isCompareFailed, LimitExceeded, NotFound } from '../errors/errors.ts'
import { KeyedQueue } from './queue.ts'
import type { StoredLeases, Tables } from './records.ts'

/** Milliseconds without news from its node after which a connection does not count any more. Nodes renew three times as often. */
export const leaseLifetime = 120_000
/** Another auth server may have changed the record in between. */
const attempts = 10
/** Calls for one user that wait for each other. */
const waiting = 1000

type Holders = StoredLeases['holders']

export class Leases {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #env: Env
  readonly #queue = new KeyedQueue(waiting)

  constructor(options: { readonly backend: Backend; readonly tables: Tables; readonly env: Env }) {
    this.#backend = options.backend
    this.#tables = options.tables
    this.#env = options.env
  }

  /** When it expires. Throws LimitExceeded when `maximum` connections of the user are there. */
  acquire(caller: Caller, { user, id, maximum }: Lease & { readonly maximum: number }): Promise<Date> {
    return this.#change(user, (holders, expires) => {
      const others = holders.filter((holder) => !isHeldBy(holder, caller, id))
      if (others.length >= maximum) {
        throw new LimitExceeded(`${counted(others.length, 'connection')} in the cluster already`)
      }
      return [...others, { server: caller.name, id, expires }]
    })
  }

  async renew(caller: Caller, leases: readonly Lease[]): Promise<Date> {
    const ids = new Map<string, Set<string>>()
    for (const { user, id } of leases) ids.set(user, (ids.get(user) ?? new Set()).add(id))
    let last = this.#expiry()
    for (const [user, mine] of ids) {
      last = await this.#change(user, (holders, expires) => {
        const others = holders.filter(({ server, id }) => server !== caller.name || !mine.has(id))
        return [...others, ...[...mine].map((id) => ({ server: caller.name, id, expires }))]
      })
    }
    return last
  }

  async release(caller: Caller, { user, id }: Lease): Promise<void> {
    await this.#change(user, (holders) => holders.filter((holder) => !isHeldBy(holder, caller, id)))
  }

  async page(query: {
    readonly limit: number
    readonly after?: string | undefined
  }): Promise<{ items: UserLeases[]; next?: string }> {
    const { items, next } = await this.#tables.leases.page(query)
    const now = this.#env.now().getTime()
    const current = items.map(({ id: user, value }) => {
      const holders = value.holders.filter(({ expires }) => expires > now)
      const leases = holders.map(({ id, server, expires }) => ({
        id,
        serverId: server,
        expires: new Date(expires).toISOString(),
      }))
      return { user, leases }
    })
    return { items: current.filter(({ leases }) => leases.length > 0), ...(next === undefined ? {} : { next }) }
  }

  /** Throws NotFound. */
  async forget(user: string): Promise<void> {
    if ((await this.#tables.leases.find(user)) === undefined) {
      throw new NotFound(`no connections of ${JSON.stringify(user)} are counted`)
    }
    await this.#change(user, () => [])
  }

  #expiry(): Date {
    return new Date(this.#env.now().getTime() + leaseLifetime)
  }

  /** `change` gets the holders that have not expired, and what new ones expire at. */
  #change(user: string, change: (holders: Holders, expires: number) => Holders): Promise<Date> {
    return this.#queue.run(user, async () => {
      for (let attempt = 1; ; attempt++) {
        const table = this.#tables.leases
        const found = await table.find(user)
        const expires = this.#expiry()
        const now = this.#env.now().getTime()
        const before = (found?.value.holders ?? []).filter((holder) => holder.expires > now)
        const holders = change(before, expires.getTime())
        const check = found === undefined ? table.absent(user) : table.unchanged(found)
        if (found === undefined && holders.length === 0) return expires
        const write = holders.length === 0 ? table.remove(user) : table.put(user, { holders: [...holders] }, expires)
        try {
          await this.#backend.commit([check, write])
          return expires
        } catch (error) {
          if (!isCompareFailed(error) || attempt >= attempts) throw error
        }
      }
    })
  }
}

const isHeldBy = (holder: Holders[number], caller: Caller, id: string): boolean =>
  holder.server === caller.name && holder.id === id
