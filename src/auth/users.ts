/** Users: their records, and everything that hangs on them. */

import type { Role } from '../access/types.ts'
import type { Caller } from '../api/caller.ts'
import type { UserRecord } from '../api/model.ts'
import { readRole } from '../api/role-record.ts'
import type { Backend, Operation } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { checkName } from '../common/names.ts'
import { AlreadyExists, BadParameter, isCompareFailed, NotFound } from '../errors/errors.ts'
import type { Audit } from './audit.ts'
import type { Changes } from './changes.ts'
import type { Lockout } from './lockout.ts'
import { checkNewPassword, type Passwords } from './passwords.ts'
import type { Found, StoredUser, Tables } from './records.ts'
import type { AuthSettings } from './settings.ts'

export interface RolesAndTraits {
  readonly roles: readonly string[]
  readonly traits: Readonly<Record<string, readonly string[]>>
}

export interface UsersOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly audit: Audit
  readonly changes: Changes
  readonly passwords: Passwords
  readonly lockout: Lockout
  readonly settings: AuthSettings
  readonly env: Env
}

export class Users {
  readonly #options: UsersOptions

  constructor(options: UsersOptions) {
    this.#options = options
  }

  /** Throws NotFound. */
  async get(name: string): Promise<Found<StoredUser>> {
    const found = await this.#options.tables.users.find(name)
    if (found === undefined) throw new NotFound(`there is no user ${JSON.stringify(name)}; tctl users ls lists them`)
    return found
  }

  async page(query: { readonly limit: number; readonly after?: string | undefined }) {
    const { items, next } = await this.#options.tables.users.page(query)
    const records = items.map(toRecord)
    return next === undefined ? { items: records } : { items: records, next }
  }

  /** Definitions of a user's roles that exist. */
  async rolesOf(user: RolesAndTraits): Promise<Role[]> {
    const found = await Promise.all(user.roles.map((name) => this.#options.tables.roles.find(name)))
    return found.filter((role) => role !== undefined).map((role) => readRole(role.value))
  }

  /** `more` happens together with it, or neither. Throws AlreadyExists. */
  async create(
    caller: Caller,
    name: string,
    spec: RolesAndTraits,
    more: readonly Operation[] = [],
  ): Promise<UserRecord> {
    const { backend, tables, audit, changes, env } = this.#options
    checkName('user name', name)
    await this.#check(spec)
    if ((await tables.users.find(name)) !== undefined) throw exists(name)
    const user: StoredUser = {
      name,
      roles: [...new Set(spec.roles)],
      traits: copyTraits(spec.traits),
      createdBy: caller.name,
      created: env.now().toISOString(),
      activated: false,
    }
    await audit.emit({ event: 'user.create', user: caller.name, name, roles: user.roles })
    try {
      // Left-overs of a removed user of the same name must not become this one's.
      const clean = [tables.credentials.remove(name)]
      const revision = await backend.commit([
        tables.users.absent(name),
        tables.users.put(name, user),
        changes.mark(caller, 'user', name),
        ...clean,
        ...more,
      ])
      return { ...user, revision }
    } catch (error) {
      if (isCompareFailed(error)) throw exists(name)
      throw error
    }
  }

  async replace(
    caller: Caller,
    name: string,
    spec: RolesAndTraits & { readonly revision?: string | undefined; readonly overwrite: boolean },
  ): Promise<UserRecord> {
    const { backend, tables, audit, changes } = this.#options
    const found = await tables.users.find(name)
    if (found === undefined) {
      if (spec.revision !== undefined) throw await changes.conflict('user', name)
      return this.create(caller, name, spec)
    }
    if (!spec.overwrite) throw exists(name)
    if (spec.revision !== undefined && spec.revision !== found.revision) throw await changes.conflict('user', name)
    await this.#check(spec)
    const user = { ...found.value, roles: [...new Set(spec.roles)], traits: copyTraits(spec.traits) }
    await audit.emit({ event: 'user.update', user: caller.name, name, roles: user.roles })
    try {
      const write = [tables.users.put(name, user), changes.mark(caller, 'user', name)]
      const revision = await backend.commit([tables.users.unchanged(found), ...write])
      return { ...user, revision }
    } catch (error) {
      if (isCompareFailed(error)) throw await changes.conflict('user', name)
      throw error
    }
  }

  /** With passwords, devices and invites. Throws NotFound. */
  async remove(caller: Caller, name: string): Promise<void> {
    const { backend, tables, audit, changes, lockout } = this.#options
    await this.get(name)
    await audit.emit({ event: 'user.delete', user: caller.name, name })
    await backend.commit([
      tables.users.remove(name),
      tables.credentials.remove(name),
      changes.mark(caller, 'user', name),
      ...(await this.invitesOf(name)),
    ])
    await lockout.clear(name)
  }

  /** By an administrator. Throws NotFound, BadParameter. */
  async setPassword(caller: Caller, name: string, password: string): Promise<void> {
    const { backend, tables, audit, passwords, lockout, settings } = this.#options
    const found = await this.get(name)
    checkNewPassword(password, name, settings.minPasswordLength)
    const hash = await passwords.hash(password)
    const credentials = await tables.credentials.find(name)
    await audit.emit({ event: 'user.password_change', user: name, 'addr.remote': caller.address })
    await backend.commit([
      tables.users.unchanged(found),
      tables.users.put(name, { ...found.value, activated: true }),
      tables.credentials.put(name, { ...credentials?.value, password: hash }),
    ])
    await lockout.clear(name)
  }

  /** Operations that remove the open invites of a user. There are few invites at any time. */
  async invitesOf(user: string): Promise<Operation[]> {
    const { tables } = this.#options
    const operations: Operation[] = []
    for await (const { id, value } of tables.invites.all()) {
      if (value.user === user && operations.length < 64) operations.push(tables.invites.remove(id))
    }
    return operations
  }

  async #check({ roles, traits }: RolesAndTraits): Promise<void> {
    for (const name of roles) {
      checkName('role name', name)
      if ((await this.#options.tables.roles.find(name)) === undefined) {
        throw new BadParameter('roles', `there is no role ${JSON.stringify(name)}; tctl get roles lists them`)
      }
    }
    for (const login of traits.logins ?? []) checkName('login', login)
  }
}

export const toRecord = (found: Found<StoredUser>): UserRecord => ({ ...found.value, revision: found.revision })

const copyTraits = (traits: RolesAndTraits['traits']): Record<string, string[]> =>
  Object.fromEntries(Object.entries(traits).map(([name, values]) => [name, [...new Set(values)]]))

const exists = (name: string) => new AlreadyExists(`user ${JSON.stringify(name)} already exists`)
