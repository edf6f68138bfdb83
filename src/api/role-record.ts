/** Roles between their stored form, which crosses the API, and the form that decides. */

import { roleSchema, roleToResource } from '../access/schema.ts'
import type { Role } from '../access/types.ts'
import { type RoleRecord, roleRecord } from './model.ts'

export const toRoleRecord = (role: Role): RoleRecord => roleRecord.parse(roleToResource(role))

/**
 * A role that this release cannot read (a newer auth server wrote it) may hold a deny. So it denies everything: leaving it out
 * would let in whom it was made to keep out.
 */
export function readRole(record: RoleRecord): Role {
  const result = roleSchema.safeParse(record)
  if (result.success) return result.data
  return roleSchema.parse({
    kind: 'role',
    version: 'v4',
    metadata: { name: record.metadata.name },
    spec: {
      options: { max_session_ttl: '1m', forward_agent: false, port_forwarding: false, permit_x11_forwarding: false },
      deny: { logins: ['*'], node_labels: { '*': ['*'] }, rules: [{ resources: ['*'], verbs: ['*'] }] },
    },
  })
}
