/** `tctl get semaphores`: the connections that count for `max_connections`, in the form of Teleport's semaphores. */

import type { ApiClient } from '../../../api/client.ts'
import { listLeases, type UserLeases } from '../../../api/routes.ts'
import { allPages } from '../pages.ts'
import type { Resource } from '../resource.ts'

export const semaphoreHeading = ['Kind', 'Name', 'LeaseID', 'Holder', 'Expires'] as const

/** Of one user (`connection/alice`, or `alice`), or of all. */
export async function readSemaphores(api: ApiClient, name: string | undefined): Promise<readonly Resource[]> {
  const wanted = name?.replace(/^connection\//, '')
  const all = await allPages<UserLeases>((query) => api.call(listLeases, { query }))
  return all
    .filter(({ user }) => wanted === undefined || user === wanted)
    .map(({ user, leases }) => ({
      kind: 'semaphore',
      value: {
        kind: 'semaphore',
        sub_kind: 'connection',
        version: 'v3',
        metadata: { name: user },
        spec: { leases: leases.map(({ id, serverId, expires }) => ({ lease_id: id, holder: serverId, expires })) },
      },
      row: [],
      rows: leases.map(({ id, serverId, expires }) => ['connection', user, id, serverId, expires]),
    }))
}
