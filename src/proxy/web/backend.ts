/** What the HTTPS side needs, from the auth API and from what the proxy knows of the cluster. */

import type { AuthConnection } from '../../api/auth-channel.ts'
import { authenticateUser } from '../../api/authenticate-user.ts'
import type { ClusterCache } from '../../api/cache.ts'
import { parseCertificateLine } from '../../api/lines.ts'
import { checkWebSession, endWebSession, openWebSession, renewWebSession } from '../../api/routes.ts'
import { type WebSession, webAgentHost } from '../../api/web-session-routes.ts'
import type { Env } from '../../common/env.ts'
import { AccessDenied } from '../../errors/errors.ts'
import type { SessionBackend } from './browser-sessions.ts'
import { type NodeListing, pageOfNodes } from './node-list.ts'

export const sessionBackend = (auth: Pick<AuthConnection, 'call' | 'openStream'>): SessionBackend => ({
  open: (body, client) => auth.call(openWebSession, { body: { ...body, client } }),
  check: (token, touch, client) => auth.call(checkWebSession, { body: { token, touch, client } }),
  renew: (token, client) => auth.call(renewWebSession, { body: { token, client } }),
  async end(token, everywhere, client) {
    await auth.call(endWebSession, { body: { token, everywhere, client } })
  },
  openAgent: () => auth.openStream(webAgentHost),
})

/** Who a session's certificate proves, by the rules of every other door. Throws AccessDenied. */
export function identityOf(
  state: Parameters<typeof authenticateUser>[0],
  session: WebSession,
  address: string,
  env: Env,
) {
  const verdict = authenticateUser(state, {
    certificate: parseCertificateLine(session.certificate),
    // The login is judged by the server that is reached.
    login: undefined,
    sourceAddress: address,
    now: env.now(),
  })
  if (!verdict.ok) throw new AccessDenied(`access denied: ${verdict.reason}`)
  return verdict.identity
}

export const nodeListing = (cache: ClusterCache, env: Env): NodeListing => ({
  list: (session, client, query) =>
    pageOfNodes(cache.servers('node'), identityOf(cache, session, client.address, env), query),
})
