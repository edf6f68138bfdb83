/** Listings of the auth API read whole, for tables that are searched in the page. */

import { useQuery } from '@tanstack/react-query'
import { auth, may, type routes, type WebUser } from '../api.ts'

interface Page<T> {
  readonly items: readonly T[]
  readonly next?: string | undefined
}

/** Pages of 1,000; what is beyond is found by `tctl`. */
const mostPages = 20

export async function allPages<T>(read: (query: { limit: number; after?: string }) => Promise<Page<T>>): Promise<T[]> {
  const items: T[] = []
  let after: string | undefined
  for (let page = 0; page < mostPages; page++) {
    const answer = await read({ limit: 1000, ...(after === undefined ? {} : { after }) })
    items.push(...answer.items)
    after = answer.next
    if (after === undefined) break
  }
  return items
}

export const useUsers = (user: WebUser | undefined) =>
  useQuery({
    queryKey: ['users', user?.name],
    queryFn: async ({ signal }) => {
      const users = await allPages((query) =>
        auth<typeof routes.listUsers>('GET /v1/users', { query }, { signal, background: true }),
      )
      return users.sort((a, b) => a.name.localeCompare(b.name))
    },
    enabled: may(user, 'GET /v1/users'),
  })

export const useRoles = (user: WebUser | undefined) =>
  useQuery({
    queryKey: ['roles', user?.name],
    queryFn: async ({ signal }) => {
      const roles = await allPages((query) =>
        auth<typeof routes.listRoles>('GET /v1/roles', { query }, { signal, background: true }),
      )
      return roles.sort((a, b) => a.metadata.name.localeCompare(b.metadata.name))
    },
    enabled: may(user, 'GET /v1/roles'),
  })

export const useLocks = (user: WebUser | undefined) =>
  useQuery({
    queryKey: ['locks', user?.name],
    queryFn: ({ signal }) =>
      allPages((query) => auth<typeof routes.listLocks>('GET /v1/locks', { query }, { signal, background: true })),
    enabled: may(user, 'GET /v1/locks'),
    refetchInterval: 30_000,
  })

export const usePresence = (user: WebUser | undefined, role: 'auth' | 'proxy' | 'node', everyMs: number | false) =>
  useQuery({
    queryKey: ['presence', user?.name, role],
    queryFn: ({ signal }) =>
      allPages((query) =>
        auth<typeof routes.listPresence>(
          'GET /v1/presence',
          { query: { role, ...query } },
          { signal, background: true },
        ),
      ),
    refetchInterval: everyMs,
  })

export const useStatus = () =>
  useQuery({
    queryKey: ['status'],
    queryFn: ({ signal }) => auth<typeof routes.getStatus>('GET /v1/status', {}, { signal, background: true }),
    refetchInterval: 60_000,
  })
