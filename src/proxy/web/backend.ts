/** What the HTTPS side needs, from the auth API and from what the proxy knows of the cluster. */

import type { AuthConnection } from '../../api/auth-channel.ts'
import { authenticateUser } from '../../api/authenticate-user.ts'
import type { ClusterCache } from '../../api/cache.ts'
import { parseCertificateLine } from '../../api/lines.ts'
import {
  acceptInvite,
  answerCeremony,
  beginInviteKey,
  beginLogin,
  changePassword,
  checkWebSession,
  endWebSession,
  getInvite,
  login,
  openCeremony,
  openWebSession,
  renewWebSession,
  startLoginCeremony,
} from '../../api/routes.ts'
import { type WebSession, webAgentHost } from '../../api/web-session-routes.ts'
import type { Env } from '../../common/env.ts'
import { AccessDenied } from '../../errors/errors.ts'
import type { SessionBackend } from './browser-sessions.ts'
import { type NodeListing, pageOfNodes } from './node-list.ts'
import type { LoginBackend } from './routes.ts'

export const sessionBackend = (auth: Pick<AuthConnection, 'call' | 'openStream'>): SessionBackend => ({
  open: (body, client) => auth.call(openWebSession, { body: { ...body, client } }),
  check: (token, touch, client) => auth.call(checkWebSession, { body: { token, touch, client } }),
  renew: (token, client) => auth.call(renewWebSession, { body: { token, client } }),
  async end(token, everywhere, client) {
    await auth.call(endWebSession, { body: { token, everywhere, client } })
  },
  openAgent: () => auth.openStream(webAgentHost),
})

/** Logins, links and ceremonies: everything goes to auth as it came. */
export const loginBackend = (auth: Pick<AuthConnection, 'call'>): LoginBackend => ({
  login: (body, client) => auth.call(login, { body: { ...body, client } }),
  changePassword: (body, client) => auth.call(changePassword, { body: { ...body, client } }),
  openInvite: (token, client) => auth.call(getInvite, { body: { token, client } }),
  acceptInvite: (body, client) => auth.call(acceptInvite, { body: { ...body, client } }),
  beginInviteKey: (token, client) => auth.call(beginInviteKey, { body: { token, client } }),
  beginLogin: (body, client) => auth.call(beginLogin, { body: { ...body, client } }),
  startLoginCeremony: ({ user, password, callback, ...key }, client) =>
    auth.call(startLoginCeremony, { body: { user, password, callback, client, action: { kind: 'login', ...key } } }),
  openCeremony: (id, client) => auth.call(openCeremony, { body: { id, client } }),
  answerCeremony: (body, client) => auth.call(answerCeremony, { body: { ...body, client } }),
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
