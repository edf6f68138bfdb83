/** How the HTTPS port answers whatever it is asked: the headers of every answer, pages, errors, and what is not HTTP. */

import type { Socket } from 'node:net'
import type { FastifyReply } from 'fastify'
import { BadParameter, httpStatus, KindError } from '../../errors/errors.ts'
import { errorToJson } from '../../errors/json.ts'
import { messageOf } from '../../errors/system.ts'
import { NotLoggedIn } from './browser-guard.ts'
import { pagePolicy } from './pages.ts'

/** On every answer. `no-store` too: what is not a token page holds a certificate or a user's data. */
export const securityHeaders: Readonly<Record<string, string>> = {
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

export const sendPage = (reply: FastifyReply, page: string): FastifyReply =>
  reply.header('content-security-policy', pagePolicy).type('text/html; charset=utf-8').send(page)

/** Errors that the HTTP layer itself found: their status is right, and their message says nothing about us. */
function httpProblem(error: unknown): { status: number; message: string } | undefined {
  if (typeof error !== 'object' || error === null || !('statusCode' in error)) return undefined
  const { statusCode } = error
  return typeof statusCode === 'number' && statusCode >= 400 && statusCode < 500
    ? { status: statusCode, message: messageOf(error) }
    : undefined
}

/** Nothing that an operator has to look at. */
export const isClientError = (error: unknown): boolean => error instanceof KindError || httpProblem(error) !== undefined

export function sendError(reply: FastifyReply, error: unknown): FastifyReply {
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
export function refuseRaw(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const [status, text] = refusals[error.code ?? ''] ?? [400, 'Bad Request']
  socket.end(rawError(status, text, new BadParameter('request', text)))
}

/** An error for a socket that no HTTP layer holds; the connection ends with it. */
export const rawError = (status: number, text: string, error: unknown): string =>
  rawAnswer(status, text, 'application/json; charset=utf-8', JSON.stringify(errorToJson(error)))

/** The same for any text. */
export function rawAnswer(status: number, text: string, type: string, body: string): string {
  const headers = Object.entries({
    ...securityHeaders,
    'content-type': type,
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  })
  return `HTTP/1.1 ${status} ${text}\r\n${headers.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`
}
