/** What the endpoints for requests of roles do. */

import type { FastifyInstance } from 'fastify'
import * as routes from '../api/routes.ts'
import { serve } from '../api/serve.ts'
import type { Services } from './services.ts'

export function mountAccessRequests(app: FastifyInstance, { accessRequests }: Services): void {
  serve(app, routes.createAccessRequest, ({ caller, body }) => accessRequests.create(caller, body))
  serve(app, routes.listAccessRequests, ({ caller, query }) => accessRequests.page(caller, query))
  serve(app, routes.listRequestableRoles, async ({ caller }) => ({ roles: await accessRequests.requestable(caller) }))
  serve(app, routes.getAccessRequest, ({ caller, params }) => accessRequests.get(caller, params.id))
  serve(app, routes.reviewAccessRequest, ({ caller, params, body }) => accessRequests.review(caller, params.id, body))
  serve(app, routes.resolveAccessRequest, ({ caller, params, body }) => accessRequests.resolve(caller, params.id, body))
  serve(app, routes.deleteAccessRequest, async ({ caller, params }) => {
    await accessRequests.remove(caller, params.id)
    return {}
  })
}
