/** What the auth service keeps in its store: one table a kind of record, JSON checked when it is read. */

import { z } from 'zod'
import { type Authorized, isAuthorized, type Permit } from '../access/authorize.ts'
import { type SettingsKind, settingsSpecs } from '../api/cluster-settings.ts'
import { type StoredDevice, storedDevice } from '../api/device-secrets.ts'
import { callback, mfaAction } from '../api/mfa-model.ts'
import { isoTime, labels, lockRecord, presence, roleRecord, serverRole, userRecord } from '../api/model.ts'
import { accessRequest } from '../api/request-model.ts'
import type { Backend, Item, Key, NewItem, Operation } from '../backend/contract.ts'
import { rangeAll } from '../backend/contract.ts'
import { AccessDenied, isNotFound, SystemError } from '../errors/errors.ts'

export interface Found<T> {
  readonly id: string
  readonly value: T
  readonly revision: string
  readonly expires: Date | undefined
}

/** Records of one kind below one prefix. An id is one segment, so it may hold any text but a zero byte. */
class TableReader<S extends z.ZodType> {
  readonly prefix: Key
  readonly #backend: Backend
  readonly #schema: S
  readonly #expiresOf: (value: z.input<S>) => string | undefined

  /** `expiresOf`: for records that say themselves when they end. */
  constructor(
    backend: Backend,
    name: string,
    schema: S,
    expiresOf: (value: z.input<S>) => string | undefined = () => undefined,
  ) {
    this.#backend = backend
    this.prefix = [name]
    this.#schema = schema
    this.#expiresOf = expiresOf
  }

  key(id: string): Key {
    return [...this.prefix, id]
  }

  protected encode(id: string, value: z.input<S>, expires?: Date): NewItem {
    const item = { key: this.key(id), value: JSON.stringify(value) }
    const own = this.#expiresOf(value)
    const end = expires ?? (own === undefined ? undefined : new Date(own))
    return end === undefined ? item : { ...item, expires: end }
  }

  absent(id: string): Operation {
    return { op: 'check', key: this.key(id), exists: false }
  }
  unchanged(found: { readonly id: string; readonly revision: string }): Operation {
    return { op: 'check', key: this.key(found.id), revision: found.revision }
  }

  /** Throws System `ECORRUPT` when the record is not readable. */
  read(item: Item): Found<z.output<S>> {
    const id = item.key[item.key.length - 1] ?? ''
    const result = this.#schema.safeParse(parse(item.value))
    if (result.success) return { id, value: result.data, revision: item.revision, expires: item.expires }
    // Records of some tables are secret, so their content is not quoted.
    const what = `a record of the table ${JSON.stringify(this.prefix[0])} cannot be read`
    throw new SystemError('ECORRUPT', `${what}; restore the data directory from a backup`, { cause: result.error })
  }

  async find(id: string): Promise<Found<z.output<S>> | undefined> {
    try {
      return this.read(await this.#backend.get(this.key(id)))
    } catch (error) {
      if (isNotFound(error)) return undefined
      throw error
    }
  }

  async page(query: { readonly limit: number; readonly after?: string | undefined }): Promise<{
    readonly items: readonly Found<z.output<S>>[]
    readonly next?: string
  }> {
    const { limit, after } = query
    const page = await this.#backend.range(this.prefix, after === undefined ? { limit } : { limit, after })
    const items = page.items.map((item) => this.read(item))
    return page.next === undefined ? { items } : { items, next: page.next }
  }

  async *all(): AsyncGenerator<Found<z.output<S>>> {
    for await (const item of rangeAll(this.#backend, this.prefix)) yield this.read(item)
  }
}

export class Table<S extends z.ZodType> extends TableReader<S> {
  item(id: string, value: z.input<S>, expires?: Date): NewItem {
    return this.encode(id, value, expires)
  }
  put(id: string, value: z.input<S>, expires?: Date): Operation {
    return { op: 'put', item: this.item(id, value, expires) }
  }
  remove(id: string): Operation {
    return { op: 'delete', key: this.key(id) }
  }
}

/** Of resources: each write needs the proof that this one may be written, and takes the name from it. */
class ResourceTable<Kind extends string, S extends z.ZodType> extends TableReader<S> {
  /** Only in types: which kind's proofs it takes. */
  declare readonly kind: Kind

  put(permit: Authorized<Permit<Kind, 'create' | 'update'>>, value: z.input<S>, expires?: Date): Operation {
    return { op: 'put', item: this.encode(proven(permit), value, expires) }
  }
  remove(permit: Authorized<Permit<Kind, 'delete'>>): Operation {
    return { op: 'delete', key: this.key(proven(permit)) }
  }
}

/** A type can be cast. Throws AccessDenied. */
function proven(permit: Authorized<Permit>): string {
  if (!isAuthorized(permit)) throw new AccessDenied('access denied: nobody was asked whether this may be changed')
  return permit.target.name
}

function parse(value: Buffer): unknown {
  try {
    return JSON.parse(value.toString('utf8')) as unknown
  } catch {
    return undefined
  }
}

const clusterRecord = z.strictObject({ clusterName: z.string(), uuid: z.uuid(), created: isoTime })
/** A key pair: PKCS#8 in PEM, and the public half as one line. */
const authorityKey = z.strictObject({ privateKey: z.string(), publicKey: z.string() })
export type StoredAuthorityKey = z.infer<typeof authorityKey>
/** What is going on while an authority is being replaced; absent in the phase `standby`. */
const storedRotation = z.strictObject({
  id: z.uuid(),
  phase: z.enum(['init', 'update_clients', 'update_servers', 'rollback']),
  mode: z.enum(['auto', 'manual']),
  /** The new one. It takes the place of the record's own when the rotation is complete. */
  key: authorityKey,
  started: isoTime,
  phaseStarted: isoTime,
  /** Seconds; in automatic mode each of the three phases lasts a third. */
  gracePeriod: z.number().positive(),
})
const presentAuthority = z.strictObject({
  type: z.enum(['user', 'host']),
  /** The one that is there outside of a rotation, and the old one during it. */
  key: authorityKey,
  rotation: storedRotation.optional(),
  /** When `key` took the place of the one before it. */
  rotated: isoTime.optional(),
})
export type StoredAuthority = z.infer<typeof presentAuthority>
/** The shape before authorities could be rotated. */
const firstAuthority = z
  .strictObject({ type: z.enum(['user', 'host']), keys: z.array(authorityKey).length(1) })
  .transform(({ type, keys }): StoredAuthority => ({ type, key: keys[0] as StoredAuthorityKey }))
const authorityRecord = z.union([presentAuthority, firstAuthority])
const auditHead = z.strictObject({ ei: z.number().int().nonnegative(), hash: z.string() })
const storedUser = userRecord.omit({ revision: true })
export type StoredUser = z.infer<typeof storedUser>
export type { StoredDevice }
export type StoredKey = Extract<StoredDevice, { kind: 'webauthn' }>
const credentials = z.strictObject({
  /** PHC string of Argon2id. */
  password: z.string().optional(),
  /** Of earlier releases, which knew one device: base32. `mfa/migration.ts` makes a device of it. */
  otpSecret: z.string().optional(),
  devices: z.array(storedDevice).default([]),
  /** SHA-256 of those that are left. */
  recoveryCodes: z.array(z.string()).default([]),
})
export type Credentials = z.infer<typeof credentials>
const storedLock = lockRecord.omit({ revision: true })
const storedAccessRequest = accessRequest.omit({ revision: true })
export type StoredAccessRequest = z.infer<typeof storedAccessRequest>
const challenge = z.strictObject({
  user: z.string(),
  /** What it is for (`bindingOf`), or which invite. */
  binding: z.string(),
  type: z.enum(['get', 'create', 'totp']),
  /** Of an app that is being enrolled: base32. */
  secret: z.string().optional(),
  tries: z.number().int().default(0),
  expires: isoTime,
})
export type StoredChallenge = z.infer<typeof challenge>
const ceremony = z.strictObject({
  user: z.string(),
  /** When the user was made: a ceremony is not good for another user of the same name. */
  userSince: isoTime,
  action: mfaAction,
  type: z.enum(['get', 'create']),
  /** SHA-256. */
  secret: z.string(),
  phrase: z.string(),
  callback,
  address: z.string(),
  /** After the browser's answer. */
  answer: z.strictObject({ code: z.string(), device: storedDevice }).optional(),
  expires: isoTime,
})
export type StoredCeremony = z.infer<typeof ceremony>
const storedInvite = z.strictObject({
  user: z.string(),
  kind: z.enum(['invite', 'reset']),
  /** Beginning of the token, for listings. */
  shown: z.string(),
  expires: isoTime,
  otpSecret: z.string().optional(),
})
const storedToken = z.strictObject({ shown: z.string(), roles: z.array(serverRole).min(1), labels, expires: isoTime })
export type StoredToken = z.infer<typeof storedToken>
const storedHost = z.strictObject({ hostname: z.string(), roles: z.array(serverRole), joined: isoTime })
const leases = z.strictObject({
  /** Connections that count, with the node that has each. */
  holders: z.array(z.strictObject({ server: z.uuid(), id: z.uuid(), expires: z.number() })),
})
export type StoredLeases = z.infer<typeof leases>
const attempts = z.strictObject({
  /** Milliseconds since 1970 of failed logins. */
  failures: z.array(z.number()),
  lockedUntil: z.number().optional(),
})

const storedWebSession = z.strictObject({
  id: z.uuid(),
  user: z.string(),
  roles: z.array(z.string()),
  logins: z.array(z.string()),
  certificate: z.string(),
  /** PKCS#8 in PEM. Nothing outside of auth ever has it. */
  privateKey: z.string(),
  /** From where it was opened. */
  address: z.string(),
  /** From where it was used last, if not from there. */
  seenFrom: z.string().optional(),
  /** What the browser said of itself when it was opened. */
  userAgent: z.string().optional(),
  created: isoTime,
  /** The end of the certificate. */
  expires: isoTime,
  lastSeen: isoTime,
  /** While the certificate has roles of approved requests: which, and what the session goes back to. */
  assumed: z
    .strictObject({ accessRequests: z.array(z.uuid()), ownRoles: z.array(z.string()), ownExpires: isoTime })
    .optional(),
})
export type StoredWebSession = z.infer<typeof storedWebSession>
const settingsOrigin = z.enum(['config-file', 'dynamic'])
const clusterSettings = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('cluster_auth_preference'),
    origin: settingsOrigin,
    spec: settingsSpecs.cluster_auth_preference,
  }),
  z.strictObject({
    kind: z.literal('cluster_networking_config'),
    origin: settingsOrigin,
    spec: settingsSpecs.cluster_networking_config,
  }),
  z.strictObject({
    kind: z.literal('session_recording_config'),
    origin: settingsOrigin,
    spec: settingsSpecs.session_recording_config,
  }),
])
export type StoredSettings = z.infer<typeof clusterSettings>

/** All tables. Names are part of the stored format. */
export function openTables(backend: Backend) {
  const table = <S extends z.ZodType>(name: string, schema: S) => new Table(backend, name, schema)
  return {
    cluster: table('cluster', clusterRecord),
    authorities: table('authorities', authorityRecord),
    /** The key that signs the audit log, PKCS#8 in PEM. */
    auditKeys: table('audit-keys', z.strictObject({ privateKey: z.string() })),
    /** How far the audit log had come when it was last signed, and heads that it had and does not have any more. */
    auditHeads: table('audit-heads', z.strictObject({ head: auditHead.optional(), lost: z.array(auditHead) })),
    roles: new ResourceTable<'role', typeof roleRecord>(
      backend,
      'roles',
      roleRecord,
      ({ metadata }) => metadata.expires,
    ),
    users: new ResourceTable<'user', typeof storedUser>(backend, 'users', storedUser),
    /** By id. */
    accessRequests: table('access-requests', storedAccessRequest),
    locks: new ResourceTable<'lock', typeof storedLock>(backend, 'locks', storedLock),
    /** By user name. */
    credentials: table('credentials', credentials),
    /** By SHA-256 of the token, as are join tokens: the store never holds a token that opens anything. */
    invites: table('invites', storedInvite),
    tokens: table('tokens', storedToken),
    /** By uuid: machines that joined. */
    hosts: table('hosts', storedHost),
    /** By `<role>/<uuid>`. */
    presence: table('presence', presence),
    /** By SHA-256 of the token. */
    webSessions: table('web-sessions', storedWebSession),
    /** By user name. */
    leases: table('leases', leases),
    /** By SHA-256 of the user name, existing or not. */
    attempts: table('attempts', attempts),
    /** What the file says, or what was put as a resource. */
    clusterSettings: new ResourceTable<SettingsKind, typeof clusterSettings>(
      backend,
      'cluster-settings',
      clusterSettings,
    ),
    /** By `<kind>/<name>`: who changed a resource last, for whoever would overwrite that. Kept for a month. */
    changes: table('changes', z.strictObject({ by: z.string(), time: isoTime })),
    /** By SHA-256 of the challenge, or of the id of a registration: each is used once. */
    challenges: table('mfa-challenges', challenge),
    /** By SHA-256 of the id. */
    ceremonies: table('mfa-ceremonies', ceremony),
    /** By `<SHA-256 of the secret> <step>`: codes that were used. */
    usedCodes: table('used-codes', z.strictObject({})),
  }
}
export type Tables = ReturnType<typeof openTables>
