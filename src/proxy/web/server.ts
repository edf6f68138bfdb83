/**
 * Port 3080: HTTPS with the web API for clients that have no certificate yet, and a few plain pages. It holds no secret but its
 * TLS key: passwords and tokens pass through to the auth service and are never logged, and neither is a path that holds one.
 */

import type { IncomingMessage } from 'node:http'
import { createServer, type Server } from 'node:https'
import type { AddressInfo, Socket } from 'node:net'
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import { sourceOf } from '../../common/source.ts'
import { BadParameter, httpStatus, KindError, LimitExceeded, NotFound } from '../../errors/errors.ts'
import { errorToJson } from '../../errors/json.ts'
import { convertSystemError, messageOf } from '../../errors/system.ts'
import { type AppFiles, appPaths, beginningFor } from './app-files.ts'
import { guardOf, NotLoggedIn } from './browser-guard.ts'
import { browserRoutes } from './browser-routes.ts'
import { BrowserSessions } from './browser-sessions.ts'
import { readCookie, sessionCookie } from './cookies.ts'
import { addForwardRoute, forwardRoutes } from './forward.ts'
import { InFlight } from './in-flight.ts'
import { type KeyPairs, tlsOptions } from './keypairs.ts'
import { notFoundPage, pagePolicy } from './pages.ts'
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

/** On every answer. `no-store` too: what is not a token page holds a certificate or a user's data. */
const securityHeaders: Readonly<Record<string, string>> = {
  'strict-transport-security': 'max-age=31536000',
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'content-security-policy': "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
  'permissions-policy': 'camera=(), geolocation=(), microphone=()',
  'cache-control': 'no-store',
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
    const refuse = (status: number, error: unknown) =>
      socket.end(rawAnswer(status, 'Refused', 'application/json; charset=utf-8', JSON.stringify(errorToJson(error))))
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

const sendPage = (reply: FastifyReply, page: string): FastifyReply =>
  reply.header('content-security-policy', pagePolicy).type('text/html; charset=utf-8').send(page)

/** Errors that the HTTP layer itself found: their status is right, and their message says nothing about us. */
function httpProblem(error: unknown): { status: number; message: string } | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined
  const { statusCode } = error
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
    ? { status: statusCode, message: messageOf(error) }
    : undefined
}

const isClientError = (error: unknown): boolean => error instanceof KindError || httpProblem(error) !== undefined

function sendError(reply: FastifyReply, error: unknown): FastifyReply {
  reply.headers(securityHeaders).type('application/json; charset=utf-8')
  if (error instanceof NotLoggedIn) return reply.code(401).send(errorToJson(error))
  if (error instanceof KindError) return reply.code(httpStatus[error.kind]).send(errorToJson(error))
  const problem = httpProblem(error)
  if (problem === undefined) return reply.code(500).send(errorToJson(error))
  return reply.code(problem.status).send(errorToJson(new BadParameter('request', problem.message)))
}

const refusals: Readonly<Record<string, readonly [number, string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large'],
  HPE_CHUNK_EXTENSIONS_OVERFLOW: [413, 'Payload Too Large'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout'],
}

/** What is not HTTP gets an answer that is, with the same headers, and the connection ends. */
function refuseRaw(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, text] = refusals[error.code ?? ''] ?? [400, 'Bad Request']
  const body = JSON.stringify(errorToJson(new BadParameter('request', text)))
  socket.end(rawAnswer(status, text, 'application/json; charset=utf-8', body))
}

function rawAnswer(status: number, text: string, type: string, body: string): string {
  const headers = Object.entries({
    ...securityHeaders,
    'content-type': type,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  })
  return `HTTP/1.1 ${status} ${text}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}

/** Connections whose handshake is not done. A new one beyond them pushes out the oldest: a flood of silent ones ends itself. */
const maxHandshakes = 512
/** Established connections of one address: a whole office behind one, but not all that there may be. The longest open one goes. */
const maxPerSource = 256

/**
 * Looks at the first byte of each connection before TLS does, so that somebody who typed http:// reads why nothing happens.
 * Returns the open sockets.
 */
function trackSockets(server: Server, timeoutMs: number): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  const handshaking = new Map<string, Socket>()
  const startTls = server.listeners('connection')
  server.removeAllListeners('connection')
  const bySource = new Map<string, Set<Socket>>()
  server.on('secureConnection', (socket) => {
    handshaking.delete(peerOf(socket))
    const source = sourceOf(socket.remoteAddress ?? '')
    const theirs = bySource.get(source) ?? new Set()
    bySource.set(source, theirs.add(socket))
    const leave = (one: Socket) => {
      theirs.delete(one)
      if (theirs.size === 0 && bySource.get(source) === theirs) bySource.delete(source)
    }
    socket.once('close', () => leave(socket))
    const [oldest] = theirs
    if (theirs.size <= maxPerSource || oldest === undefined) return
    leave(oldest)
    oldest.destroy()
  })
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket)
    const giveUp = () => socket.destroy()
    sockets.add(socket)
    const [oldest] = handshaking
    if (handshaking.size >= maxHandshakes && oldest !== undefined) {
      handshaking.delete(oldest[0])
      oldest[1].destroy()
    }
    handshaking.set(peer, socket)
    socket.once('close', () => {
      sockets.delete(socket)
      if (handshaking.get(peer) === socket) handshaking.delete(peer)
    })
    socket.on('error', giveUp)
    socket.setNoDelay(true)
    socket.setTimeout(timeoutMs, giveUp)
    socket.once('readable', () => {
      const first: unknown = socket.read()
      if (!Buffer.isBuffer(first)) return giveUp()
      if (isLetter(first[0])) {
        // An HTTP method; TLS begins with 0x16.
        const hint = 'This port speaks HTTPS. Put https:// before the address.\n'
        socket.end(rawAnswer(400, 'Bad Request', 'text/plain; charset=utf-8', hint), giveUp)
        return
      }
      socket.setTimeout(0, giveUp)
      socket.off('error', giveUp)
      socket.unshift(first)
      for (const listener of startTls) listener.call(server, socket)
    })
  })
  return sockets
}

const peerOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`
const isLetter = (byte: number | undefined): boolean =>
  byte !== undefined && ((byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a))
