/** Puts the calls that auth answers for the page's user on Fastify, behind the same guard as the calls that the proxy answers itself. */

import type { FastifyInstance, FastifyRequest } from 'fastify'
import { pageEndpoints, pagePrefix } from '../../api/page-endpoints.ts'
import { sendLines } from '../../api/send-lines.ts'
import { goneSignal } from '../../api/serve.ts'
import type { Env } from '../../common/env.ts'
import { guardOf, NotLoggedIn } from './browser-guard.ts'
import type { BrowserSessions } from './browser-sessions.ts'
import { parseInput } from './parse-input.ts'
import type { ForwardRoute, WebClient } from './routes.ts'
import type { UserApi } from './user-api.ts'

export const forwardRoutes = (): readonly ForwardRoute[] =>
  pageEndpoints.map((endpoint) => ({ kind: 'forward', endpoint, needs: 'session' }))

export function addForwardRoute(
  app: FastifyInstance,
  route: ForwardRoute,
  deps: {
    readonly sessions: BrowserSessions
    readonly env: Env
    readonly users: UserApi
    clientOf(request: FastifyRequest): WebClient
  },
): void {
  const { endpoint } = route
  const guard = guardOf(route, deps)
  app.route({
    method: endpoint.method,
    url: `${pagePrefix}${endpoint.path}`,
    bodyLimit: endpoint.maxBody,
    onRequest: (request, reply) => guard.onRequest(request, reply),
    async handler(request, reply) {
      const { token, session } = guard.visit(request)
      if (session === undefined) throw new NotLoggedIn('log in first')
      const visit = { token, certificate: session.certificate, client: deps.clientOf(request) }
      const input = {
        params: parseInput(endpoint.params, request.params),
        query: parseInput(endpoint.query, request.query),
        body: parseInput(endpoint.body, endpoint.method === 'GET' || endpoint.method === 'DELETE' ? {} : request.body),
      }
      const gone = goneSignal(request, reply)
      if (endpoint.stream) {
        const lines = deps.users.stream(visit, (api) => api.stream(endpoint, input, gone), gone)
        return sendLines(reply, endpoint, lines)
      }
      return await deps.users.run(visit, (api) => api.call(endpoint, input, gone), {
        repeatable: endpoint.method === 'GET',
        signal: gone,
      })
    },
  })
}
