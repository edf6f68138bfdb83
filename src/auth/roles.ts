/** Role resources: checked when they are written, and kept while somebody has them. */

import { roleSchema } from '../access/schema.ts'
import type { Caller } from '../api/caller.ts'
import type { RoleRecord } from '../api/model.ts'
import { toRoleRecord } from '../api/role-record.ts'
import type { Backend } from '../backend/contract.ts'
import { AlreadyExists, BadParameter, CompareFailed, NotFound } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import type { Tables } from './records.ts'

export class Roles {
  readonly #backend: Backend
  readonly #tables: Tables
  readonly #audit: Audit

  constructor(options: { backend: Backend; tables: Tables; audit: Audit }) {
    this.#backend = options.backend
    this.#tables = options.tables
    this.#audit = options.audit
  }

  /** Throws NotFound. */
  async get(name: string): Promise<RoleRecord> {
    const found = await this.#tables.roles.find(name)
    if (found === undefined) throw new NotFound(`there is no role ${JSON.stringify(name)}; tctl get roles lists them`)
    return found.value
  }

  async page(query: { readonly limit: number; readonly after?: string | undefined }) {
    const { items, next } = await this.#tables.roles.page(query)
    const records = items.map((found) => found.value)
    return next === undefined ? { items: records } : { items: records, next }
  }

  async put(caller: Caller, name: string, record: RoleRecord, overwrite: boolean): Promise<RoleRecord> {
    if (record.metadata.name !== name) {
      throw new BadParameter(
        'role.metadata.name',
        `the role is named ${JSON.stringify(record.metadata.name)}, not ${name}`,
      )
    }
    const stored = toRoleRecord(checkRole(record))
    if (!overwrite && (await this.#tables.roles.find(name)) !== undefined) throw exists(name)
    await this.#audit.emit({ event: 'role.created', user: caller.name, name })
    const item = this.#tables.roles.item(name, stored)
    await (overwrite ? this.#backend.put(item) : this.#backend.create(item))
    return stored
  }

  async remove(caller: Caller, name: string): Promise<void> {
    await this.get(name)
    const users: string[] = []
    for await (const { value } of this.#tables.users.all()) if (value.roles.includes(name)) users.push(value.name)
    if (users.length > 0) {
      const shown = users.slice(0, 5).join(', ')
      throw new CompareFailed(
        `the role ${JSON.stringify(name)} is in use by ${users.length} users (${shown}); take it from them first`,
      )
    }
    await this.#audit.emit({ event: 'role.deleted', user: caller.name, name })
    await this.#backend.delete(this.#tables.roles.key(name))
  }
}

const exists = (name: string) => new AlreadyExists(`role ${JSON.stringify(name)} already exists`)

/** Throws BadParameter that names the field. */
function checkRole(record: RoleRecord) {
  const result = roleSchema.safeParse(record)
  if (result.success) return result.data
  const [issue] = result.error.issues
  const field = ['role', ...(issue?.path ?? [])].map(String).join('.')
  throw new BadParameter(field, `${field}: ${issue?.message ?? 'invalid'}`)
}
