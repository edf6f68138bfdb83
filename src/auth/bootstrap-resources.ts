/** What a new cluster begins with besides its own: the resources of a file. */

import { authorizeResource } from '../access/authorize.ts'
import type { Role } from '../access/types.ts'
import { settingsName } from '../api/cluster-settings.ts'
import { fromLocalAuth } from '../api/local-auth.ts'
import { toRoleRecord } from '../api/role-record.ts'
import type { Backend, Operation } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import { quote } from '../common/text.ts'
import { BadParameter } from '../errors/errors.ts'
import type { BootstrapState } from './bootstrap-file.ts'
import { authItself } from './permits.ts'
import type { Tables } from './records.ts'
import { credentialsFrom } from './secret-exports.ts'

/** Changes in one commit; the store takes 128. */
const batch = 60

/** Throws BadParameter for what does not fit together. */
export function checkBootstrap(state: BootstrapState, presets: readonly Role[], clusterName: string): void {
  const [authority] = state.authorities
  if (authority !== undefined && authority.clusterName !== clusterName) {
    throw new BadParameter(
      'cluster_name',
      `the authorities of the file belong to the cluster ${quote(authority.clusterName)}, but this one is to be called ${quote(clusterName)}; set auth_service.cluster_name`,
    )
  }
  const roles = new Set([...state.roles, ...presets].map((role) => role.metadata.name))
  for (const { metadata, spec } of state.users) {
    const missing = spec.roles.find((name) => !roles.has(name))
    if (spec.roles.length === 0 || missing !== undefined) {
      const what = missing === undefined ? 'no role' : `the role ${quote(missing)}, which is not in the file`
      throw new BadParameter('roles', `user ${quote(metadata.name)} has ${what}`)
    }
  }
}

/**
 * Removes what a first start that was killed left, then writes the resources. The cluster exists only with the commit that the
 * caller makes afterwards, so a kill in between starts from the beginning.
 */
export async function writeResources(
  backend: Backend,
  tables: Tables,
  state: BootstrapState | undefined,
  env: Env,
): Promise<void> {
  const { roles, users, credentials, clusterSettings, authorities, locks } = tables
  for (const { prefix } of [roles, users, credentials, clusterSettings, authorities, locks])
    await backend.deleteRange(prefix)
  if (state === undefined) return
  const writes = [...resourceWrites(tables, state, env)]
  for (let start = 0; start < writes.length; start += batch) await backend.commit(writes.slice(start, start + batch))
}

function* resourceWrites(tables: Tables, state: BootstrapState, env: Env): Generator<Operation> {
  const created = env.now().toISOString()
  for (const role of state.roles) {
    const { name } = role.metadata
    yield tables.roles.put(authorizeResource(authItself, 'create', 'role', { name }), toRoleRecord(role))
  }
  for (const { metadata, spec } of state.users) {
    const { name } = metadata
    const secrets = spec.local_auth === undefined ? undefined : fromLocalAuth(spec.local_auth)
    const traits = Object.fromEntries(Object.entries(spec.traits).map(([key, values]) => [key, [...values]]))
    yield tables.users.put(authorizeResource(authItself, 'create', 'user', { name }), {
      name,
      roles: [...spec.roles],
      traits,
      createdBy: 'bootstrap',
      created,
      activated: secrets?.password !== undefined,
    })
    if (secrets !== undefined) yield tables.credentials.put(name, credentialsFrom(secrets, created))
  }
  for (const settings of state.settings) {
    const name = settingsName(settings.kind)
    yield tables.clusterSettings.put(authorizeResource(authItself, 'create', settings.kind, { name }), settings)
  }
  for (const { id = env.randomUuid(), ...lock } of state.locks) {
    const expires = lock.expires === undefined ? undefined : new Date(lock.expires)
    // What is over needs no lock any more, and an entry that is over from the beginning could not be stored.
    if (expires !== undefined && expires <= env.now()) continue
    const permit = authorizeResource(authItself, 'create', 'lock', { name: id })
    yield tables.locks.put(permit, { id, ...lock, created, createdBy: 'bootstrap' }, expires)
  }
}
