/** Requests for roles, as they cross the auth API (`src/access/requests.ts` decides about them). */

import { z } from 'zod'
import { isoTime } from './model.ts'

const count = z.number().int().nonnegative()
const place = count.max(1000)

export const requestState = z.enum(['pending', 'approved', 'denied'])
export type RequestState = z.infer<typeof requestState>

/** Shown on terminals of others; line feeds and tabs are all that it may hold besides text. */
export const requestReason = z
  .string()
  .max(4096)
  .regex(/^[^\u0000-\u0008\u000b-\u001f\u007f-\u009f\u2028\u2029]*$/u, 'must be text without control characters')

export const annotations = z.record(z.string().max(256), z.array(z.string().max(4096)).max(256))

const review = z.strictObject({
  author: z.string(),
  approve: z.boolean(),
  reason: z.string(),
  created: isoTime,
  /** Places in `thresholds` of those that it counts for. */
  thresholds: z.array(place),
})

export const accessRequest = z.strictObject({
  id: z.uuid(),
  user: z.string(),
  /** When the user was made. */
  userCreated: isoTime,
  roles: z.array(z.string()).min(1),
  state: requestState,
  reason: z.string(),
  resolveReason: z.string(),
  created: isoTime,
  /** The roles end then, with every certificate that has them. */
  expires: isoTime,
  /** Nobody has decided by then: it is over. */
  pendingUntil: isoTime,
  suggestedReviewers: z.array(z.string()),
  /** From the roles of the user. */
  annotations,
  /** From whoever decided. */
  resolveAnnotations: annotations,
  thresholds: z.array(z.strictObject({ name: z.string(), filter: z.string(), approve: count, deny: count })),
  requirements: z.array(z.strictObject({ role: z.string(), sets: z.array(z.array(place)) })),
  reviews: z.array(review),
  revision: z.string().optional(),
})
export type AccessRequestRecord = z.infer<typeof accessRequest>
