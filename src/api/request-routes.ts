/** The part of the auth API by which roles are asked for, granted and refused. */

import { z } from 'zod'
import { empty, endpoint } from './define.ts'
import { isoTime } from './model.ts'
import { page, pageOf } from './pages.ts'
import { accessRequest, annotations, requestReason, requestState } from './request-model.ts'
import { name } from './route-fields.ts'

const byId = z.strictObject({ id: z.uuid() })
const roles = z.array(name).min(1).max(64)

export const createAccessRequest = endpoint({
  method: 'POST',
  path: '/v1/access-requests',
  summary: 'Asks for roles; `*` is every role that may be asked for',
  callers: ['Admin', 'User'],
  userRule: 'self',
  body: z.strictObject({
    /** Administrators only: on whose behalf. */
    user: name.optional(),
    roles,
    reason: requestReason.default(''),
    /** Who should look at it; empty: those that the roles name. */
    reviewers: z.array(name).max(64).default([]),
    /** When the roles end; never later than the roles allow. */
    expires: isoTime.optional(),
  }),
  output: accessRequest,
})
export const listAccessRequests = endpoint({
  method: 'GET',
  path: '/v1/access-requests',
  summary: 'Requests for roles; a user sees their own, those they may review, and all with a rule for access_request',
  callers: ['Admin', 'User'],
  userRule: 'self',
  query: z.strictObject({ state: requestState.optional(), ...page }),
  output: pageOf(accessRequest),
})
export const listRequestableRoles = endpoint({
  method: 'GET',
  path: '/v1/requestable-roles',
  summary: "Roles that the caller's own let them ask for, by name; those that they have are not among them",
  callers: ['User'],
  userRule: 'self',
  output: z.strictObject({ roles: z.array(z.string()) }),
})
export const getAccessRequest = endpoint({
  method: 'GET',
  path: '/v1/access-requests/:id',
  summary: 'One request for roles; one that the caller may not see does not exist for them',
  callers: ['Admin', 'User'],
  userRule: 'self',
  params: byId,
  output: accessRequest,
})
export const reviewAccessRequest = endpoint({
  method: 'POST',
  path: '/v1/access-requests/:id/reviews',
  summary: 'Approves or denies, as one of those who must; nobody reviews their own request, and nobody twice',
  callers: ['Admin', 'User'],
  userRule: 'self',
  params: byId,
  body: z.strictObject({
    approve: z.boolean(),
    reason: requestReason.default(''),
    /** Administrators only: on whose behalf. */
    author: name.optional(),
  }),
  output: accessRequest,
})
export const resolveAccessRequest = endpoint({
  method: 'PUT',
  path: '/v1/access-requests/:id/state',
  summary: 'Decides alone, whatever the thresholds; an approved request may still be denied, a denied one is over',
  callers: ['Admin', 'User'],
  userRule: { resource: 'access_request', verb: 'update', each: true },
  params: byId,
  body: z.strictObject({
    state: z.enum(['approved', 'denied']),
    reason: requestReason.default(''),
    /** Fewer than were asked for. */
    roles: roles.optional(),
    annotations: annotations.default({}),
  }),
  output: accessRequest,
})
export const deleteAccessRequest = endpoint({
  method: 'DELETE',
  path: '/v1/access-requests/:id',
  summary: 'Removes a request, and the roles that it gave; users may take back their own',
  callers: ['Admin', 'User'],
  userRule: 'self',
  params: byId,
  output: empty,
})
