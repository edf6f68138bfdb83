/** The part of the auth API that shuts people and machines out at once (`src/access/locks.ts`). */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { isoTime, lockMessage, lockRecord, lockTarget } from './model.ts'
import { page, pageOf } from './pages.ts'

const byId = z.strictObject({ id: z.uuid() })

export const createLock = endpoint({
  method: 'POST',
  path: '/v1/locks',
  summary: 'Shuts out whom the target fits: nothing new is let in, what is open ends within seconds',
  callers: ['Admin', 'User'],
  userRule: { resource: 'lock', verb: 'create', each: true },
  body: z.strictObject({
    /** Absent: a new one is made. */
    id: z.uuid().optional(),
    target: lockTarget,
    message: lockMessage.default(''),
    expires: isoTime.optional(),
    /** Replaces the lock of that id. Users need the rule to update locks for it. */
    overwrite: z.boolean().default(false),
    /** Only if nobody changed it since. */
    revision: z.string().optional(),
  }),
  output: lockRecord,
})
export const listLocks = endpoint({
  method: 'GET',
  path: '/v1/locks',
  summary: 'Locks that hold, by id',
  callers: ['Admin', 'User'],
  userRule: { resource: 'lock', verb: 'list', each: true },
  query: z.strictObject(page),
  output: pageOf(lockRecord),
})
export const getLock = endpoint({
  method: 'GET',
  path: '/v1/locks/:id',
  summary: 'One lock',
  callers: ['Admin', 'User'],
  userRule: { resource: 'lock', verb: 'read', each: true },
  params: byId,
  output: lockRecord,
})
export const deleteLock = endpoint({
  method: 'DELETE',
  path: '/v1/locks/:id',
  summary: 'Lifts a lock',
  callers: ['Admin', 'User'],
  userRule: { resource: 'lock', verb: 'delete', each: true },
  params: byId,
  output: empty,
})
