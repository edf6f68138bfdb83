/** `kind: semaphore`: the connections that count for `max_connections`, in the form of Teleport's semaphores. */

import { deleteLeases, listLeases, type UserLeases } from '../../../api/routes.ts'
import { NotFound } from '../../../errors/errors.ts'
import { allPages } from '../pages.ts'
import type { ResourceKind } from './types.ts'

/** `connection/alice`, or `alice`. */
const userOf = (name: string): string => name.replace(/^connection\//, '')

export const semaphore: ResourceKind = {
  headings: ['Kind', 'Name', 'LeaseID', 'Holder', 'Expires'],
  async list(api, name) {
    const all = await allPages<UserLeases>((query) => api.call(listLeases, { query }))
    const chosen = all.filter(({ user }) => name === undefined || user === userOf(name))
    if (name !== undefined && chosen.length === 0)
      throw new NotFound(`no connections of ${JSON.stringify(userOf(name))} are counted`)
    return chosen.map(({ user, leases }) => ({
      value: {
        kind: 'semaphore',
        sub_kind: 'connection',
        version: 'v3',
        metadata: { name: user },
        spec: { leases: leases.map(({ id, serverId, expires }) => ({ lease_id: id, holder: serverId, expires })) },
      },
      rows: leases.map(({ id, serverId, expires }) => ['connection', user, id, serverId, expires]),
    }))
  },
  parse: 'nodes count connections themselves',
  async remove(api, name) {
    await api.call(deleteLeases, { params: { name: userOf(name) } })
    return `semaphore '${name}'`
  },
}
