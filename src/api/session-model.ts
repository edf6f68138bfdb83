/** Sessions that are open now, as they cross the auth API. */

import { z } from 'zod'
import { isoTime, labels } from './model.ts'

/** The SSH user of connections that join sessions. It can be no OS account: names of these do not begin with a hyphen. */
export const joinLogin = '-teleport-internal-join'

const text = z.string().max(4096)
export const partyMode = z.enum(['peer', 'observer', 'moderator'])

const sessionParty = z.strictObject({
  id: z.uuid(),
  user: z.string().max(256),
  mode: partyMode,
  /** `host:port` of the client. */
  address: z.string().max(128),
  joined: isoTime,
})
export const activeSession = z.strictObject({
  sid: z.uuid(),
  /** Who opened it. */
  user: z.string().max(256),
  /** OS account. */
  login: z.string().max(256),
  serverId: z.uuid(),
  serverHostname: z.string().max(256),
  serverLabels: labels,
  started: isoTime,
  interactive: z.boolean(),
  /** Absent for a login shell. */
  command: text.optional(),
  columns: z.number().int().nonnegative(),
  rows: z.number().int().nonnegative(),
  /** `waiting`: for a moderator; `paused` by one; `detached`: nobody is there, the shell waits until `detachedUntil`. */
  state: z.enum(['running', 'waiting', 'paused', 'detached']),
  detachedUntil: isoTime.optional(),
  parties: z.array(sessionParty).max(100),
  lastActive: isoTime,
})
export type ActiveSessionRecord = z.infer<typeof activeSession>
