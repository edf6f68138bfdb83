/** What the HTTPS side needs, from the auth API and from what the proxy knows of the cluster. */

import { type AuthConnection, authApiHost } from '../../api/auth-channel.ts'
import { authenticateUser } from '../../api/authenticate-user.ts'
import type { ClusterCache } from '../../api/cache.ts'
import { connectAuthAsUser } from '../../api/connect.ts'
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
import { callsAllowed } from '../../api/rule-refusal.ts'
import { type WebSession, webAgentHost } from '../../api/web-session-routes.ts'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import { AccessDenied } from '../../errors/errors.ts'
import { openTarget, type TargetOptions } from '../ssh/targets.ts'
import type { SessionBackend } from './browser-sessions.ts'
import { type NodeListing, pageOfNodes } from './node-list.ts'
import type { LoginBackend, WebBackend } from './routes.ts'
import type { UserApiOptions } from './user-api.ts'

export const sessionBackend = (auth: Pick<AuthConnection, 'call' | 'openStream'>): SessionBackend => ({
  open: (body, client) => auth.call(openWebSession, { body: { ...body, client } }),
  check: (token, touch, client) => auth.call(checkWebSession, { body: { token, touch, client } }),
  renew: (token, client, accessRequests) =>
    auth.call(renewWebSession, {
      body: { token, client, ...(accessRequests === undefined ? {} : { accessRequests: [...accessRequests] }) },
    }),
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
  startPasswordCeremony: (body, client) =>
    auth.call(startLoginCeremony, { body: { ...body, client, action: { kind: 'change_password' } } }),
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

export const userCalls =
  (state: Parameters<typeof authenticateUser>[0], env: Env): WebBackend['callsOf'] =>
  (session, client) =>
    callsAllowed(identityOf(state, session, client.address, env), client.address)

/** Auth for the user of a browser's session, told where the browser is. */
export const userConnector =
  (
    targets: TargetOptions & { readonly state: Parameters<typeof identityOf>[0] & TargetOptions['state'] },
    logger: Logger,
  ): UserApiOptions['connect'] =>
  async (held, peer, signal) => {
    const { state, env } = targets
    const { user, roles, traits } = identityOf(state, held.session, peer.address, env)
    const asker = { user, subject: { roles, traits }, peer, signal }
    const stream = await openTarget(targets, asker, { host: authApiHost, port: 0, cluster: undefined })
    const { clusterName, hostAuthorities } = state
    return connectAuthAsUser({
      stream,
      user,
      identity: held.identity,
      hostAuthorities,
      clusterName,
      env,
      logger,
      signal,
    })
  }
