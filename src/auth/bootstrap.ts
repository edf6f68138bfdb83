/**
 * First start: authorities, uuid, preset roles and the identities of auth and of the administrator. A kill at any moment leaves a
 * directory that starts again; a directory that once held a cluster never gets a new one silently.
 */

import { existsSync } from 'node:fs'
import { mkdir } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { authorizeResource } from '../access/authorize.ts'
import { presetRoles } from '../access/presets.ts'
import { hostUuid } from '../api/host-uuid.ts'
import { toRoleRecord } from '../api/role-record.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { ensurePrivateDir } from '../common/files.ts'
import type { Logger } from '../common/log.ts'
import { checkName } from '../common/names.ts'
import { BadParameter, SystemError } from '../errors/errors.ts'
import { convertSystemError } from '../errors/system.ts'
import { type AuthorityType, newAuthorityRecord } from './authorities.ts'
import { type BootstrapFile, type BootstrapState, readBootstrap } from './bootstrap-file.ts'
import { checkBootstrap, writeResources } from './bootstrap-resources.ts'
import { authItself } from './permits.ts'
import type { Tables } from './records.ts'

export interface AuthPaths {
  readonly directory: string
  readonly backend: string
  readonly events: string
  readonly recordings: string
  readonly identity: string
  readonly admin: string
}

/** `storage` is a directory of its own for the state, where the administrator set one. */
export const authPaths = (dataDir: string, storage?: string): AuthPaths => {
  const directory = join(dataDir, 'auth')
  const at = (name: string) => join(directory, name)
  return {
    directory,
    backend: join(storage ?? directory, 'backend.sqlite'),
    events: at('events.sqlite'),
    recordings: at('recordings'),
    identity: at('identity.json'),
    admin: at('admin.json'),
  }
}

/** Makes the directories. Throws System `ECORRUPT` when there are traces of a cluster but its state is missing. */
export async function prepareDirectory(dataDir: string, storage?: string): Promise<AuthPaths> {
  const paths = authPaths(dataDir, storage)
  try {
    await mkdir(dataDir, { recursive: true, mode: 0o700 })
  } catch (error) {
    throw convertSystemError(error, `create the data directory ${dataDir}`)
  }
  await ensurePrivateDir(paths.directory)
  if (storage !== undefined) await ensurePrivateDir(storage)
  if (!existsSync(paths.backend)) refuseFreshStart(paths)
  return paths
}

function refuseFreshStart(paths: AuthPaths): void {
  const traces = [paths.identity, paths.admin, paths.events].filter((path) => existsSync(path))
  const [trace] = traces
  if (trace === undefined) return
  throw new SystemError(
    'ECORRUPT',
    `${paths.backend} holds no cluster, but ${trace} shows that there was one; restore ${paths.backend} from a backup, or move ${paths.directory} away to start a new cluster that no machine or user of the old one trusts`,
  )
}

/** The cluster's name and uuid; makes the cluster, in one step, when the store is empty. */
export async function ensureCluster(options: {
  readonly backend: Backend
  readonly tables: Tables
  readonly paths: AuthPaths
  readonly dataDir: string
  readonly clusterName: string | undefined
  /** What a new cluster begins with. */
  readonly bootstrap?: BootstrapFile | undefined
  readonly env: Env
  readonly logger: Logger
}): Promise<{ readonly clusterName: string; readonly uuid: string; readonly isNew: boolean }> {
  const { backend, tables, paths, env } = options
  const known = await tables.cluster.find('cluster')
  if (known !== undefined) {
    if (options.bootstrap !== undefined) {
      throw new BadParameter(
        '--bootstrap',
        `--bootstrap is for the first start only: ${paths.backend} holds the cluster ${known.value.clusterName} already; start without it, and change resources with tctl`,
      )
    }
    const { clusterName, uuid } = known.value
    if (options.clusterName !== undefined && options.clusterName !== clusterName) {
      options.logger.warn('the cluster keeps the name it got at its first start', {
        name: clusterName,
        configured: options.clusterName,
        directory: paths.directory,
      })
    }
    return { clusterName, uuid, isNew: false }
  }
  refuseFreshStart(paths)
  const clusterName = checkName('cluster name', options.clusterName ?? hostname())
  const uuid = await hostUuid(options.dataDir, env)
  const state = options.bootstrap === undefined ? undefined : readBootstrap(options.bootstrap)
  await makeCluster(backend, tables, { clusterName, uuid, env }, state)
  return { clusterName, uuid, isNew: true }
}

/** Name, authorities, preset roles and what else it begins with, all or nothing. Throws CompareFailed when there is a cluster already. */
export async function makeCluster(
  backend: Backend,
  tables: Tables,
  cluster: { readonly clusterName: string; readonly uuid: string; readonly env: Env },
  state?: BootstrapState,
): Promise<void> {
  const { clusterName, uuid, env } = cluster
  const roles = state?.roles.map((role) => role.metadata.name) ?? []
  const presets = presetRoles.filter((role) => !roles.includes(role.metadata.name))
  if (state !== undefined) checkBootstrap(state, presets, clusterName)
  await writeResources(backend, tables, state, env)
  const authority = (type: AuthorityType) => {
    const given = state?.authorities.find((each) => each.type === type)
    return given === undefined ? newAuthorityRecord(type, env) : { type, key: given.key }
  }
  await backend.commit([
    tables.cluster.absent('cluster'),
    tables.cluster.put('cluster', { clusterName, uuid, created: env.now().toISOString() }),
    tables.authorities.put('user', authority('user')),
    tables.authorities.put('host', authority('host')),
    ...presets.map((role) => {
      const { name } = role.metadata
      return tables.roles.put(authorizeResource(authItself, 'create', 'role', { name }), toRoleRecord(role))
    }),
  ])
}
