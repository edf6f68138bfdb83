/** Role resources: checked when they are written, and kept while somebody has them. */

import { roleSchema } from '../access/schema.ts'
import type { Caller } from '../api/caller.ts'
import type { RoleRecord } from '../api/model.ts'
import { toRoleRecord } from '../api/role-record.ts'
import type { Backend, Operation } from '../backend/contract.ts'
import { AlreadyExists, BadParameter, CompareFailed, isCompareFailed, NotFound } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import type { Changes } from './changes.ts'
import type { Found, Tables } from './records.ts'

export interface PutRole {
  readonly role: RoleRecord
  /** False: refuse if it exists already. */
  readonly overwrite: boolean
  readonly revision?: string | undefined
}

export class Roles {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #audit: Audit
  readonly #changes: Changes

  constructor(options: { backend: Backend; tables: Tables; audit: Audit; changes: Changes }) {
    this.#backend = options.backend
    this.#tables = options.tables
    this.#audit = options.audit
    this.#changes = options.changes
  }

  /** Throws NotFound. */
  async get(name: string): Promise<RoleRecord> {
    return withRevision(await this.#find(name))
  }

  async #find(name: string): Promise<Found<RoleRecord>> {
    const found = await this.#tables.roles.find(name)
    if (found === undefined) throw new NotFound(`there is no role ${JSON.stringify(name)}; tctl get roles lists them`)
    return found
  }

  async page(query: { readonly limit: number; readonly after?: string | undefined }) {
    const { items, next } = await this.#tables.roles.page(query)
    const records = items.map(withRevision)
    return next === undefined ? { items: records } : { items: records, next }
  }

  /** Throws AlreadyExists, CompareFailed for an old revision, BadParameter. */
  async put(caller: Caller, name: string, spec: PutRole): Promise<RoleRecord> {
    const { role: record, overwrite, revision: expected } = spec
    if (record.metadata.name !== name) {
      throw new BadParameter(
        'role.metadata.name',
        `the role is named ${JSON.stringify(record.metadata.name)}, not ${name}`,
      )
    }
    const value = toRoleRecord(checkRole(record))
    const found = await this.#tables.roles.find(name)
    if (!overwrite && found !== undefined) throw exists(name)
    if (expected !== undefined && found?.revision !== expected) throw await this.#changes.conflict('role', name)
    const checks: Operation[] = []
    if (!overwrite) checks.push(this.#tables.roles.absent(name))
    else if (expected !== undefined) checks.push(this.#tables.roles.unchanged({ id: name, revision: expected }))
    await this.#audit.emit({ event: 'role.created', user: caller.name, name })
    try {
      const write = [this.#tables.roles.put(name, value), this.#changes.mark(caller, 'role', name)]
      const revision = await this.#backend.commit([...checks, ...write])
      return withRevision({ value, revision })
    } catch (error) {
      if (!isCompareFailed(error)) throw error
      throw overwrite ? await this.#changes.conflict('role', name) : exists(name)
    }
  }

  async remove(caller: Caller, name: string): Promise<void> {
    await this.#find(name)
    const users: string[] = []
    for await (const { value } of this.#tables.users.all()) if (value.roles.includes(name)) users.push(value.name)
    if (users.length > 0) {
      const shown = users.slice(0, 5).join(', ')
      throw new CompareFailed(
        `the role ${JSON.stringify(name)} is in use by ${users.length} users (${shown}); take it from them first`,
      )
    }
    await this.#audit.emit({ event: 'role.deleted', user: caller.name, name })
    await this.#backend.commit([this.#tables.roles.remove(name), this.#changes.mark(caller, 'role', name)])
  }
}

const withRevision = ({ value, revision }: Pick<Found<RoleRecord>, 'value' | 'revision'>): RoleRecord => ({
  ...value,
  metadata: { ...value.metadata, revision },
})

const exists = (name: string) => new AlreadyExists(`role ${JSON.stringify(name)} already exists`)

/** Throws BadParameter that names the field. */
function checkRole(record: RoleRecord) {
  const result = roleSchema.safeParse(record)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const field = ['role', ...(issue?.path ?? [])].map(String).join('.')
  throw new BadParameter(field, `${field}: ${issue?.message ?? 'invalid'}`)
}
