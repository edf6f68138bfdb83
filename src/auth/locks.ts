/** Locks as records: made, listed, lifted. What they shut out is decided where access is (`whyShutOut`). */

import type { ResourceFacts } from '../access/facts.ts'
import type { LockTarget } from '../access/locks.ts'
import type { Caller } from '../api/caller.ts'
import type { LockRecord } from '../api/model.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { AlreadyExists, BadParameter, isCompareFailed, LimitExceeded } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import type { Changes } from './changes.ts'
import type { Hub } from './hub.ts'
import { listedPage, permitFound, permitPut } from './permits.ts'
import type { Found, Tables } from './records.ts'

/** In a cluster: every proxy and node keeps them all. */
const maxLocks = 10_000

export interface LockSpec {
  readonly id?: string | undefined
  readonly target: LockTarget
  readonly message: string
  readonly expires?: string | undefined
  readonly overwrite: boolean
  readonly revision?: string | undefined
}

export interface LocksOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly audit: Audit
  readonly changes: Changes
  readonly hub: Pick<Hub, 'snapshot'>
  readonly env: Env
}

export class Locks {
  readonly #options: LocksOptions

  constructor(options: LocksOptions) {
    this.#options = options
  }

  /** Throws BadParameter, AlreadyExists, LimitExceeded, CompareFailed for an old revision, AccessDenied. */
  async create(caller: Caller, spec: LockSpec): Promise<LockRecord> {
    const { backend, tables, audit, changes, hub, env } = this.#options
    const now = env.now()
    const expires = spec.expires === undefined ? undefined : new Date(spec.expires)
    if (expires !== undefined && expires <= now) {
      throw new BadParameter('expires', `a lock until ${expires.toISOString()} would never hold: that is in the past`)
    }
    const target = Object.fromEntries(
      Object.entries(spec.target).flatMap(([field, value]) => (value === undefined ? [] : [[field, value]])),
    )
    if (Object.keys(target).length === 0) {
      throw new BadParameter('target', 'a lock needs a target: user, role, login, node or mfa_device')
    }
    if (hub.snapshot.lockRecords.size >= maxLocks) {
      throw new LimitExceeded(`there are ${maxLocks} locks; remove those that are not needed: tctl get locks`)
    }
    const id = spec.id ?? env.randomUuid()
    const record: LockRecord = {
      id,
      target,
      message: spec.message,
      ...(expires === undefined ? {} : { expires: expires.toISOString() }),
      created: now.toISOString(),
      createdBy: caller.name,
    }
    const found = await tables.locks.find(id)
    const permit = permitPut(caller, 'lock', found === undefined ? found : lockFacts(found.value), { name: id })
    if (!spec.overwrite && found !== undefined) throw exists(id)
    if (spec.revision !== undefined && found?.revision !== spec.revision) throw await changes.conflict('lock', id)
    await audit.emit({
      event: 'lock.created',
      user: caller.name,
      name: id,
      target,
      ...(spec.message === '' ? {} : { message: spec.message }),
      ...(expires === undefined ? {} : { until: expires.toISOString() }),
    })
    const write = [tables.locks.put(permit, record, expires), changes.mark(caller, 'lock', id)]
    const checks = found === undefined ? [tables.locks.absent(id)] : [tables.locks.unchanged(found)]
    try {
      const revision = await backend.commit([...checks, ...write])
      return { ...record, revision }
    } catch (error) {
      if (!isCompareFailed(error)) throw error
      throw spec.overwrite ? await changes.conflict('lock', id) : exists(id)
    }
  }

  /** Throws AccessDenied, NotFound. */
  async get(caller: Caller, id: string): Promise<LockRecord> {
    return withRevision((await this.#permit(caller, 'read', id)).found)
  }

  async page(caller: Caller, query: { readonly limit: number; readonly after?: string | undefined }) {
    const { items, ...more } = await this.#options.tables.locks.page(query)
    return listedPage(caller, 'lock', { items: items.map(withRevision), ...more }, lockFacts)
  }

  /** Throws AccessDenied, NotFound. */
  async remove(caller: Caller, id: string): Promise<void> {
    const { backend, tables, audit, changes } = this.#options
    const { permit } = await this.#permit(caller, 'delete', id)
    await audit.emit({ event: 'lock.deleted', user: caller.name, name: id })
    await backend.commit([tables.locks.remove(permit), changes.mark(caller, 'lock', id)])
  }

  async #permit<Action extends 'read' | 'delete'>(caller: Caller, verb: Action, id: string) {
    const found = await this.#options.tables.locks.find(id)
    const ask = { verb, kind: 'lock' as const, name: id, hint: 'tctl get locks lists them' }
    return permitFound(caller, ask, found, ({ value }) => lockFacts(value))
  }
}

const lockFacts = ({ id }: Pick<LockRecord, 'id'>): ResourceFacts => ({ name: id })

const withRevision = ({ value, revision }: Pick<Found<LockRecord>, 'value' | 'revision'>): LockRecord => ({
  ...value,
  revision,
})

const exists = (id: string) => new AlreadyExists(`the lock ${id} already exists`)
