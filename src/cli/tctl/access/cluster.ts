/** What the questions about access are answered from: roles and nodes as the auth service has them now. */

import type { Role } from '../../../access/types.ts'
import type { AuthConnection } from '../../../api/connect.ts'
import type { Presence } from '../../../api/model.ts'
import { readRole } from '../../../api/role-record.ts'
import { listPresence, listRoles } from '../../../api/routes.ts'
import { allPages } from '../pages.ts'

export async function allRoles(api: AuthConnection): Promise<ReadonlyMap<string, Role>> {
  const records = await allPages((page) => api.call(listRoles, { query: { limit: 1000, ...page } }))
  return new Map(records.map((record) => [record.metadata.name, readRole(record)]))
}

export const allNodes = (api: AuthConnection): Promise<readonly Presence[]> =>
  allPages((page) => api.call(listPresence, { query: { role: 'node', limit: 1000, ...page } }))
