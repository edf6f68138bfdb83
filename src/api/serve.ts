/** Puts the endpoints of the auth API on Fastify: who may call, what goes in, how errors come out. */

import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { AccessDenied, assertNever, BadParameter, ConnectionProblem } from '../errors/errors.ts'
import { apiOptionsOf } from './app.ts'
import type { Caller } from './caller.ts'
import type { Endpoint, RuleRequirement } from './endpoint.ts'
import { type PreparedLines, sendLines } from './send-lines.ts'

export { type ApiAppOptions, createApiApp, serveStream } from './app.ts'
export { PreparedLines } from './send-lines.ts'

export interface Request<E extends Endpoint> {
  readonly caller: Caller
  readonly params: z.output<E['params']>
  readonly query: z.output<E['query']>
  readonly body: z.output<E['body']>
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal
}

/** Answers with one value, or, for `stream: true`, with the lines. */
export type Handler<E extends Endpoint> = (
  request: Request<E>,
) => Promise<z.input<E['output']>> | AsyncIterable<z.input<E['output']> | PreparedLines>

/** Serves an endpoint to the callers it names; nobody else's body is even read. */
export function serve<E extends Endpoint>(app: FastifyInstance, endpoint: E, handler: Handler<E>): void {
  const options = apiOptionsOf(app)
  const callers = new WeakMap<FastifyRequest, Caller>()
  const authorize = (request: FastifyRequest) => {
    const caller = options.callerOf(request.raw.socket)
    if (caller === undefined) throw new AccessDenied('access denied: this connection has no identity')
    const refusal = refusalOf(endpoint, caller, options.checkRule)
    if (refusal !== undefined) {
      options.logger.warn('request refused', { caller: caller.name, role: caller.role, reason: refusal })
      throw new AccessDenied(`access denied: ${refusal}`)
    }
    callers.set(request, caller)
  }
  route(app, endpoint, authorize, async (request, reply, input) => {
    const caller = callers.get(request)
    if (caller === undefined) throw new AccessDenied('access denied: this connection has no identity')
    const answer = handler({ caller, ...input, signal: goneSignal(request, reply) })
    if (Symbol.asyncIterator in answer) return sendLines(reply, endpoint, answer)
    return reply.send(endpoint.output.parse(await answer))
  })
}

type Input<E extends Endpoint> = Pick<Request<E>, 'params' | 'query' | 'body'>

function route<E extends Endpoint>(
  app: FastifyInstance,
  endpoint: E,
  authorize: (request: FastifyRequest) => void,
  run: (request: FastifyRequest, reply: FastifyReply, input: Input<E>) => Promise<unknown>,
): void {
  app.route({
    method: endpoint.method,
    url: endpoint.path,
    bodyLimit: endpoint.maxBody,
    onRequest: async (request) => authorize(request),
    handler: (request, reply) =>
      run(request, reply, {
        params: parseInput<E['params']>(endpoint.params, request.params, 'params'),
        query: parseInput<E['query']>(endpoint.query, request.query, 'query'),
        body: parseInput<E['body']>(endpoint.body, request.body ?? {}, 'body'),
      }),
  })
}

/** Why this caller may not call this endpoint; undefined when it may. */
export function refusalOf(
  endpoint: Endpoint,
  caller: Caller,
  checkRule?: (caller: Caller, rule: RuleRequirement) => string | undefined,
): string | undefined {
  const what = `${endpoint.method} ${endpoint.path}`
  if (!endpoint.callers.includes(caller.role)) return `a caller of the built-in role ${caller.role} may not ${what}`
  if (caller.role !== 'User') return undefined
  const { userRule } = endpoint
  // An endpoint for users that does not say which ones is for none.
  if (userRule === undefined || caller.user === undefined) return `users may not ${what}`
  if (userRule === 'self' || userRule === 'none') return undefined
  return checkRule === undefined ? `users may not ${what}` : checkRule(caller, userRule)
}

function parseInput<S extends z.ZodType>(schema: S, value: unknown, place: 'params' | 'query' | 'body'): z.output<S> {
  const result = schema.safeParse(value)
  if (result.success) return result.data
  const issue = result.error.issues[0]
  const name = [...(issue?.path ?? [])].map(String).join('.') || (unknownKey(issue) ?? place)
  throw new BadParameter(name, `${nameOfPlace(place)} ${JSON.stringify(name)}: ${issue?.message ?? 'invalid'}`)
}

const unknownKey = (issue: z.core.$ZodIssue | undefined): string | undefined =>
  issue?.code === 'unrecognized_keys' ? issue.keys[0] : undefined

function nameOfPlace(place: 'params' | 'query' | 'body'): string {
  switch (place) {
    case 'params':
      return 'path parameter'
    case 'query':
      return 'query parameter'
    case 'body':
      return 'field'
    default:
      return assertNever(place)
  }
}

/** Aborted when the connection ends before the answer was sent whole. */
export function goneSignal(request: FastifyRequest, reply: FastifyReply): AbortSignal {
  const gone = new AbortController()
  reply.raw.once('close', () => {
    if (!reply.raw.writableFinished) gone.abort(new ConnectionProblem(`the caller of ${request.url} has gone`))
  })
  return gone.signal
}
