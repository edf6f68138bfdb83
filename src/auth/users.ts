/** Users: their records, and everything that hangs on them. */

import { authorizeResource } from '../access/authorize.ts'
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
import { actorOf, listedPage, permitFound, permitPut, userFacts } from './permits.ts'
import type { Found, StoredUser, Tables } from './records.ts'
import type { AuthSettings } from './settings.ts'
import type { WebSessionIndex } from './web-session-index.ts'

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
  readonly webSessions: Pick<WebSessionIndex, 'removalsOf'>
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

  async page(caller: Caller, query: { readonly limit: number; readonly after?: string | undefined }) {
    const { items, ...more } = await this.#options.tables.users.page(query)
    return listedPage(caller, 'user', { items: items.map(toRecord), ...more }, userFacts)
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
    const permit = authorizeResource(actorOf(caller), 'create', 'user', userFacts({ ...spec, name }))
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
        tables.users.put(permit, user),
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
    const permit = permitPut(caller, 'user', userFacts(found.value), userFacts({ ...spec, name }))
    if (!spec.overwrite) throw exists(name)
    if (spec.revision !== undefined && spec.revision !== found.revision) throw await changes.conflict('user', name)
    await this.#check(spec)
    const user = { ...found.value, roles: [...new Set(spec.roles)], traits: copyTraits(spec.traits) }
    await audit.emit({ event: 'user.update', user: caller.name, name, roles: user.roles })
    try {
      const write = [tables.users.put(permit, user), changes.mark(caller, 'user', name)]
      const revision = await backend.commit([tables.users.unchanged(found), ...write])
      return { ...user, revision }
    } catch (error) {
      if (isCompareFailed(error)) throw await changes.conflict('user', name)
      throw error
    }
  }

  /** For the user, or for whoever may read users. Throws AccessDenied, NotFound. */
  async read(caller: Caller, name: string): Promise<UserRecord> {
    // Names are compared exactly: `Alice` is not `alice`.
    if (caller.role === 'User' && caller.name === name) return toRecord(await this.get(name))
    return toRecord((await this.#permit(caller, 'read', name)).found)
  }

  async #permit<Action extends 'read' | 'update' | 'delete'>(caller: Caller, verb: Action, name: string) {
    const found = await this.#options.tables.users.find(name)
    const ask = { verb, kind: 'user' as const, name, hint: 'tctl users ls lists them' }
    return permitFound(caller, ask, found, ({ value }) => userFacts(value))
  }

  /** To reset, and the like. Throws AccessDenied, NotFound. */
  permitUpdate(caller: Caller, name: string) {
    return this.#permit(caller, 'update', name)
  }

  /** With passwords, devices and invites. Throws AccessDenied, NotFound. */
  async remove(caller: Caller, name: string): Promise<void> {
    const { backend, tables, audit, changes, lockout, webSessions } = this.#options
    const { permit, found } = await this.#permit(caller, 'delete', name)
    await audit.emit({ event: 'user.delete', user: caller.name, name })
    await backend.commit([
      tables.users.unchanged(found),
      tables.users.remove(permit),
      tables.credentials.remove(name),
      changes.mark(caller, 'user', name),
      ...webSessions.removalsOf(name),
      ...(await this.invitesOf(name)),
    ])
    await lockout.clear(name)
  }

  /** By an administrator. Throws NotFound, BadParameter. */
  async setPassword(caller: Caller, name: string, password: string): Promise<void> {
    const { backend, tables, audit, passwords, lockout, settings, webSessions } = this.#options
    const { permit, found } = await this.#permit(caller, 'update', name)
    checkNewPassword(password, name, settings.minPasswordLength)
    const hash = await passwords.hash(password)
    const credentials = await tables.credentials.find(name)
    await audit.emit({ event: 'user.password_change', user: name, 'addr.remote': caller.address })
    await backend.commit([
      tables.users.unchanged(found),
      tables.users.put(permit, { ...found.value, activated: true }),
      tables.credentials.put(name, { ...credentials?.value, password: hash }),
      ...webSessions.removalsOf(name),
    ])
    await lockout.clear(name)
  }

  /**
   * By the user, whose old password and second factor were right. Browser sessions end, whoever has them. Throws BadParameter, and
   * CompareFailed when the user was changed since the proof was looked at.
   */
  async changePassword(
    found: Found<StoredUser>,
    proof: { readonly password: string; readonly client: { readonly address: string } },
    password: string,
  ): Promise<void> {
    const { backend, tables, audit, passwords, changes, settings, webSessions } = this.#options
    const { name } = found.value
    checkNewPassword(password, name, settings.minPasswordLength)
    if (password.normalize('NFC') === proof.password.normalize('NFC'))
      throw new BadParameter('password', 'the new password is the old one; choose another')
    const hash = await passwords.hash(password)
    const credentials = await tables.credentials.find(name)
    if (credentials === undefined) throw await changes.conflict('user', name)
    await audit.emit({ event: 'user.password_change', user: name, 'addr.remote': proof.client.address })
    try {
      await backend.commit([
        tables.users.unchanged(found),
        tables.credentials.unchanged(credentials),
        tables.credentials.put(name, { ...credentials.value, password: hash }),
        ...webSessions.removalsOf(name),
      ])
    } catch (error) {
      if (isCompareFailed(error)) throw await changes.conflict('user', name)
      throw error
    }
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
