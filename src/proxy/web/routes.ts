/**
 * Everything that port 3080 answers, as one table: a test walks it, so that a route cannot be added without its headers, its
 * rate limit and its rule. Handlers reach the auth service only through `WebBackend`.
 */

import type { z } from 'zod'
import type { Endpoint } from '../../api/endpoint.ts'
import type { CeremonyStart, CeremonyView } from '../../api/mfa-model.ts'
import type { ClusterConfig, Invite, UserCredentials } from '../../api/model.ts'
import * as web from '../../api/web.ts'
import type { WebSession } from '../../api/web-session-routes.ts'
import { ConnectionProblem } from '../../errors/errors.ts'
import type { SessionBackend } from './browser-sessions.ts'
import type { NodeListing } from './node-list.ts'
import { ceremonyPage, landingPage, linkPage, type PageContext, scriptPath } from './pages.ts'

/** The true client, as the auth service is told. */
export interface WebClient {
  readonly address: string
  readonly userAgent?: string
}

/** What people without a certificate come for. */
export interface LoginBackend {
  login(body: z.output<typeof web.webLogin.body>, client: WebClient): Promise<UserCredentials>
  changePassword(body: z.output<typeof web.webChangePassword.body>, client: WebClient): Promise<Record<string, never>>
  openInvite(token: string, client: WebClient): Promise<Invite>
  acceptInvite(
    body: z.output<typeof web.webAcceptInvite.body>,
    client: WebClient,
  ): Promise<z.output<typeof web.webAcceptInvite.output>>
  beginInviteKey(token: string, client: WebClient): Promise<z.output<typeof web.webInviteKey.output>>
  beginLogin(
    body: z.output<typeof web.webBeginLogin.body>,
    client: WebClient,
  ): Promise<z.output<typeof web.webBeginLogin.output>>
  startLoginCeremony(body: z.output<typeof web.webLoginCeremony.body>, client: WebClient): Promise<CeremonyStart>
  startPasswordCeremony(body: z.output<typeof web.webPasswordCeremony.body>, client: WebClient): Promise<CeremonyStart>
  openCeremony(id: string, client: WebClient): Promise<CeremonyView>
  answerCeremony(
    body: z.output<typeof web.webAnswerCeremony.body>,
    client: WebClient,
  ): Promise<z.output<typeof web.webAnswerCeremony.output>>
}

/** What the HTTPS side needs from the rest of the proxy. */
export interface WebBackend extends LoginBackend {
  /** Undefined until the cluster was heard of for the first time. */
  config(): ClusterConfig | undefined
  /** Public keys that are trusted now, as lines. */
  authorities(): { readonly host: readonly string[]; readonly user: readonly string[] }
  readonly sessions: SessionBackend
  readonly nodes: NodeListing
  /** `METHOD /v1/…` of the calls to auth that the session's user may make. Throws AccessDenied. */
  callsOf(session: WebSession, client: WebClient): readonly string[]
  /** The script of the pages. */
  readonly script: string
}

export interface WebInfo {
  readonly serverVersion: string
  /** `host:port` of the SSH and web side; from the configuration, never from a request. */
  readonly sshAddress: string
  readonly tunnelAddress: string
  readonly webAddress: string
  readonly selfSigned: boolean
  /** The page at `/web` is there. */
  readonly hasApp?: boolean
}

interface ApiRoute<E extends Endpoint = Endpoint> {
  readonly kind: 'api'
  readonly endpoint: E
  /** Counted against the client's address. */
  readonly limited: boolean
  handle(body: z.output<E['body']>, client: WebClient): Promise<z.input<E['output']>>
}

interface PageRoute {
  readonly kind: 'page'
  readonly method: 'GET'
  readonly path: string
  readonly limited: boolean
  /** Undefined: not found. */
  render(params: Readonly<Record<string, string>>): string | undefined
}

/** Input of a call by our own page, after its origin and its token were checked. */
export interface BrowserCall<E extends Endpoint = Endpoint> {
  readonly body: z.output<E['body']>
  readonly query: z.output<E['query']>
  readonly client: WebClient
  /** The cookie that the call came with, or the one that this answer sets. */
  readonly visitor: string
  /** The token of the session: always there where `needs` is `session`. */
  readonly token: string
  /** The session, where `needs` is `session`. */
  readonly session: WebSession | undefined
  setCookie(cookie: string): void
}

export interface BrowserRoute<E extends Endpoint = Endpoint> {
  readonly kind: 'browser'
  readonly endpoint: E
  readonly limited: boolean
  /** Who may call it: whoever comes, or whoever is logged in. */
  readonly needs: 'nothing' | 'session'
  handle(call: BrowserCall<E>): Promise<z.input<E['output']>>
}

/** A call that auth answers, for the user of the session and with no more rights than theirs: `/webapi` and the endpoint's path. */
export interface ForwardRoute {
  readonly kind: 'forward'
  readonly endpoint: Endpoint
  readonly needs: 'session'
}

interface ScriptRoute {
  readonly kind: 'script'
  readonly method: 'GET'
  readonly path: string
  readonly text: string
}

export type WebRoute = ApiRoute | PageRoute | ScriptRoute | BrowserRoute | ForwardRoute

/** Tokens as the auth service makes them: a link with anything else in it was not made here. */
const tokenShape = /^[A-Za-z0-9_-]{16,256}$/

const api = <E extends Endpoint>(
  endpoint: E,
  limited: boolean,
  handle: (body: z.output<E['body']>, client: WebClient) => Promise<z.input<E['output']>>,
): ApiRoute => ({ kind: 'api', endpoint, limited, handle: handle as ApiRoute['handle'] })

export function webRoutes(backend: WebBackend, info: WebInfo): readonly WebRoute[] {
  const pageOf = (kind: 'invite' | 'reset'): PageRoute => ({
    kind: 'page',
    method: 'GET',
    path: `/web/${kind}/:token`,
    limited: false,
    render: ({ token = '' }) =>
      tokenShape.test(token) ? linkPage(kind, token, pageContext(backend, info)) : undefined,
  })
  return [
    {
      kind: 'page',
      method: 'GET',
      path: '/',
      limited: false,
      render: () => landingPage(pageContext(backend, info), info.hasApp === true),
    },
    pageOf('invite'),
    pageOf('reset'),
    {
      kind: 'page',
      method: 'GET',
      path: '/web/mfa/:token',
      limited: false,
      render: ({ token = '' }) => (tokenShape.test(token) ? ceremonyPage(pageContext(backend, info)) : undefined),
    },
    { kind: 'script', method: 'GET', path: scriptPath, text: backend.script },
    api(web.ping, false, async () => {
      const config = configOf(backend)
      return {
        clusterName: config.clusterName,
        serverVersion: info.serverVersion,
        auth: { type: 'local' as const, secondFactor: config.secondFactor },
        proxy: {
          ssh: { address: info.sshAddress, tunnelAddress: info.tunnelAddress },
          web: { address: info.webAddress },
        },
        messageOfTheDay: config.messageOfTheDay,
      }
    }),
    api(web.webAuthorities, false, async () => {
      const { host, user } = backend.authorities()
      return { clusterName: configOf(backend).clusterName, host: [...host], user: [...user] }
    }),
    api(web.webLogin, true, (body, client) => backend.login(body, client)),
    api(web.webChangePassword, true, (body, client) => backend.changePassword(body, client)),
    api(web.webPasswordCeremony, true, (body, client) => backend.startPasswordCeremony(body, client)),
    api(web.webBeginLogin, true, (body, client) => backend.beginLogin(body, client)),
    api(web.webLoginCeremony, true, (body, client) => backend.startLoginCeremony(body, client)),
    api(web.webOpenCeremony, true, (body, client) => backend.openCeremony(body.id, client)),
    api(web.webAnswerCeremony, true, (body, client) => backend.answerCeremony(body, client)),
    api(web.webGetInvite, true, async (body, client) => {
      const invite = await backend.openInvite(body.token, client)
      if (invite.otp === undefined) return invite
      // Loaded with the first sign-up.
      const { qrOf } = await import('./qr.ts')
      return { ...invite, qr: qrOf(invite.otp.uri) }
    }),
    api(web.webInviteKey, true, (body, client) => backend.beginInviteKey(body.token, client)),
    api(web.webAcceptInvite, true, (body, client) => backend.acceptInvite(body, client)),
  ]
}

function configOf(backend: WebBackend): ClusterConfig {
  const config = backend.config()
  if (config !== undefined) return config
  throw new ConnectionProblem('the proxy has not reached an auth server yet; try again in a moment')
}

export const pageContext = (backend: WebBackend, info: WebInfo): PageContext => ({
  clusterName: backend.config()?.clusterName ?? 'this cluster',
  messageOfTheDay: backend.config()?.messageOfTheDay ?? '',
  webAddress: info.webAddress,
  selfSigned: info.selfSigned,
})
