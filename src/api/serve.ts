/** Puts endpoints on Fastify: who may call, what goes in, how errors come out. The same for the auth API and the proxy's web API. */

import type { FastifyInstance } from 'fastify'
import type { z } from 'zod'
import type { Logger } from '../common/log.ts'
import { ConnectionProblem } from '../errors/errors.ts'
import type { Caller } from './caller.ts'
import type { Endpoint, RuleRequirement } from './endpoint.ts'

export interface Request<E extends Endpoint> {
  readonly caller: Caller
  readonly params: z.output<E['params']>
  readonly query: z.output<E['query']>
  readonly body: z.output<E['body']>
  /** Aborted when the caller has gone. */
  readonly signal: AbortSignal
}

export type Handler<E extends Endpoint> = (
  request: Request<E>,
) => E['stream'] extends true
  ? AsyncIterable<z.input<E['output']>>
  : Promise<z.input<E['output']>> | AsyncIterable<z.input<E['output']>>

/** Like Request, of an endpoint that needs no identity (`callers: []`). */
export interface PublicRequest<E extends Endpoint> extends Omit<Request<E>, 'caller'> {
  /** Address of the socket's peer. */
  readonly address: string
  readonly userAgent: string | undefined
}

export interface ApiAppOptions {
  readonly logger: Logger
  /** Identity of the connection below a request. Absent: only public endpoints can be served. */
  callerOf?(socket: object): Caller | undefined
  /** Asked for callers of role User where the endpoint names a rule. A string refuses, with that reason. */
  checkRule?(caller: Caller, rule: RuleRequirement): string | undefined
}

/** A Fastify app with our limits, error form and headers; nothing is served on it yet. */
export async function createApiApp(_options: ApiAppOptions): Promise<FastifyInstance> {
  throw new ConnectionProblem('no app yet')
}

/** Serves an endpoint to the callers it names. */
export function serve<E extends Endpoint>(_app: FastifyInstance, _endpoint: E, _handler: Handler<E>): void {
  throw new ConnectionProblem('no app yet')
}

/** Serves an endpoint to anybody. Throws for one that names callers. */
export function servePublic<E extends Endpoint>(
  _app: FastifyInstance,
  _endpoint: E,
  _handler: (request: PublicRequest<E>) => Promise<z.input<E['output']>>,
): void {
  throw new ConnectionProblem('no app yet')
}
