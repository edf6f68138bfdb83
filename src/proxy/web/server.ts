/**
 * Port 3080: HTTPS with the web API for clients that have no certificate yet, and a few plain pages. It holds no secret but its
 * TLS key: passwords and tokens pass through to the auth service and are never logged, and neither is a path that holds one.
 */

import type { IncomingMessage } from 'node:http'
import { createServer } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import { BadParameter, LimitExceeded, NotFound } from '../../errors/errors.ts'
import { convertSystemError, messageOf } from '../../errors/system.ts'
import { isClientError, rawError, refuseRaw, securityHeaders, sendError, sendPage } from './answers.ts'
import { type AppFiles, appPaths, beginningFor } from './app-files.ts'
import { guardOf } from './browser-guard.ts'
import { browserRoutes } from './browser-routes.ts'
import { BrowserSessions } from './browser-sessions.ts'
import { trackSockets } from './connections.ts'
import { readCookie, sessionCookie } from './cookies.ts'
import { addForwardRoute, forwardRoutes } from './forward.ts'
import { InFlight } from './in-flight.ts'
import { type KeyPairs, tlsOptions } from './keypairs.ts'
import { notFoundPage } from './pages.ts'
import { parseInput } from './parse-input.ts'
import { limitKey, plainAddress, RateLimit } from './rate-limit.ts'
import {
  type BrowserRoute,
  type ForwardRoute,
  pageContext,
  type WebBackend,
  type WebClient,
  type WebInfo,
  type WebRoute,
  webRoutes,
} from './routes.ts'
import type { Terminals } from './terminals.ts'
import { UserApi, type UserApiOptions } from './user-api.ts'

export interface WebServerOptions {
  readonly backend: WebBackend
  readonly info: Omit<WebInfo, 'webAddress' | 'sshAddress'> & Partial<Pick<WebInfo, 'webAddress' | 'sshAddress'>>
  readonly keyPairs: KeyPairs
  readonly env: Env
  readonly logger: Logger
  /** Connections at once; further ones are closed. */
  readonly maxConnections?: number
  /** The built page; without it there are only the plain ones. */
  readonly app?: AppFiles
  /** Makes what serves terminals. */
  terminals?(sessions: BrowserSessions): Terminals
  /** Reaches auth for the user of a session. */
  connectUser?: UserApiOptions['connect']
  /** Tries of login and invite endpoints for each address: at once, and regained per minute. */
  readonly attempts?: { readonly burst: number; readonly perMinute: number }
  /** Milliseconds for a TLS handshake, for the request's headers and for the whole request. */
  readonly timeouts?: { readonly handshake: number; readonly headers: number; readonly request: number }
}

export interface WebServer {
  listen(port: number, host: string): Promise<AddressInfo>
  /** Uses other keys for connections from now on. */
  reload(keyPairs: KeyPairs): void
  readonly routes: readonly WebRoute[]
  /** `host:port` under which clients know it. */
  readonly address: string
  readonly connectionCount: number
  close(): Promise<void>
}

const maxUserAgent = 256

/** A server that does not listen yet. Throws nothing: what can be wrong was checked with the key pairs. */
export async function createWebServer(options: WebServerOptions): Promise<WebServer> {
  const { env, logger } = options
  const timeouts = options.timeouts ?? { handshake: 10_000, headers: 10_000, request: 20_000 }
  const attempts = options.attempts ?? { burst: 20, perMinute: 20 }
  let keyPairs = options.keyPairs
  const server = createServer({
    ...keyPairs.primary,
    ...tlsOptions,
    honorCipherOrder: true,
    SNICallback: (name, done) => done(null, keyPairs.contextFor(name)),
    handshakeTimeout: timeouts.handshake,
    headersTimeout: timeouts.headers,
    requestTimeout: timeouts.request,
    connectionsCheckingInterval: Math.min(2_000, timeouts.headers),
    keepAliveTimeout: 10_000,
    maxHeaderSize: 16_384,
  })
  server.maxConnections = options.maxConnections ?? 2_000
  server.maxRequestsPerSocket = 1_000
  server.on('tlsClientError', (error) => logger.debug('a TLS handshake failed', { error: messageOf(error) }))
  const sockets = trackSockets(server, timeouts.handshake)
  const app: FastifyInstance = Fastify({
    serverFactory: (handler) => server.on('request', handler),
    // Addresses come from the socket: whoever can reach this port could write any X-Forwarded-For.
    trustProxy: false,
    logger: false,
    bodyLimit: 65_536,
    exposeHeadRoutes: true,
    routerOptions: { maxParamLength: 256, ignoreTrailingSlash: false, caseSensitive: true },
    clientErrorHandler: (error, socket) => refuseRaw(error, socket),
    frameworkErrors: (error, _request, reply) => sendError(reply, error),
    return503OnClosing: false,
  })
  const inFlight = new InFlight(app, env)
  app.removeContentTypeParser('text/plain')
  app.addHook('onRequest', async (_request, reply) => {
    reply.headers(securityHeaders)
  })
  app.setErrorHandler((error, request, reply) => {
    // The pattern, not the path: a path may hold a token.
    if (!isClientError(error)) {
      logger.error('a web request failed', { route: request.routeOptions.url ?? '-', error: messageOf(error) })
    }
    return sendError(reply, error)
  })
  const limit = new RateLimit(
    { burst: attempts.burst, perSecond: attempts.perMinute / 60, maxKeys: 50_000 },
    env.monotonicMs,
  )
  const info: { -readonly [K in keyof WebInfo]: WebInfo[K] } = { webAddress: '', sshAddress: '', ...options.info }
  const sessions = new BrowserSessions({ backend: options.backend.sessions, env, logger })
  const users =
    options.connectUser === undefined ? undefined : new UserApi({ sessions, connect: options.connectUser, env })
  const routes: readonly WebRoute[] = [
    ...webRoutes(options.backend, info),
    ...browserRoutes(options.backend, info, sessions),
    ...(users === undefined ? [] : forwardRoutes()),
  ]
  if (options.app !== undefined) serveApp(app, options.app, env, options.backend)
  const terminals = options.terminals?.(sessions)
  server.on('upgrade', (request: IncomingMessage, socket: Socket, head: Buffer) => {
    const refuse = (status: number, error: unknown) => socket.end(rawError(status, 'Refused', error))
    socket.on('error', () => socket.destroy())
    if (terminals === undefined) refuse(404, new NotFound('there is no such WebSocket'))
    else
      terminals.upgrade(request, socket, head, refuse).catch((error: unknown) => {
        logger.error('a WebSocket failed', { error: messageOf(error) })
        socket.destroy()
      })
  })
  app.setNotFoundHandler((request, reply) => {
    if (request.url.startsWith('/webapi/')) return sendError(reply, new NotFound('no such endpoint'))
    return sendPage(reply.code(404), notFoundPage(pageContext(options.backend, info)))
  })
  const onLimit = (request: FastifyRequest, reply: FastifyReply): void => {
    const seconds = limit.take(limitKey(clientOf(request).address))
    if (seconds === 0) return
    reply.header('retry-after', String(seconds))
    throw new LimitExceeded(`too many attempts from your address; try again in ${seconds} s`)
  }
  for (const route of routes) {
    if (route.kind === 'browser') addBrowserRoute(app, route, { sessions, env, onLimit })
    else if (route.kind === 'forward') {
      if (users !== undefined) addForwardRoute(app, route, { sessions, env, users, clientOf })
    } else addRoute(app, route, onLimit)
  }
  await app.ready()

  return {
    routes,
    async listen(port, host) {
      await new Promise<void>((resolve, reject) => {
        const failed = (error: Error) =>
          reject(convertSystemError(error, `listen on ${host}:${port} (proxy_service.web_listen_addr)`))
        server.once('error', failed)
        // As on the SSH port: a successor process may open the port before this one stops.
        server.listen({ port, host, reusePort: port !== 0 }, () => {
          server.off('error', failed)
          server.on('error', (error) => logger.error('the HTTPS listener failed', { error: messageOf(error) }))
          resolve()
        })
      })
      const address = server.address()
      if (address === null || typeof address === 'string')
        throw new BadParameter('web_listen_addr', 'not a TCP address')
      if (info.webAddress === '') info.webAddress = `localhost:${address.port}`
      return address
    },
    reload(next) {
      keyPairs = next
      info.selfSigned = next.selfSigned
      server.setSecureContext({ ...next.primary, ...tlsOptions })
    },
    get address() {
      return info.webAddress
    },
    get connectionCount() {
      return sockets.size
    },
    async close() {
      // The port is a successor's from here on, and no connection without a request is kept.
      server.close()
      await Promise.all([terminals?.close(), inFlight.leave()])
      users?.close()
      sessions.close()
      for (const socket of sockets) socket.destroy()
      await app.close()
    },
  }
}

function addRoute(
  app: FastifyInstance,
  route: Exclude<WebRoute, BrowserRoute | ForwardRoute>,
  onLimit: (request: FastifyRequest, reply: FastifyReply) => void,
): void {
  if (route.kind === 'script') {
    app.get(route.path, (_request, reply) => reply.type('text/javascript; charset=utf-8').send(route.text))
    return
  }
  if (route.kind === 'page') {
    app.route({
      method: route.method,
      url: route.path,
      async handler(request, reply) {
        if (route.limited) onLimit(request, reply)
        const page = route.render(request.params as Readonly<Record<string, string>>)
        if (page === undefined) return reply.callNotFound()
        return sendPage(reply, page)
      },
    })
    return
  }
  const { endpoint } = route
  app.route({
    method: endpoint.method,
    url: endpoint.path,
    bodyLimit: endpoint.maxBody,
    ...(route.limited
      ? {
          // Before the body is read: a flood costs us no parsing.
          async onRequest(request: FastifyRequest, reply: FastifyReply) {
            onLimit(request, reply)
          },
        }
      : {}),
    async handler(request) {
      const body = parseInput(endpoint.body, endpoint.method === 'GET' ? {} : request.body)
      parseInput(endpoint.query, request.query)
      return await route.handle(body, clientOf(request))
    },
  })
}

function serveApp(app: FastifyInstance, files: AppFiles, env: Env, backend: Pick<WebBackend, 'config'>): void {
  for (const url of appPaths) {
    app.get(url, async (request, reply) => {
      const hasSession = readCookie(request.headers.cookie, sessionCookie) !== undefined
      const beginning = beginningFor({ path: url, hasSession, config: backend.config() })
      const { html, policy } = files.page(env, beginning)
      return reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(html)
    })
  }
  app.get<{ Params: { name: string } }>('/web/assets/:name', async (request, reply) => {
    const file = files.asset(request.params.name)
    if (file === undefined) return reply.callNotFound()
    reply
      .type(file.type)
      .header('cache-control', 'public, max-age=31536000, immutable')
      .header('vary', 'accept-encoding')
    const isBrotli = /\bbr\b/.test(String(request.headers['accept-encoding'] ?? ''))
    if (!isBrotli || file.brotli === undefined) return reply.send(file.plain)
    return reply.header('content-encoding', 'br').send(file.brotli)
  })
}

function addBrowserRoute(
  app: FastifyInstance,
  route: BrowserRoute,
  deps: {
    readonly sessions: BrowserSessions
    readonly env: Env
    onLimit(request: FastifyRequest, reply: FastifyReply): void
  },
): void {
  const { endpoint } = route
  const guard = guardOf(route, { ...deps, clientOf })
  app.route({
    method: endpoint.method,
    url: endpoint.path,
    bodyLimit: endpoint.maxBody,
    async onRequest(request, reply) {
      if (route.limited) deps.onLimit(request, reply)
      await guard.onRequest(request, reply)
    },
    async handler(request, reply) {
      const visit = guard.visit(request)
      const body = parseInput(endpoint.body, endpoint.method === 'GET' ? {} : request.body)
      const query = parseInput(endpoint.query, request.query)
      const client = clientOf(request)
      const setCookie = (cookie: string) => void reply.header('set-cookie', cookie)
      return endpoint.output.parse(await route.handle({ ...visit, body, query, client, setCookie }))
    },
  })
}

function clientOf(request: FastifyRequest): WebClient {
  const userAgent = request.headers['user-agent']?.slice(0, maxUserAgent)
  const address = plainAddress(request.socket.remoteAddress ?? '')
  return userAgent === undefined ? { address } : { address, userAgent }
}
