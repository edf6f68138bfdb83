/** `kind: access_request`: seen and removed here; made and decided with `tsh request` and `tctl requests`. */

import type { AccessRequestRecord } from '../../../api/request-model.ts'
import { getAccessRequest, listAccessRequests } from '../../../api/routes.ts'
import { removeRequest, requestHeadings, requestRow } from '../commands/requests.ts'
import { allPages } from '../pages.ts'
import type { Resource, ResourceKind } from './types.ts'

export const accessRequest: ResourceKind = {
  headings: requestHeadings,
  async list(api, name) {
    const found =
      name === undefined
        ? await allPages((query) => api.call(listAccessRequests, { query }))
        : [await api.call(getAccessRequest, { params: { id: name } })]
    return found.map(toResource)
  },
  parse: 'ask for roles with tsh request new, or for somebody with tctl requests create',
  async remove(api, name) {
    await removeRequest(api, name)
    return `access_request '${name}'`
  },
}

function toResource(request: AccessRequestRecord): Resource {
  const { id, expires, revision, userCreated: _, state, user, roles, ...more } = request
  return {
    value: {
      kind: 'access_request',
      version: 'v3',
      metadata: { name: id, expires, ...(revision === undefined ? {} : { revision }) },
      spec: {
        user,
        roles,
        state: state.toUpperCase(),
        created: more.created,
        pending_until: more.pendingUntil,
        ...(more.reason === '' ? {} : { request_reason: more.reason }),
        ...(more.resolveReason === '' ? {} : { resolve_reason: more.resolveReason }),
        suggested_reviewers: more.suggestedReviewers,
        system_annotations: more.annotations,
        resolve_annotations: more.resolveAnnotations,
        thresholds: more.thresholds,
        reviews: more.reviews.map(({ author, approve, reason, created }) => ({
          author,
          proposed_state: approve ? 'APPROVED' : 'DENIED',
          ...(reason === '' ? {} : { reason }),
          created,
        })),
      },
    },
    rows: [requestRow(request)],
  }
}
