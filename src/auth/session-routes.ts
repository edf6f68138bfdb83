/** What the endpoints for open sessions do. */

import type { FastifyInstance } from 'fastify'
import * as routes from '../api/routes.ts'
import { serve } from '../api/serve.ts'
import type { Services } from './services.ts'

export function mountSessions(app: FastifyInstance, { activeSessions }: Services): void {
  serve(app, routes.reportSessions, async ({ caller, body }) => {
    activeSessions.report(caller, body.process, body.sessions)
    return {}
  })
  serve(app, routes.listSessions, async ({ caller, query }) => activeSessions.list(caller, query))
  serve(app, routes.getSession, async ({ caller, params }) => activeSessions.get(caller, params.sid))
}
