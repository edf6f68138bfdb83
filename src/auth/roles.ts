/** Role resources: checked when they are written, and kept while somebody has them. */

import { roleSchema } from '../access/schema.ts'
import type { Caller } from '../api/caller.ts'
import type { RoleRecord } from '../api/model.ts'
import { toRoleRecord } from '../api/role-record.ts'
import type { Backend, Operation } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { AlreadyExists, BadParameter, CompareFailed, isCompareFailed } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import type { Changes } from './changes.ts'
import { listedPage, permitFound, permitPut, roleFacts } from './permits.ts'
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
  readonly #env: Env

  constructor(options: { backend: Backend; tables: Tables; audit: Audit; changes: Changes; env: Env }) {
    this.#backend = options.backend
    this.#tables = options.tables
    this.#audit = options.audit
    this.#changes = options.changes
    this.#env = options.env
  }

  /** Throws AccessDenied, NotFound. */
  async get(caller: Caller, name: string): Promise<RoleRecord> {
    return withRevision((await this.#permit(caller, 'read', name)).found)
  }

  async #permit<Action extends 'read' | 'delete'>(caller: Caller, verb: Action, name: string) {
    const found = await this.#tables.roles.find(name)
    const ask = { verb, kind: 'role' as const, name, hint: 'tctl get roles lists them' }
    return permitFound(caller, ask, found, ({ value }) => roleFacts(value))
  }

  async page(caller: Caller, query: { readonly limit: number; readonly after?: string | undefined }) {
    const { items, ...more } = await this.#tables.roles.page(query)
    return listedPage(caller, 'role', { items: items.map(withRevision), ...more }, roleFacts)
  }

  /** Throws AccessDenied, AlreadyExists, CompareFailed for an old revision, BadParameter. */
  async put(caller: Caller, name: string, spec: PutRole): Promise<RoleRecord> {
    const { role: record, overwrite, revision: expected } = spec
    if (record.metadata.name !== name) {
      throw new BadParameter(
        'role.metadata.name',
        `the role is named ${JSON.stringify(record.metadata.name)}, not ${name}`,
      )
    }
    const value = toRoleRecord(checkRole(record))
    const { expires } = value.metadata
    if (expires !== undefined && !(Date.parse(expires) > this.#env.now().getTime()))
      throw new BadParameter('role.metadata.expires', `${expires} is not a time in the future`)
    const found = await this.#tables.roles.find(name)
    const permit = permitPut(caller, 'role', found === undefined ? found : roleFacts(found.value), roleFacts(value))
    if (!overwrite && found !== undefined) throw exists(name)
    if (expected !== undefined && found?.revision !== expected) throw await this.#changes.conflict('role', name)
    const checks: Operation[] = []
    if (!overwrite) checks.push(this.#tables.roles.absent(name))
    else if (found === undefined) checks.push(this.#tables.roles.absent(name))
    // What is replaced is what the permission was asked for.
    else if (expected !== undefined || caller.role === 'User') checks.push(this.#tables.roles.unchanged(found))
    await this.#audit.emit({ event: 'role.created', user: caller.name, name })
    try {
      const write = [this.#tables.roles.put(permit, value), this.#changes.mark(caller, 'role', name)]
      const revision = await this.#backend.commit([...checks, ...write])
      return withRevision({ value, revision })
    } catch (error) {
      if (!isCompareFailed(error)) throw error
      throw overwrite ? await this.#changes.conflict('role', name) : exists(name)
    }
  }

  async remove(caller: Caller, name: string): Promise<void> {
    const { permit, found } = await this.#permit(caller, 'delete', name)
    const users: string[] = []
    for await (const { value } of this.#tables.users.all()) if (value.roles.includes(name)) users.push(value.name)
    if (users.length > 0) {
      const shown = users.slice(0, 5).join(', ')
      throw new CompareFailed(
        `the role ${JSON.stringify(name)} is in use by ${users.length} users (${shown}); take it from them first`,
      )
    }
    await this.#audit.emit({ event: 'role.deleted', user: caller.name, name })
    await this.#backend.commit([
      this.#tables.roles.unchanged(found),
      this.#tables.roles.remove(permit),
      this.#changes.mark(caller, 'role', name),
    ])
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
