/** The part of the auth API that reports, searches, proves and exports what happened. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { isoTime } from './model.ts'
import { page, pageOf } from './pages.ts'

const auditEvent = z.looseObject({ event: z.string(), code: z.string(), uid: z.string(), time: isoTime })
export const emitEvents = endpoint({
  method: 'POST',
  path: '/v1/audit/events',
  summary: 'Events of a node or proxy; stored before the answer, once for each uid',
  callers: ['Node', 'Proxy'],
  body: z.strictObject({ events: z.array(auditEvent).min(1).max(500) }),
  output: empty,
  maxBody: 4 * 1024 * 1024,
})
const filter = {
  from: isoTime.optional(),
  to: isoTime.optional(),
  /** One event name or several, separated by commas. */
  type: z.string().max(256).optional(),
  user: z.string().max(256).optional(),
  session: z.string().max(64).optional(),
  /** Words that are all in the event; `"a b"` is a phrase, `abc*` a beginning. */
  text: z.string().max(256).optional(),
}
export const searchEvents = endpoint({
  method: 'GET',
  path: '/v1/audit/events',
  summary: 'Search of the audit log, newest first',
  callers: ['Admin', 'User'],
  userRule: { resource: 'event', verb: 'list' },
  query: z.strictObject({ ...filter, ...page }),
  output: pageOf(auditEvent),
})
export const exportEvents = endpoint({
  method: 'GET',
  path: '/v1/audit/export',
  summary: 'The audit log with hashes and signed checkpoints, oldest event first, in the lines of an export file',
  callers: ['Admin', 'User'],
  userRule: { resource: 'event', verb: 'list' },
  query: z.strictObject(filter),
  output: z.strictObject({
    lines: z.array(z.string()),
    /** Events of the log, removed ones not counted. */
    total: z.number().int().nonnegative(),
  }),
  stream: true,
})
const hash = z.string().regex(/^[0-9a-f]{64}$/)
const count = z.number().int().nonnegative()
export const verifyEvents = endpoint({
  method: 'GET',
  path: '/v1/audit/verify',
  summary: 'Reads the whole audit log and every recording, and names the first thing that is not as it was stored',
  callers: ['Admin', 'User'],
  userRule: { resource: 'event', verb: 'list' },
  query: z.strictObject({
    /** `EI:HASH` that the log is known to contain. */
    expectHead: z.string().max(100).optional(),
    recordings: z.enum(['true', 'false']).default('true'),
  }),
  output: z.strictObject({
    events: count,
    checkpoints: count,
    /** Up to this event everything is covered by a signature. */
    signedTo: count,
    /** The last event that retention removed. */
    startsAfter: count,
    head: z.strictObject({ ei: count, hash }),
    recordings: count,
    /** Events of the log, to show how far it is. */
    total: count,
    /** Of the key that signs, base64. */
    key: z.string(),
    /** On the last line only: `null` when everything holds. */
    result: z
      .strictObject({
        what: z.string(),
        message: z.string(),
        ei: count.optional(),
        checkpoint: count.optional(),
        sid: z.string().optional(),
      })
      .nullable()
      .optional(),
  }),
  stream: true,
})
