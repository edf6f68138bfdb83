/**
 * The cluster's two certificate authorities. Their private keys are read from the store, again after each change of it, and are never
 * part of any answer.
 */

import { createPrivateKey } from 'node:crypto'
import { formatKeyLine } from '../api/lines.ts'
import type { Authority } from '../api/model.ts'
import type { Env } from '../common/env.ts'
import { SystemError } from '../errors/errors.ts'
import { generateEd25519, keyObjectOf, privateKeyFromKeyObject } from '../ssh/keys/private-key.ts'
import { caPin } from '../ssh/keys/public-key.ts'
import type { PrivateKey } from '../ssh/keys/types.ts'
import type { Found, StoredAuthority, StoredAuthorityKey, Tables } from './records.ts'
import { publicRotation, trustedKeys } from './rotation-phases.ts'

export type AuthorityType = 'user' | 'host'
export const authorityTypes: readonly AuthorityType[] = ['host', 'user']

/** A new key of an authority as it is stored. */
export function newAuthorityKey(type: AuthorityType, env: Env): StoredAuthorityKey {
  const key = generateEd25519(env, `${type} authority`)
  const privateKey = keyObjectOf(key).export({ type: 'pkcs8', format: 'pem' }).toString()
  return { privateKey, publicKey: formatKeyLine(key.publicKey) }
}

/** A new authority as it is stored. */
export const newAuthorityRecord = (type: AuthorityType, env: Env): StoredAuthority => ({
  type,
  key: newAuthorityKey(type, env),
})

/** What of an authority may leave the auth service. */
export function publicAuthority(record: StoredAuthority, clusterName: string): Authority {
  const { type, rotated } = record
  const rotation = publicRotation(record)
  return {
    type,
    clusterName,
    keys: trustedKeys(record).map((key) => key.publicKey),
    ...(rotation === undefined ? {} : { rotation }),
    ...(rotated === undefined ? {} : { rotated }),
  }
}

interface Kept {
  readonly found: Found<StoredAuthority>
  readonly keys: readonly [PrivateKey, ...PrivateKey[]]
}

export class Authorities {
  readonly clusterName: string
  readonly #tables: Tables
  readonly #listeners = new Set<() => void | Promise<void>>()
  #kept: Readonly<Record<AuthorityType, Kept>>
  #reading: Promise<void> = Promise.resolve()

  private constructor(tables: Tables, clusterName: string, kept: Readonly<Record<AuthorityType, Kept>>) {
    this.#tables = tables
    this.clusterName = clusterName
    this.#kept = kept
  }

  /** Throws System `ECORRUPT` when one is missing: a new authority would lock out every machine and user of the cluster. */
  static async load(tables: Tables, clusterName: string): Promise<Authorities> {
    return new Authorities(tables, clusterName, await readAll(tables))
  }

  /** The key that signs now. */
  get user(): PrivateKey {
    return this.#kept.user.keys[0]
  }
  get host(): PrivateKey {
    return this.#kept.host.keys[0]
  }
  /** The host key that is trusted too while it is rotated. */
  get otherHost(): PrivateKey | undefined {
    return this.#kept.host.keys[1]
  }

  /** With the private keys: for the auth service itself alone. */
  stored(type: AuthorityType): StoredAuthority {
    return this.#kept[type].found.value
  }

  public(type: AuthorityType): Authority {
    return publicAuthority(this.#kept[type].found.value, this.clusterName)
  }

  /** Of every host key that is trusted, that of the one that signs first. */
  get caPins(): readonly string[] {
    return this.#kept.host.keys.map((key) => caPin(key.publicKey))
  }

  /** Reads the store again; resolves when what was written before the call is in use, by the listeners too. */
  refresh(): Promise<void> {
    const reading = this.#reading.then(async () => {
      this.#kept = await readAll(this.#tables)
      await Promise.all([...this.#listeners].map((listener) => listener()))
    })
    this.#reading = reading.catch(() => undefined)
    return reading
  }

  /** Called after each reading. A listener deals with its own failures. */
  onChange(listener: () => void | Promise<void>): void {
    this.#listeners.add(listener)
  }
}

async function readAll(tables: Tables): Promise<Readonly<Record<AuthorityType, Kept>>> {
  const [user, host] = await Promise.all([read(tables, 'user'), read(tables, 'host')])
  return { user, host }
}

async function read(tables: Tables, type: AuthorityType): Promise<Kept> {
  const found = await tables.authorities.find(type)
  if (found === undefined) {
    throw new SystemError(
      'ECORRUPT',
      `the cluster state has no ${type} authority; restore the data directory from a backup`,
    )
  }
  const [first, ...rest] = trustedKeys(found.value)
  return { found, keys: [privateKeyOf(first), ...rest.map(privateKeyOf)] }
}

const privateKeyOf = ({ privateKey }: StoredAuthorityKey): PrivateKey =>
  privateKeyFromKeyObject(createPrivateKey(privateKey))
