/**
 * `teleport start --bootstrap=FILE`: the resources that a new cluster begins with, usually a backup made by
 * `tctl get all --with-secrets`. Read and checked whole before anything is written.
 */

import { createPrivateKey } from 'node:crypto'
import { z } from 'zod'
import { parseRole, parseUser } from '../access/schema.ts'
import type { Role, User } from '../access/types.ts'
import { parseAuthority } from '../api/authority-resource.ts'
import { parseSettings, type SettingsKind, settingsKinds } from '../api/cluster-settings.ts'
import { formatKeyLine } from '../api/lines.ts'
import { type LockDraft, parseLock } from '../api/lock-resource.ts'
import type { AuthoritySecrets } from '../api/secret-routes.ts'
import { quote } from '../common/text.ts'
import { readYaml, type YamlDocument } from '../common/yaml.ts'
import { BadParameter } from '../errors/errors.ts'
import { privateKeyFromKeyObject } from '../ssh/keys/private-key.ts'
import type { StoredSettings } from './records.ts'

/** Bytes. */
const maxBytes = 16 * 1024 * 1024

export interface BootstrapFile {
  /** For messages. */
  readonly file: string
  readonly text: string
}

export interface BootstrapState {
  /** Both or none. */
  readonly authorities: readonly AuthoritySecrets[]
  readonly roles: readonly Role[]
  readonly users: readonly User[]
  readonly settings: readonly StoredSettings[]
  readonly locks: readonly LockDraft[]
}

/** Throws BadParameter with `file:line: key: what`. */
export function readBootstrap({ file, text }: BootstrapFile): BootstrapState {
  const state = {
    authorities: [] as AuthoritySecrets[],
    roles: [] as Role[],
    users: [] as User[],
    settings: [] as StoredSettings[],
    locks: [] as LockDraft[],
  }
  const seen = new Set<string>()
  for (const document of readYaml(text, file, maxBytes)) {
    if (document.value === null) continue
    const { kind = '' } = kindOnly.safeParse(document.value).data ?? {}
    const name = read(document, kind, state)
    if (seen.has(`${kind}/${name}`)) throw problem(document, 'metadata', `there are two of ${kind} ${quote(name)}`)
    seen.add(`${kind}/${name}`)
  }
  const [first] = state.authorities
  if (first !== undefined && state.authorities.length !== 2)
    throw new BadParameter(file, `${file}: there is a ${first.type} authority without the other one`)
  if (state.authorities.some(({ clusterName }) => clusterName !== first?.clusterName))
    throw new BadParameter(file, `${file}: the authorities belong to different clusters`)
  return state
}

const kindOnly = z.looseObject({ kind: z.string() })

/** Returns the name. */
function read(
  document: YamlDocument,
  kind: string,
  state: {
    authorities: AuthoritySecrets[]
    roles: Role[]
    users: User[]
    settings: StoredSettings[]
    locks: LockDraft[]
  },
): string {
  const settings = settingsKinds.find((each) => each === kind)
  if (settings !== undefined) return readSettings(document, settings, state.settings)
  switch (kind) {
    case 'role': {
      const role = parseRole(document)
      state.roles.push(role)
      return role.metadata.name
    }
    case 'user': {
      const user = parseUser(document)
      state.users.push(user)
      return user.metadata.name
    }
    case 'cert_authority': {
      const authority = parseAuthority(document)
      checkPair(document, authority)
      state.authorities.push(authority)
      return authority.type
    }
    case 'lock': {
      const lock = parseLock(document)
      if (lock.id === undefined) throw problem(document, 'metadata', 'a lock of a backup has its UUID as metadata.name')
      state.locks.push(lock)
      return lock.id
    }
    default:
      throw problem(
        document,
        'kind',
        `${quote(kind)} cannot be in this file; it holds ${['cert_authority', 'role', 'user', 'lock', ...settingsKinds].join(', ')}`,
      )
  }
}

function readSettings(document: YamlDocument, kind: SettingsKind, into: StoredSettings[]): string {
  into.push({ kind, origin: 'dynamic', spec: parseSettings(kind, document) } as StoredSettings)
  return kind
}

/** A private key that does not belong to the public one would make a cluster that trusts nobody it signs for. */
function checkPair(document: YamlDocument, { key }: AuthoritySecrets): void {
  let line: string
  try {
    line = formatKeyLine(privateKeyFromKeyObject(createPrivateKey(key.privateKey)).publicKey)
  } catch {
    throw problem(document, 'spec', 'private_key is not an Ed25519 key in PKCS#8 PEM')
  }
  const bare = (text: string) => text.split(' ').slice(0, 2).join(' ')
  if (bare(line) !== bare(key.publicKey)) throw problem(document, 'spec', 'public_key does not belong to private_key')
}

const problem = (document: YamlDocument, key: string, what: string): BadParameter =>
  new BadParameter(key, `${document.file}:${document.lineOf([key])}: ${key}: ${what}`)
