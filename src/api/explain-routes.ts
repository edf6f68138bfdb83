/** The part of the auth API that says why somebody may or may not log in somewhere (`src/access/explain.ts`). */

import { z } from 'zod'
import { endpoint } from './define.ts'
import { labels } from './model.ts'
import { name } from './route-fields.ts'

const count = z.number().int().nonnegative()

const options = z.strictObject({
  sessionTtlSeconds: count,
  portForwarding: z.boolean(),
  /** Absent: to any target. */
  forwardTo: z.array(z.string()).optional(),
  agentForwarding: z.boolean(),
  x11Forwarding: z.boolean(),
  fileCopy: z.boolean(),
  /** Milliseconds, 0 for none. */
  idleTimeoutMs: count,
  disconnectExpiredCert: z.boolean(),
  /** 0: any number. */
  maxConnections: count,
  /** 0: the engine's own limit. */
  maxSessions: count,
  recordStrict: z.boolean(),
  recordExecOutput: z.boolean(),
  requireSessionMfa: z.boolean(),
  lock: z.enum(['strict', 'best_effort']),
  pinSourceIp: z.boolean(),
})

const accessExplanation = z.strictObject({
  user: z.string(),
  login: z.string(),
  node: z.string(),
  nodeId: z.string(),
  labels,
  allow: z.boolean(),
  reason: z.string(),
  /** The role that decided, and what in it did. */
  role: z.string().optional(),
  conditions: z.array(z.string()).optional(),
  /** Roles of the user that do not exist. */
  missingRoles: z.array(z.string()).optional(),
  createHostUser: z.boolean(),
  roles: z.array(
    z.strictObject({ role: z.string(), effect: z.enum(['allows', 'denies', 'nothing']), because: z.string() }),
  ),
  options,
  sessionRecording: z.string(),
})
export type AccessExplanation = z.infer<typeof accessExplanation>

export const explainAccess = endpoint({
  method: 'GET',
  path: '/v1/access/explain',
  summary: 'Whether a user may log in somewhere, and what each of their roles has to say about it',
  callers: ['Admin', 'User'],
  /** And the rule to read that user; of nodes, only those that the caller reaches or has the rule to read. */
  userRule: { resource: 'role', verb: 'read', each: true },
  query: z.strictObject({
    user: name,
    login: name,
    /** Name or uuid; several of one name are all answered. */
    node: name,
  }),
  output: z.strictObject({ items: z.array(accessExplanation) }),
})
