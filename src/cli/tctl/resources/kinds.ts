/**
 * The table of kinds. A new kind is one row here and one file beside it that exports a `ResourceKind`; the commands need nothing
 * else. The code of a kind is loaded when it is used.
 */

import { nearest, quote } from '../../../common/text.ts'
import { BadParameter } from '../../../errors/errors.ts'
import type { ResourceKind } from './types.ts'

export interface KindEntry {
  readonly kind: string
  /** Other spellings on the command line, those of the original among them. */
  readonly aliases: readonly string[]
  /** Its name where there is one of the kind, so that nobody needs to type it. */
  readonly only?: string
  /** Part of a backup: `tctl get all`. */
  readonly backup: boolean
  readonly load: () => Promise<ResourceKind>
}

const clusterConfigs = () => import('./cluster-config.ts')

export const kinds: readonly KindEntry[] = [
  {
    kind: 'cert_authority',
    aliases: ['cert_authorities', 'cas', 'ca'],
    backup: true,
    load: async () => (await import('./cert-authority.ts')).certAuthority,
  },
  {
    kind: 'cluster_auth_preference',
    aliases: ['cluster_authentication_preferences', 'cap'],
    only: 'cluster-auth-preference',
    backup: true,
    load: async () => (await clusterConfigs()).authPreference,
  },
  {
    kind: 'cluster_networking_config',
    aliases: ['networking_config', 'networking', 'net_config', 'netconfig'],
    only: 'cluster-networking-config',
    backup: true,
    load: async () => (await clusterConfigs()).networkingConfig,
  },
  {
    kind: 'session_recording_config',
    aliases: ['recording_config', 'session_recording', 'rec_config', 'recconfig'],
    only: 'session-recording-config',
    backup: true,
    load: async () => (await clusterConfigs()).recordingConfig,
  },
  { kind: 'role', aliases: ['roles'], backup: true, load: async () => (await import('./role.ts')).role },
  { kind: 'user', aliases: ['users'], backup: true, load: async () => (await import('./user.ts')).user },
  { kind: 'lock', aliases: ['locks'], backup: true, load: async () => (await import('./lock.ts')).lock },
  {
    kind: 'access_request',
    aliases: ['access_requests'],
    backup: false,
    load: async () => (await import('./access-request.ts')).accessRequest,
  },
  { kind: 'token', aliases: ['tokens'], backup: false, load: async () => (await import('./token.ts')).token },
  { kind: 'node', aliases: ['nodes'], backup: false, load: async () => (await import('./node.ts')).node },
  {
    kind: 'semaphore',
    aliases: ['semaphores'],
    backup: false,
    load: async () => (await import('./semaphore.ts')).semaphore,
  },
]

/** Kinds of the original that this version does not have. */
const unavailable: readonly string[] = [
  'trusted_cluster',
  'remote_cluster',
  'github',
  'oidc',
  'saml',
  'tc',
  'rc',
  'connectors',
]

export interface Reference {
  readonly entry: KindEntry
  readonly name: string | undefined
}

/** `role`, `roles`, `role/dev`. Throws BadParameter. */
export function parseReference(text: string): Reference {
  const [word = '', ...rest] = text.trim().split('/')
  const entry = findKind(word)
  const name = rest.join('/')
  if (text.includes('/') && name === '')
    throw new BadParameter('kind', `${quote(text)}: the name after the slash is missing`)
  return { entry, name: name === '' ? undefined : name }
}

/** `role,user/alice`, or `all` for what a backup holds. Throws BadParameter. */
export const parseReferences = (text: string): readonly Reference[] =>
  text.trim() === 'all'
    ? kinds.filter((entry) => entry.backup).map((entry) => ({ entry, name: undefined }))
    : text.split(',').map(parseReference)

/** By name or alias, upper or lower case. Throws BadParameter. */
export function findKind(word: string): KindEntry {
  const lower = word.toLowerCase()
  const entry = kinds.find(({ kind, aliases }) => kind === lower || aliases.includes(lower))
  if (entry !== undefined) return entry
  if (unavailable.includes(lower) || unavailable.includes(lower.replace(/s$/, ''))) {
    throw new BadParameter('kind', `resources of kind ${quote(word)} are not available in this version`)
  }
  const near = nearest(
    word,
    kinds.flatMap(({ kind, aliases }) => [kind, ...aliases]),
  )
  const hint =
    near === undefined ? `; known kinds: ${kinds.map(({ kind }) => kind).join(', ')}` : `; did you mean ${near}?`
  throw new BadParameter('kind', `unknown kind of resource ${quote(word)}${hint}`)
}
