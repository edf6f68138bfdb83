/** The state that a watch describes, as maps; changes are applied one by one, and keys of authorities are parsed once. */

import { LockIndex } from '../access/locks.ts'
import type { Role } from '../access/types.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import { parseKeyLine } from './lines.ts'
import type {
  AccessGrantRecord,
  Authority,
  ClusterConfig,
  LockRecord,
  Presence,
  RoleRecord,
  UserRecord,
  WatchEvent,
} from './model.ts'
import { readRole } from './role-record.ts'
import { ServerIndex } from './server-index.ts'

export type ChangeKind = 'authority' | 'role' | 'user' | 'presence' | 'config' | 'lock' | 'access_request'
export type Change = Extract<WatchEvent, { op: 'put' | 'delete' }>

export class ClusterSnapshot {
  readonly authorities = new Map<string, Authority>()
  readonly roles = new Map<string, { readonly record: RoleRecord; readonly role: Role }>()
  readonly users = new Map<string, UserRecord>()
  readonly servers = new ServerIndex()
  readonly lockRecords = new Map<string, LockRecord>()
  readonly locks = new LockIndex()
  readonly grants = new Map<string, AccessGrantRecord>()
  config: ClusterConfig | undefined
  userAuthorities: readonly PublicKey[] = []
  hostAuthorities: readonly PublicKey[] = []

  apply(change: Change): { readonly kind: ChangeKind; readonly id: string } {
    if (change.op === 'delete') {
      this.#delete(change.kind, change.id)
      return { kind: change.kind, id: change.id }
    }
    const id = idOf(change)
    switch (change.kind) {
      case 'authority':
        this.authorities.set(id, change.value)
        this.#parseAuthorities()
        break
      case 'role':
        this.roles.set(id, { record: change.value, role: readRole(change.value) })
        break
      case 'user':
        this.users.set(id, change.value)
        break
      case 'presence':
        this.servers.put(change.value)
        break
      case 'config':
        this.config = change.value
        break
      case 'lock':
        this.lockRecords.set(id, change.value)
        this.locks.put(change.value)
        break
      case 'access_request':
        this.grants.set(id, change.value)
        break
    }
    return { kind: change.kind, id }
  }

  #delete(kind: ChangeKind, id: string): void {
    switch (kind) {
      case 'authority':
        this.authorities.delete(id)
        this.#parseAuthorities()
        break
      case 'role':
        this.roles.delete(id)
        break
      case 'user':
        this.users.delete(id)
        break
      case 'presence':
        this.servers.delete(id)
        break
      case 'config':
        this.config = undefined
        break
      case 'lock':
        this.lockRecords.delete(id)
        this.locks.delete(id)
        break
      case 'access_request':
        this.grants.delete(id)
        break
    }
  }

  #parseAuthorities(): void {
    const keys = (type: string) => this.authorities.get(type)?.keys.map((line) => parseKeyLine(line, 'authority')) ?? []
    this.userAuthorities = keys('user')
    this.hostAuthorities = keys('host')
  }

  /** Everything as changes that would build it; thousands of servers are left alone where nobody wants them. */
  *changes({ presence = true } = {}): Generator<Extract<Change, { op: 'put' }>> {
    for (const value of this.authorities.values()) yield { op: 'put', kind: 'authority', value }
    if (this.config !== undefined) yield { op: 'put', kind: 'config', value: this.config }
    // Before those whom they shut out.
    for (const value of this.lockRecords.values()) yield { op: 'put', kind: 'lock', value }
    for (const { record } of this.roles.values()) yield { op: 'put', kind: 'role', value: record }
    for (const value of this.grants.values()) yield { op: 'put', kind: 'access_request', value }
    for (const value of this.users.values()) yield { op: 'put', kind: 'user', value }
    if (!presence) return
    for (const value of this.servers.all()) yield { op: 'put', kind: 'presence', value }
  }

  /** What differs from an older snapshot, as kind and id. */
  differences(old: ClusterSnapshot): { readonly kind: ChangeKind; readonly id: string }[] {
    const before = new Map<string, string>()
    for (const change of old.changes()) before.set(`${change.kind} ${idOf(change)}`, comparable(change))
    const found: { kind: ChangeKind; id: string }[] = []
    for (const change of this.changes()) {
      const id = idOf(change)
      const key = `${change.kind} ${id}`
      if (before.get(key) !== comparable(change)) found.push({ kind: change.kind, id })
      before.delete(key)
    }
    for (const key of before.keys()) {
      const space = key.indexOf(' ')
      found.push({ kind: key.slice(0, space) as ChangeKind, id: key.slice(space + 1) })
    }
    return found
  }
}

/** Type of an authority, name of a role or user, `<role>/<uuid>` of a server, id of a lock or request, `config`. */
export function idOf(change: Extract<Change, { op: 'put' }>): string {
  switch (change.kind) {
    case 'authority':
      return change.value.type
    case 'role':
      return change.value.metadata.name
    case 'user':
      return change.value.name
    case 'presence':
      return presenceId(change.value)
    case 'config':
      return 'config'
    case 'lock':
    case 'access_request':
      return change.value.id
  }
}

export const presenceId = ({ role, uuid }: Pick<Presence, 'role' | 'uuid'>): string => `${role}/${uuid}`

/** A renewed expiry alone is no difference. */
function comparable(change: Extract<Change, { op: 'put' }>): string {
  return JSON.stringify(change.kind === 'presence' ? { ...change.value, expires: '' } : change.value)
}
