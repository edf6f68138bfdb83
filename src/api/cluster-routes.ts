/** What everybody in a cluster has to know of it, and how it follows changes. */

import { z } from 'zod'
import { endpoint } from './define.ts'
import { authority, clusterConfig, isoTime, watchEvent } from './model.ts'

export const getStatus = endpoint({
  method: 'GET',
  path: '/v1/status',
  summary: 'Name, version and CA pins of the cluster',
  callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'],
  userRule: 'none',
  output: z.strictObject({
    clusterName: z.string(),
    version: z.string(),
    caPins: z.array(z.string()),
    authorities: z.array(authority.pick({ type: true, rotation: true, rotated: true })),
    /** Server time, for noticing clock skew. */
    time: isoTime,
    /** For administrators, and users with the rule to list events. */
    audit: z
      .strictObject({
        /** The last event, and the last that the search index knows. */
        last: z.number().int(),
        indexed: z.number().int(),
        /** `low`, `reserve` and `full` are alarms: on the disk there is little room, room for logins only, or none. */
        disk: z.enum(['ok', 'low', 'reserve', 'full']),
        /** The log does not contain what it contained before; `tctl audit verify` says more. */
        damaged: z.boolean(),
      })
      .optional(),
    /** For the same: why the store takes no recordings now. */
    recordingAlarm: z.string().optional(),
  }),
})
export const getConfig = endpoint({
  method: 'GET',
  path: '/v1/config',
  summary: 'Cluster-wide settings',
  callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'],
  userRule: 'none',
  output: clusterConfig,
})
export const listAuthorities = endpoint({
  method: 'GET',
  path: '/v1/authorities',
  summary: 'Public keys of the authorities; private keys never leave the auth service',
  callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'],
  userRule: 'none',
  output: z.strictObject({ items: z.array(authority) }),
})
export const watch = endpoint({
  method: 'GET',
  path: '/v1/watch',
  summary: 'A snapshot of authorities, locks, roles, users, presence and settings, then each change, for ever',
  callers: ['Node', 'Proxy', 'Auth', 'Admin'],
  output: watchEvent,
  stream: true,
})
