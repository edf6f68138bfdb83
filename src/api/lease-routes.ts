/**
 * The part of the auth API that counts connections across the cluster (`max_connections`). A node takes a lease for each connection of a
 * user whose roles have such a limit, renews what it holds, and gives it back; what a dead node held expires.
 */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { isoTime } from './model.ts'
import { page, pageOf } from './pages.ts'

const lease = z.strictObject({
  user: z.string().min(1).max(256),
  /** Of the connection; leases of different nodes never meet. */
  id: z.uuid(),
})
export type Lease = z.infer<typeof lease>

export const acquireLease = endpoint({
  method: 'POST',
  path: '/v1/leases',
  summary: 'Counts a connection of a user in; refused (LimitExceeded) when there are `maximum` in the cluster already',
  callers: ['Node'],
  body: lease.extend({ maximum: z.number().int().positive() }),
  output: z.strictObject({ expires: isoTime }),
})
export const renewLeases = endpoint({
  method: 'PUT',
  path: '/v1/leases',
  summary: "Connections that are still there on the caller's node; unknown ones are counted in, whatever the maximum",
  callers: ['Node'],
  body: z.strictObject({ leases: z.array(lease).max(10_000) }),
  output: z.strictObject({ expires: isoTime }),
  maxBody: 4 * 1024 * 1024,
})
export const releaseLease = endpoint({
  method: 'POST',
  path: '/v1/leases/release',
  summary: 'Counts a connection out; one that is not counted is no error',
  callers: ['Node'],
  body: lease,
  output: empty,
})

const userLeases = z.strictObject({
  user: z.string(),
  leases: z.array(z.strictObject({ id: z.uuid(), serverId: z.uuid(), expires: isoTime })),
})
export type UserLeases = z.infer<typeof userLeases>

export const listLeases = endpoint({
  method: 'GET',
  path: '/v1/leases',
  summary: 'Connections that are counted, by user',
  callers: ['Admin'],
  query: z.strictObject(page),
  output: pageOf(userLeases),
})
export const deleteLeases = endpoint({
  method: 'DELETE',
  path: '/v1/leases/:name',
  summary: 'Counts all connections of a user out; those that are there are counted in again within a minute',
  callers: ['Admin'],
  params: z.strictObject({ name: z.string().min(1).max(256) }),
  output: empty,
})
