/** `tctl get`, `tctl rm`, `tctl nodes ls`: the resources that the auth API knows. */

import type { ApiClient } from '../../../api/client.ts'
import type { Presence, RoleRecord, UserRecord } from '../../../api/model.ts'
import {
  deleteLeases,
  deletePresence,
  deleteRole,
  deleteToken,
  deleteUser,
  getConfig,
  getRole,
  getUser,
  listAuthorities,
  listPresence,
  listRoles,
  listTokens,
  listUsers,
} from '../../../api/routes.ts'
import { isUuid } from '../../../common/names.ts'
import { formatTable, nearest } from '../../../common/text.ts'
import { BadParameter, NotFound } from '../../../errors/errors.ts'
import { fingerprintSha256 } from '../../../ssh/keys/public-key.ts'
import { print } from '../../common/output.ts'
import { printable } from '../../common/printable.ts'
import type { CommandRun } from '../../common/spec.ts'
import { publicKeyOfLine } from '../../tsh/keys.ts'
import { withAdminApi } from '../connect.ts'
import { allPages } from '../pages.ts'
import type { Resource } from '../resource.ts'
import { readSemaphores, semaphoreHeading } from './semaphores.ts'

type Kind = 'user' | 'role' | 'node' | 'token' | 'semaphore' | 'cert_authority' | 'cluster_auth_preference'

const kindNames: Readonly<Record<string, Kind>> = {
  user: 'user',
  users: 'user',
  role: 'role',
  roles: 'role',
  node: 'node',
  nodes: 'node',
  token: 'token',
  tokens: 'token',
  semaphore: 'semaphore',
  semaphores: 'semaphore',
  cert_authority: 'cert_authority',
  cert_authorities: 'cert_authority',
  cas: 'cert_authority',
  ca: 'cert_authority',
  cluster_auth_preference: 'cluster_auth_preference',
  cap: 'cluster_auth_preference',
}

interface Reference {
  readonly kind: Kind
  readonly name: string | undefined
}

function parseReference(text: string): Reference {
  const [word = '', ...rest] = text.trim().split('/')
  const kind = kindNames[word.toLowerCase()]
  if (kind === undefined) {
    const near = nearest(word, Object.keys(kindNames))
    const hint =
      near === undefined
        ? `; known kinds: ${[...new Set(Object.values(kindNames))].join(', ')}`
        : `; did you mean ${near}?`
    throw new BadParameter('kind', `unknown kind of resource ${JSON.stringify(word)}${hint}`)
  }
  const name = rest.join('/')
  if (text.includes('/') && name === '')
    throw new BadParameter('kind', `${JSON.stringify(text)}: the name after the slash is missing`)
  return { kind, name: name === '' ? undefined : name }
}

const headings: Readonly<Record<Kind, readonly string[]>> = {
  user: ['User', 'Roles'],
  role: ['Role', 'Allowed to login as', 'Node Labels', 'Access to resources'],
  node: ['Nodename', 'UUID', 'Address', 'Labels'],
  token: ['Token', 'Type', 'Labels', 'Expiry Time (UTC)'],
  semaphore: semaphoreHeading,
  cert_authority: ['Cluster Name', 'CA Type', 'Fingerprint', 'Role Map'],
  cluster_auth_preference: ['Type', 'Second Factor'],
}

export const get: CommandRun = async ({ options, args }) => {
  if (options.flag('withSecrets')) {
    throw new BadParameter('--with-secrets', '--with-secrets: private keys and passwords never leave the auth service')
  }
  const references = (args[0] ?? '').split(',').map(parseReference)
  return await withAdminApi(options, async (api) => {
    const found = await Promise.all(references.map((reference) => read(api, reference)))
    const values = found.flat().map((resource) => resource.value)
    const { toYaml } = await import('../../common/to-yaml.ts')
    await print(options.string('format') ?? 'yaml-documents', values, () => {
      if (options.string('format') === 'text') {
        return references
          .map(({ kind }, index) =>
            formatTable(
              headings[kind],
              (found[index] ?? []).flatMap(({ row, rows }) => rows ?? [row]),
            ),
          )
          .join('\n')
      }
      return values.map((value) => toYaml(value)).join('---\n')
    })
    return 0
  })
}

function read(api: ApiClient, { kind, name }: Reference): Promise<readonly Resource[]> {
  switch (kind) {
    case 'user':
      return readUsers(api, name)
    case 'role':
      return readRoles(api, name)
    case 'node':
      return readNodes(api, name)
    case 'token':
      return readTokens(api, name)
    case 'semaphore':
      return readSemaphores(api, name)
    case 'cert_authority':
      return readAuthorities(api, name)
    case 'cluster_auth_preference':
      return readPreference(api)
  }
}

async function readUsers(api: ApiClient, name: string | undefined): Promise<readonly Resource[]> {
  const users =
    name === undefined
      ? await allPages<UserRecord>((query) => api.call(listUsers, { query }))
      : [await api.call(getUser, { params: { name } })]
  return users.map((user) => ({
    kind: 'user',
    value: {
      kind: 'user',
      version: 'v2',
      metadata: { name: user.name },
      spec: {
        roles: user.roles,
        traits: user.traits,
        created_by: { user: { name: user.createdBy }, time: user.created },
      },
    },
    row: [user.name, user.roles.join(',')],
  }))
}

async function readRoles(api: ApiClient, name: string | undefined): Promise<readonly Resource[]> {
  const roles =
    name === undefined
      ? await allPages<RoleRecord>((query) => api.call(listRoles, { query }))
      : [await api.call(getRole, { params: { name } })]
  return roles.map((role) => ({ kind: 'role', value: role, row: roleRow(role) }))
}

const listText = (value: unknown): string => (Array.isArray(value) ? value.map(String).join(',') : '')

function field(value: unknown, ...path: readonly string[]): unknown {
  return path.reduce<unknown>(
    (at, key) => (typeof at === 'object' && at !== null ? (at as Record<string, unknown>)[key] : undefined),
    value,
  )
}

function roleRow(role: RoleRecord): readonly string[] {
  const labels = field(role, 'spec', 'allow', 'node_labels')
  const rules = field(role, 'spec', 'allow', 'rules')
  const labelText =
    typeof labels === 'object' && labels !== null
      ? Object.entries(labels)
          .map(([key, value]) => `${key}: ${Array.isArray(value) ? listText(value) : String(value)}`)
          .join(' ')
      : ''
  const ruleText = Array.isArray(rules)
    ? rules.map((rule) => `${listText(field(rule, 'resources'))}:${listText(field(rule, 'verbs'))}`).join(' ')
    : ''
  return [role.metadata.name, listText(field(role, 'spec', 'allow', 'logins')), labelText, ruleText]
}

async function listAllNodes(api: ApiClient): Promise<readonly Presence[]> {
  const nodes = await allPages<Presence>((query) => api.call(listPresence, { query: { role: 'node', ...query } }))
  return nodes.sort((a, b) => a.hostname.localeCompare(b.hostname) || a.uuid.localeCompare(b.uuid))
}

const nodeRow = (node: Presence): readonly string[] => [
  node.hostname,
  node.uuid,
  node.address,
  Object.entries(node.labels)
    .map(([name, value]) => `${name}=${value}`)
    .join(','),
]

async function readNodes(api: ApiClient, name: string | undefined): Promise<readonly Resource[]> {
  const nodes = (await listAllNodes(api)).filter(
    (node) => name === undefined || node.uuid === name || node.hostname === name,
  )
  if (name !== undefined && nodes.length === 0) throw new NotFound(`node ${JSON.stringify(name)} is not found`)
  return nodes.map((node) => ({
    kind: 'node',
    value: {
      kind: 'node',
      version: 'v2',
      metadata: { name: node.uuid, labels: node.labels, expires: node.expires },
      spec: { addr: node.address, hostname: node.hostname, public_addrs: node.publicAddresses, version: node.version },
    },
    row: nodeRow(node),
  }))
}

async function readTokens(api: ApiClient, name: string | undefined): Promise<readonly Resource[]> {
  const { tokens } = await api.call(listTokens)
  const chosen = tokens.filter((token) => name === undefined || token.token === name)
  if (name !== undefined && chosen.length === 0) throw new NotFound('there is no such token')
  return chosen.map((token) => ({
    kind: 'token',
    value: {
      kind: 'token',
      version: 'v2',
      metadata: { name: token.token, ...(token.expires === undefined ? {} : { expires: token.expires }) },
      spec: { roles: token.roles.map((role) => role.charAt(0).toUpperCase() + role.slice(1)) },
    },
    row: [token.token, token.roles.join(','), '', token.expires ?? 'never'],
  }))
}

async function readAuthorities(api: ApiClient, name: string | undefined): Promise<readonly Resource[]> {
  const { items } = await api.call(listAuthorities)
  const [type, cluster] = name === undefined ? [] : name.split('/')
  const chosen = items.filter(
    (item) => (type === undefined || item.type === type) && (cluster === undefined || item.clusterName === cluster),
  )
  if (chosen.length === 0) throw new NotFound(`cert_authority ${JSON.stringify(name)} is not found`)
  return chosen.map((item) => ({
    kind: 'cert_authority',
    value: {
      kind: 'cert_authority',
      sub_kind: item.type,
      version: 'v2',
      metadata: { name: item.clusterName },
      spec: { type: item.type, cluster_name: item.clusterName, checking_keys: item.keys },
    },
    row: [
      item.clusterName,
      item.type,
      item.keys.map((key) => fingerprintSha256(publicKeyOfLine(key, 'authority'))).join(' '),
      'N/A',
    ],
  }))
}

async function readPreference(api: ApiClient): Promise<readonly Resource[]> {
  const config = await api.call(getConfig)
  return [
    {
      kind: 'cluster_auth_preference',
      value: {
        kind: 'cluster_auth_preference',
        version: 'v2',
        metadata: { name: 'cluster-auth-preference' },
        spec: {
          type: 'local',
          second_factor: config.secondFactor,
          disconnect_expired_cert: config.disconnectExpiredCert,
          message_of_the_day: config.messageOfTheDay,
        },
      },
      row: ['local', config.secondFactor],
    },
  ]
}

export const rm: CommandRun = async ({ options, args }) => {
  const { kind, name } = parseReference(args[0] ?? '')
  if (name === undefined) throw new BadParameter('resource', `name the ${kind} to remove: tctl rm ${kind}/NAME`)
  return await withAdminApi(options, async (api) => {
    switch (kind) {
      case 'user':
        await api.call(deleteUser, { params: { name } })
        break
      case 'role':
        await api.call(deleteRole, { params: { name } })
        break
      case 'token':
        await api.call(deleteToken, { params: { name } })
        break
      case 'semaphore':
        await api.call(deleteLeases, { params: { name: name.replace(/^connection\//, '') } })
        break
      case 'node':
        await api.call(deletePresence, { params: { role: 'node', uuid: await nodeUuid(api, name) } })
        break
      case 'cert_authority':
      case 'cluster_auth_preference':
        throw new BadParameter('resource', `a ${kind} cannot be removed`)
    }
    const shown = kind === 'token' ? 'token' : `${kind} '${printable(name)}'`
    process.stdout.write(`${shown} has been deleted\n`)
    return 0
  })
}

async function nodeUuid(api: ApiClient, name: string): Promise<string> {
  if (isUuid(name)) return name
  const matches = (await listAllNodes(api)).filter((node) => node.hostname === name)
  const [only] = matches
  if (only === undefined) throw new NotFound(`node ${JSON.stringify(name)} is not found`)
  if (matches.length > 1) throw new BadParameter('resource', `${matches.length} nodes are called ${name}; use the UUID`)
  return only.uuid
}

export const nodesLs: CommandRun = ({ options }) =>
  withAdminApi(options, async (api) => {
    const nodes = await listAllNodes(api)
    await print(options.string('format'), nodes, () => formatTable(headings.node, nodes.map(nodeRow)))
    return 0
  })
