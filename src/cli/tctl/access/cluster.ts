/** What the questions about access are answered from: users, roles and nodes as the auth service has them now. */

import { MAX_SESSION_TTL_SECONDS } from '../../../access/decide.ts'
import type { Role } from '../../../access/types.ts'
import type { AuthConnection } from '../../../api/connect.ts'
import type { ClusterConfig, Presence, UserRecord } from '../../../api/model.ts'
import { readRole } from '../../../api/role-record.ts'
import { getConfig, listPresence, listRoles } from '../../../api/routes.ts'
import { quote } from '../../../common/text.ts'
import { NotFound } from '../../../errors/errors.ts'
import { allPages } from '../pages.ts'

/** Seconds that a certificate lives when nobody asks for less. */
export const DEFAULT_TTL_SECONDS = Math.min(23 * 3600, MAX_SESSION_TTL_SECONDS)

export async function allRoles(api: AuthConnection): Promise<ReadonlyMap<string, Role>> {
  const records = await allPages((page) => api.call(listRoles, { query: { limit: 1000, ...page } }))
  return new Map(records.map((record) => [record.metadata.name, readRole(record)]))
}

export const allNodes = (api: AuthConnection): Promise<readonly Presence[]> =>
  allPages((page) => api.call(listPresence, { query: { role: 'node', limit: 1000, ...page } }))

export const clusterOptions = async (
  api: AuthConnection,
): Promise<Pick<ClusterConfig, 'clientIdleTimeout' | 'disconnectExpiredCert' | 'sessionRecording'>> =>
  api.call(getConfig, {})

/** Definitions of the user's roles, in their order; those that do not exist any more are left out, as at a login. */
export const rolesOf = (user: Pick<UserRecord, 'roles'>, roles: ReadonlyMap<string, Role>): readonly Role[] =>
  user.roles.map((name) => roles.get(name)).filter((role) => role !== undefined)

/** By uuid, or by name, with or without the cluster's. Throws NotFound; several of one name are all returned. */
export function nodesNamed(nodes: readonly Presence[], name: string): readonly Presence[] {
  const wanted = name.toLowerCase()
  const found = nodes.filter(({ uuid, hostname }) => uuid === wanted || hostname.toLowerCase() === wanted)
  if (found.length === 0) throw new NotFound(`there is no node ${quote(name)}; tctl nodes ls lists them`)
  return found
}
