/**
 * What stands before every call of a browser: is it our own page that asks, and for whom. A foreign page can make a browser send
 * requests with our cookie; it cannot write the Origin header, and cannot read the token that goes with the cookie.
 */

import type { FastifyReply, FastifyRequest } from 'fastify'
import { backgroundHeader, csrfHeader } from '../../api/web-app.ts'
import type { WebSession } from '../../api/web-session-routes.ts'
import type { Env } from '../../common/env.ts'
import { AccessDenied, isAccessDenied } from '../../errors/errors.ts'
import type { BrowserSessions } from './browser-sessions.ts'
import {
  clearCookie,
  isCsrfTokenOf,
  isOwnOrigin,
  isOwnSite,
  readCookie,
  sessionCookie,
  visitorCookie,
} from './cookies.ts'
import type { WebClient } from './routes.ts'

/** What a route says of who may call it. */
export interface Guarded {
  readonly endpoint: { readonly method: string }
  readonly needs: 'nothing' | 'session'
}

export interface Visit {
  readonly visitor: string
  readonly token: string
  readonly session: WebSession | undefined
}

/** Nobody is logged in, which the page answers by showing its login. */
export class NotLoggedIn extends AccessDenied {}

/** Before the body is read. Throws AccessDenied. */
function checkOrigin(route: Guarded, request: FastifyRequest): void {
  const { headers } = request
  const reads = route.endpoint.method === 'GET'
  if (reads ? !isOwnSite(headers) : !isOwnOrigin(headers)) {
    throw new AccessDenied('access denied: the request does not come from a page of this proxy')
  }
  if (reads) return
  const cookie = readCookie(headers.cookie, sessionCookie) ?? readCookie(headers.cookie, visitorCookie)
  const shown = headers[csrfHeader]
  if (cookie === undefined || typeof shown !== 'string' || !isCsrfTokenOf(cookie, shown)) {
    throw new AccessDenied('access denied: the request lacks the token of this page; load it again')
  }
}

/** Throws NotLoggedIn where a session is needed and there is none. */
async function visitOf(
  route: Guarded,
  request: FastifyRequest,
  reply: FastifyReply,
  deps: { readonly sessions: BrowserSessions; readonly client: WebClient; readonly env: Env },
): Promise<Visit> {
  const { cookie } = request.headers
  const token = readCookie(cookie, sessionCookie) ?? ''
  const visitor = readCookie(cookie, visitorCookie) ?? deps.env.randomBytes(16).toString('hex')
  if (token === '') {
    if (route.needs === 'session') throw new NotLoggedIn('log in first')
    return { visitor, token, session: undefined }
  }
  try {
    const touch = request.headers[backgroundHeader] === undefined
    return { visitor, token, session: await deps.sessions.check(token, deps.client, touch) }
  } catch (error) {
    if (!isAccessDenied(error)) throw error
    if (route.needs === 'nothing') return { visitor, token: '', session: undefined }
    reply.header('set-cookie', clearCookie(sessionCookie))
    throw new NotLoggedIn(error.message)
  }
}

/**
 * The guard as a step of Fastify before the body is read: what does not come from our page, or from nobody we know, costs us no
 * parsing. `visit` then says who came; throws NotLoggedIn for a request that did not pass.
 */
export function guardOf(
  route: Guarded,
  deps: { readonly sessions: BrowserSessions; readonly env: Env; clientOf(request: FastifyRequest): WebClient },
): {
  onRequest(request: FastifyRequest, reply: FastifyReply): Promise<void>
  visit(request: FastifyRequest): Visit
} {
  const visits = new WeakMap<FastifyRequest, Visit>()
  return {
    async onRequest(request, reply) {
      checkOrigin(route, request)
      visits.set(request, await visitOf(route, request, reply, { ...deps, client: deps.clientOf(request) }))
    },
    visit(request) {
      const visit = visits.get(request)
      if (visit === undefined) throw new NotLoggedIn('log in first')
      return visit
    },
  }
}
