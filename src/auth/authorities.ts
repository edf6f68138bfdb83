/** The cluster's two certificate authorities. Their private keys are read from the store once and are never part of any answer. */

import { createPrivateKey } from 'node:crypto'
import { formatKeyLine } from '../api/lines.ts'
import type { Authority } from '../api/model.ts'
import type { Env } from '../common/env.ts'
import { SystemError } from '../errors/errors.ts'
import { generateEd25519, keyObjectOf, privateKeyFromKeyObject } from '../ssh/keys/private-key.ts'
import { caPin } from '../ssh/keys/public-key.ts'
import type { PrivateKey } from '../ssh/keys/types.ts'
import type { Tables } from './records.ts'

export type AuthorityType = 'user' | 'host'

export interface Authorities {
  readonly clusterName: string
  /** The key that signs now. */
  readonly user: PrivateKey
  readonly host: PrivateKey
  public(type: AuthorityType): Authority
  /** Of every host key that is trusted. */
  readonly caPins: readonly string[]
}

/** A new authority as it is stored. */
export function newAuthorityRecord(type: AuthorityType, env: Env) {
  const key = generateEd25519(env, `${type} authority`)
  const privateKey = keyObjectOf(key).export({ type: 'pkcs8', format: 'pem' }).toString()
  return { type, keys: [{ privateKey, publicKey: formatKeyLine(key.publicKey) }] }
}

/** Throws System `ECORRUPT` when one is missing: a new authority would lock out every machine and user of the cluster. */
export async function loadAuthorities(tables: Tables, clusterName: string): Promise<Authorities> {
  const [user, host] = await Promise.all([loadKeys(tables, 'user'), loadKeys(tables, 'host')])
  const all = { user, host }
  return {
    clusterName,
    user: user[0],
    host: host[0],
    public: (type) => ({ type, clusterName, keys: all[type].map((key) => formatKeyLine(key.publicKey)) }),
    caPins: host.map((key) => caPin(key.publicKey)),
  }
}

async function loadKeys(tables: Tables, type: AuthorityType): Promise<[PrivateKey, ...PrivateKey[]]> {
  const found = await tables.authorities.find(type)
  const keys = found?.value.keys.map(({ privateKey }) => privateKeyFromKeyObject(createPrivateKey(privateKey))) ?? []
  const [first, ...rest] = keys
  if (first === undefined) {
    throw new SystemError(
      'ECORRUPT',
      `the cluster state has no ${type} authority; restore the data directory from a backup`,
    )
  }
  return [first, ...rest]
}
