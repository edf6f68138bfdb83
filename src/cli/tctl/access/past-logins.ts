/** Logins of the past, from the audit log: sessions that began, and logins that a node refused. */

import type { PastLogin } from '../../../access/simulate.ts'
import type { AuthConnection } from '../../../api/connect.ts'
import { searchEvents } from '../../../api/routes.ts'
import { allPages } from '../pages.ts'

export async function pastLogins(api: AuthConnection, from: string): Promise<readonly PastLogin[]> {
  const query = { from, type: 'session.start,auth', limit: 1000 }
  const events = await allPages((page) => api.call(searchEvents, { query: { ...query, ...page } }))
  return events.flatMap((event) => toLogin(event) ?? [])
}

/** Undefined for refusals that no role decided: of a stranger, or at a proxy, where no login is known. */
function toLogin(event: Readonly<Record<string, unknown>>): PastLogin | undefined {
  const { time, user, login, server_id: serverId, server_hostname: hostname, server_labels: labels } = event
  if (![time, user, login, serverId, hostname].every((field) => typeof field === 'string')) return undefined
  const refusedByRoles =
    event.event === 'auth' && typeof event.error === 'string' && event.error.includes('may not log in as')
  if (event.event !== 'session.start' && !refusedByRoles) return undefined
  return {
    time: String(time),
    user: String(user),
    login: String(login),
    serverId: String(serverId),
    hostname: String(hostname),
    ...(isLabels(labels) ? { labels } : {}),
    took: event.event === 'session.start' ? 'place' : 'no place',
  }
}

const isLabels = (value: unknown): value is Readonly<Record<string, string>> =>
  typeof value === 'object' && value !== null && Object.values(value).every((text) => typeof text === 'string')
