/**
 * A Fastify app as our APIs need it: bounds on headers, bodies and waits, JSON only, our form of errors, and connections that may be
 * any stream. Fastify is loaded when the first app is made, so that clients of `src/api` do not pay for it.
 */

import http from 'node:http'
import type { Duplex } from 'node:stream'
import type { FastifyError, FastifyInstance, FastifyRequest } from 'fastify'
import type { Logger } from '../common/log.ts'
import { BadParameter, httpStatus, KindError, LimitExceeded, NotFound } from '../errors/errors.ts'
import { errorToJson } from '../errors/json.ts'
import type { Caller } from './caller.ts'
import type { RuleRequirement } from './endpoint.ts'
import { parseJsonBounded } from './json-depth.ts'

export interface ApiAppOptions {
  readonly logger: Logger
  /** Identity of the connection below a request. */
  callerOf(socket: object): Caller | undefined
  /** Asked for callers of role User where the endpoint names a rule. A string refuses, with that reason. */
  checkRule?(caller: Caller, rule: RuleRequirement): string | undefined
}

/** Milliseconds. */
const headersTimeout = 15_000
/** Milliseconds for a whole request with its body. */
const requestTimeout = 60_000
/** Milliseconds between two looks for requests that take too long. */
const checkingInterval = 2_000
const maxHeaderBytes = 16_384

/** As much of a reply as an error needs. Fastify types the reply of its own errors by the schemas of whatever route, which has none here. */
interface ErrorReply {
  code(status: number): { send(body: ReturnType<typeof errorToJson>): unknown }
}

const optionsOfApps = new WeakMap<FastifyInstance, ApiAppOptions>()

export function apiOptionsOf(app: FastifyInstance): ApiAppOptions {
  const options = optionsOfApps.get(app)
  if (options === undefined) throw new Error('this app was not made by createApiApp')
  return options
}

/** A Fastify app with our limits, error form and headers; nothing is served on it yet. */
export async function createApiApp(options: ApiAppOptions): Promise<FastifyInstance> {
  const { default: fastify } = await import('fastify')
  const { logger } = options
  const serverOptions: http.ServerOptions = {
    headersTimeout,
    requestTimeout,
    connectionsCheckingInterval: checkingInterval,
    maxHeaderSize: maxHeaderBytes,
    keepAliveTimeout: 75_000,
  }
  const app = fastify({
    logger: false,
    bodyLimit: 65_536,
    routerOptions: { maxParamLength: 1024, caseSensitive: true },
    exposeHeadRoutes: false,
    return503OnClosing: true,
    serverFactory: (handler) => http.createServer(serverOptions, handler),
    clientErrorHandler: (error, socket) => refuseMalformed(error, socket),
    frameworkErrors: (error, _request, reply) => {
      const kind = toKind(error)
      const answer = reply as ErrorReply
      void answer.code(statusOf(kind)).send(errorToJson(kind))
    },
  })
  optionsOfApps.set(app, options)
  // Node only looks for slow requests once a server listens; ours is fed with streams.
  app.server.emit('listening')

  app.removeAllContentTypeParsers()
  app.addContentTypeParser('application/json', { parseAs: 'string' }, (_request, text, done) => {
    try {
      done(null, parseJsonBounded(text.toString()))
    } catch (error) {
      done(error as Error)
    }
  })
  app.addHook('onRequest', async (request) => refuseEncodings(request))
  app.addHook('onSend', async (_request, reply) => {
    reply.header('cache-control', 'no-store')
    reply.header('x-content-type-options', 'nosniff')
  })
  app.setNotFoundHandler((request, reply) => {
    const error = new NotFound(`there is no ${request.method} ${request.url.split('?', 1)[0]?.slice(0, 256)}`)
    return reply.code(404).send(errorToJson(error))
  })
  app.setErrorHandler((error, request, reply) => {
    const kind = toKind(error)
    if (!(kind instanceof KindError)) {
      logger.error('a request failed', {
        method: request.method,
        path: request.routeOptions.url,
        error: kind instanceof Error ? kind.stack : String(kind),
      })
    }
    // What is left of the body is not worth reading.
    if (!request.raw.complete) reply.header('connection', 'close')
    return reply.code(statusOf(kind)).send(errorToJson(kind))
  })
  return app
}

/** Serves HTTP on one stream, such as an SSH channel. */
export function serveStream(app: FastifyInstance, stream: Duplex): void {
  stream.on('error', () => stream.destroy())
  app.server.emit('connection', stream)
}

/** Compressed bodies are refused rather than inflated: nobody sends them, and they are how small requests become large. */
function refuseEncodings(request: FastifyRequest): void {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') {
    throw Object.assign(new BadParameter('content-encoding', 'compressed request bodies are not accepted'), {
      statusCode: 415,
    })
  }
}

/** Fastify's own refusals as our kinds; anything unknown stays what it is, and is reported as an internal error. */
function toKind(error: unknown): unknown {
  if (error instanceof KindError) return error
  const { code, statusCode } = error as Partial<FastifyError>
  const fixed = (kind: KindError) => Object.assign(kind, { statusCode })
  switch (code) {
    case 'FST_ERR_CTP_BODY_TOO_LARGE':
      return fixed(new LimitExceeded('the request body is too large'))
    case 'FST_ERR_CTP_INVALID_MEDIA_TYPE':
      return fixed(new BadParameter('content-type', 'the request body must be application/json'))
    case 'FST_ERR_CTP_INVALID_CONTENT_LENGTH':
      return fixed(new BadParameter('content-length', 'the body is not as long as content-length says'))
    case 'FST_ERR_BAD_URL':
    case 'FST_ERR_MAX_PARAM_LENGTH':
      return fixed(new BadParameter('path', 'the path of the request is malformed'))
    default:
      return error
  }
}

function statusOf(error: unknown): number {
  if (!(error instanceof KindError)) return 500
  const own = (error as { statusCode?: unknown }).statusCode
  return typeof own === 'number' ? own : httpStatusOf(error)
}

const httpStatusOf = (error: KindError): number => httpStatus[error.kind]

/** What never became a request: answered in our form when there is still somebody to answer. */
function refuseMalformed(error: Error & { code?: string }, socket: Duplex): void {
  if (!socket.writable || error.code === 'ECONNRESET') {
    socket.destroy()
    return
  }
  const [status, kind] = malformed(error.code)
  const body = JSON.stringify(errorToJson(kind))
  const head = `HTTP/1.1 ${status}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}`
  socket.end(`${head}\r\nconnection: close\r\n\r\n${body}`, () => socket.destroy())
}

function malformed(code: string | undefined): [string, KindError] {
  switch (code) {
    case 'HPE_HEADER_OVERFLOW':
      return [
        '431 Request Header Fields Too Large',
        new LimitExceeded(`the headers are larger than ${maxHeaderBytes} bytes`),
      ]
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return ['408 Request Timeout', new LimitExceeded('the request took too long to arrive')]
    default:
      return ['400 Bad Request', new BadParameter('request', 'this is not a well-formed HTTP/1.1 request')]
  }
}
