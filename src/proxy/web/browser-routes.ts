/** What our own page calls: who is logged in, login, renewal, logout, servers. The rules about origin and token are in `browser-guard.ts`. */

import type { Endpoint } from '../../api/endpoint.ts'
import type { webDocument } from '../../api/openapi.ts'
import { pageEndpoints } from '../../api/page-endpoints.ts'
import { callName } from '../../api/rule-refusal.ts'
import type { WebUser } from '../../api/web-app.ts'
import * as web from '../../api/web-app.ts'
import type { WebSession } from '../../api/web-session-routes.ts'
import { AccessDenied, ConnectionProblem } from '../../errors/errors.ts'
import type { BrowserSessions } from './browser-sessions.ts'
import { clearCookie, csrfTokenOf, sessionCookie, setCookie, visitorCookie } from './cookies.ts'
import type { BrowserRoute, WebBackend, WebClient, WebInfo } from './routes.ts'

const browser = <E extends Endpoint>(
  endpoint: E,
  rules: { readonly needs: 'nothing' | 'session'; readonly limited?: boolean },
  handle: BrowserRoute<E>['handle'],
): BrowserRoute => ({
  kind: 'browser',
  endpoint,
  needs: rules.needs,
  limited: rules.limited ?? false,
  handle: handle as BrowserRoute['handle'],
})

export function browserRoutes(backend: WebBackend, info: WebInfo, sessions: BrowserSessions): readonly BrowserRoute[] {
  const userOf = (session: WebSession, client: WebClient): WebUser => ({
    name: session.user,
    roles: session.roles,
    logins: session.logins,
    calls: [...backend.callsOf(session, client)],
    expires: session.expires,
    idleExpires: session.idleExpires,
    accessRequests: session.accessRequests,
  })
  let document: ReturnType<typeof webDocument> | undefined
  return [
    browser(web.webGetState, { needs: 'nothing' }, async ({ visitor, token, session, client, setCookie: set }) => {
      const config = backend.config()
      if (config === undefined) throw new ConnectionProblem('the proxy has not reached an auth server yet; try again')
      if (session === undefined) {
        set(setCookie(visitorCookie, visitor))
        set(clearCookie(sessionCookie))
      }
      return {
        clusterName: config.clusterName,
        version: info.serverVersion,
        secondFactor: config.secondFactor,
        messageOfTheDay: config.messageOfTheDay,
        webAddress: info.webAddress,
        selfSigned: info.selfSigned,
        csrfToken: csrfTokenOf(session === undefined ? visitor : token),
        ...(session === undefined ? {} : { user: userOf(session, client) }),
      }
    }),
    browser(
      web.webOpenSession,
      { needs: 'nothing', limited: true },
      async ({ body, client, token, setCookie: set }) => {
        const opened = await sessions.backend.open(body, client)
        // Whatever the browser was before, it is that no more: two logins never mix.
        if (token !== '') await sessions.end(token, false, client)
        set(setCookie(sessionCookie, opened.token))
        set(clearCookie(visitorCookie))
        return { csrfToken: csrfTokenOf(opened.token), user: userOf(opened.session, client) }
      },
    ),
    browser(web.webRenewSession, { needs: 'session' }, async ({ body, client, token, setCookie: set }) => {
      const renewed = await sessions.renew(token, client, body.accessRequests)
      set(setCookie(sessionCookie, renewed.token))
      return { csrfToken: csrfTokenOf(renewed.token), user: userOf(renewed.session, client) }
    }),
    browser(web.webEndSession, { needs: 'session' }, async ({ body, client, token, setCookie: set }) => {
      await sessions.end(token, body.everywhere, client)
      set(clearCookie(sessionCookie))
      return {}
    }),
    browser(web.webListNodes, { needs: 'session' }, async ({ query, session, client }) => {
      if (session === undefined) throw new AccessDenied('log in first')
      return backend.nodes.list(session, client, query)
    }),
    browser(web.webGetApiDocument, { needs: 'session' }, async ({ session, client }) => {
      if (session === undefined || !isAdministrative(backend.callsOf(session, client))) {
        throw new AccessDenied('access denied: the documents of the API are for those who administer something')
      }
      // Made when somebody reads it, which is seldom.
      const { webDocument } = await import('../../api/openapi.ts')
      document ??= webDocument()
      return document
    }),
  ]
}

/** Whether any call is among them that the roles must have a rule for. */
const isAdministrative = (calls: readonly string[]): boolean =>
  pageEndpoints.some((endpoint) => typeof endpoint.userRule === 'object' && calls.includes(callName(endpoint)))
