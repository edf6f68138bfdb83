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
export const searchEvents = endpoint({
  method: 'GET',
  path: '/v1/audit/events',
  summary: 'Search of the audit log, newest first',
  callers: ['Admin', 'User'],
  userRule: { resource: 'event', verb: 'list' },
  query: z.strictObject({
    from: isoTime.optional(),
    to: isoTime.optional(),
    type: z.string().max(256).optional(),
    user: z.string().max(256).optional(),
    session: z.string().max(64).optional(),
    text: z.string().max(256).optional(),
    ...page,
  }),
  output: pageOf(auditEvent),
})
