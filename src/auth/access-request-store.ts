/**
 * The records of requests for roles: found while they hold, and told and removed when they are over. Each change is a compare-and-swap
 * on the record, so that of two reviewers at once both count, and what is decided is decided once.
 */

import type { AccessRequestRecord, RequestState } from '../api/request-model.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { quote } from '../common/text.ts'
import { isCompareFailed, LimitExceeded, NotFound } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import type { Audit, NewAuditEvent } from './audit.ts'
import { KeyedQueue } from './queue.ts'
import type { Found, StoredAccessRequest, Tables } from './records.ts'

const maxOpenPerUser = 32
const maxRequests = 10_000
/** Another auth server may have changed the record in between. */
const attempts = 10
const waiting = 100
/** Milliseconds between two looks whether a request is over. */
const lookEvery = 1_000

export interface AccessRequestStoreOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly audit: Audit
  readonly env: Env
  readonly logger: Logger
}

export interface RequestChange {
  readonly next: StoredAccessRequest
  /** Told before it is written. */
  readonly events: readonly NewAuditEvent[]
}

export class AccessRequestStore {
  readonly #options: AccessRequestStoreOptions
  readonly #queue = new KeyedQueue(waiting)
  readonly #closing = new AbortController()
  /** Milliseconds since 1970: before that no request is over. */
  #nextOver = 0
  #running: Promise<unknown> = Promise.resolve()

  constructor(options: AccessRequestStoreOptions) {
    this.#options = options
    this.#running = this.#keepEnding()
  }

  async close(): Promise<void> {
    this.#closing.abort()
    await this.#running
  }

  /** One after the other for each user, so that the number of open ones is exact. Throws LimitExceeded. */
  async add(user: string, prepare: () => Promise<RequestChange>): Promise<AccessRequestRecord> {
    const { backend, tables, audit } = this.#options
    return this.#queue.run(`user ${user}`, async () => {
      const { next, events } = await prepare()
      await this.#checkRoom(user)
      for (const event of events) await audit.emit(event)
      const write = tables.accessRequests.put(next.id, next)
      const revision = await backend.commit([tables.accessRequests.absent(next.id), write])
      this.#mayEnd(next)
      return { ...next, revision }
    })
  }

  page(query: { readonly limit: number; readonly after?: string | undefined }) {
    return this.#options.tables.accessRequests.page(query)
  }

  /** Undefined for one that is over, too. */
  async find(id: string): Promise<Found<StoredAccessRequest> | undefined> {
    const found = await this.#options.tables.accessRequests.find(id)
    return found === undefined || this.isOver(found.value) ? undefined : found
  }

  /** Throws NotFound. */
  async get(id: string): Promise<Found<StoredAccessRequest>> {
    const found = await this.find(id)
    if (found === undefined) throw missingRequest(id)
    return found
  }

  async change(
    id: string,
    decide: (record: StoredAccessRequest) => Promise<RequestChange>,
  ): Promise<AccessRequestRecord> {
    const { backend, tables, audit } = this.#options
    return this.#queue.run(id, async () => {
      for (let attempt = 1; ; attempt++) {
        const found = await this.get(id)
        const { next, events } = await decide(found.value)
        for (const event of events) await audit.emit(event)
        try {
          const write = tables.accessRequests.put(id, next)
          const revision = await backend.commit([tables.accessRequests.unchanged(found), write])
          this.#mayEnd(next)
          return { ...next, revision }
        } catch (error) {
          if (!isCompareFailed(error) || attempt >= attempts) throw error
        }
      }
    })
  }

  /** `check` throws when it must not be; `by` is who does it. */
  async remove(id: string, by: string, check: (record: StoredAccessRequest) => void): Promise<void> {
    const { backend, tables, audit } = this.#options
    await this.#queue.run(id, async () => {
      const { value } = await this.get(id)
      check(value)
      await audit.emit({ event: 'access_request.delete', ...toldOf(value, by) })
      await backend.commit([tables.accessRequests.remove(id)])
    })
  }

  async #checkRoom(user: string): Promise<void> {
    let [open, all] = [0, 0]
    for await (const { value } of this.#options.tables.accessRequests.all()) {
      all++
      if (value.user === user && value.state === 'pending' && !this.isOver(value)) open++
    }
    if (open >= maxOpenPerUser)
      throw new LimitExceeded(`${open} requests of ${quote(user)} wait for an answer already; take some back`)
    if (all >= maxRequests) throw new LimitExceeded(`there are ${all} requests; remove some: tctl requests rm`)
  }

  isOver = (record: StoredAccessRequest): boolean => endOf(record) <= this.#options.env.now().getTime()

  #mayEnd(record: StoredAccessRequest): void {
    this.#nextOver = Math.min(this.#nextOver, endOf(record))
  }

  /** What is over gives nothing any more, whether or not it is still there; here it is told and removed. */
  async #keepEnding(): Promise<void> {
    const { env, logger } = this.#options
    const { signal } = this.#closing
    while (!signal.aborted) {
      await env.sleep(lookEvery, signal).catch(() => undefined)
      if (signal.aborted || env.now().getTime() < this.#nextOver) continue
      try {
        await this.#endThoseOver()
      } catch (error) {
        if (!signal.aborted) logger.warn('requests that are over cannot be removed', { reason: messageOf(error) })
      }
    }
  }

  async #endThoseOver(): Promise<void> {
    const { backend, tables, audit } = this.#options
    this.#nextOver = Number.POSITIVE_INFINITY
    try {
      for await (const found of tables.accessRequests.all()) {
        this.#mayEnd(found.value)
        if (!this.isOver(found.value)) continue
        await this.#queue.run(found.id, async () => {
          await audit.emit({ event: 'access_request.expire', ...toldOf(found.value, found.value.user) })
          await backend.commit([tables.accessRequests.unchanged(found), tables.accessRequests.remove(found.id)])
        })
      }
    } catch (error) {
      this.#nextOver = 0
      throw error
    }
    if (this.#nextOver <= this.#options.env.now().getTime()) this.#nextOver = 0
  }
}

const endOf = ({ state, expires, pendingUntil }: StoredAccessRequest): number =>
  Date.parse(state === 'pending' ? pendingUntil : expires)

/** What each event about a request says of it. */
export const toldOf = ({ id, user, roles, state }: StoredAccessRequest, by: string) => ({
  user: by,
  id,
  requester: user,
  roles: [...roles],
  state: stateWord(state),
})

function stateWord(state: RequestState): 'PENDING' | 'APPROVED' | 'DENIED' {
  switch (state) {
    case 'pending':
      return 'PENDING'
    case 'approved':
      return 'APPROVED'
    case 'denied':
      return 'DENIED'
  }
}

export const missingRequest = (id: string) => new NotFound(`there is no request ${id}, or it is over`)
