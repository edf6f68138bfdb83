/** The typed client of the auth API (and, over HTTPS, of the web API): one call for every endpoint object. */

import type { z } from 'zod'
import type { Endpoint } from './endpoint.ts'

type Part<Name extends string, Schema extends z.ZodType> =
  Record<never, never> extends z.input<Schema>
    ? { readonly [K in Name]?: z.input<Schema> }
    : { readonly [K in Name]: z.input<Schema> }

/** What an endpoint takes; parts that may be empty may be left out. */
export type CallInput<E extends Endpoint> = Part<'params', E['params']> &
  Part<'query', E['query']> &
  Part<'body', E['body']>

/** What an endpoint answers with (for streams: each line). */
export type CallOutput<E extends Endpoint> = z.output<E['output']>

/** No input argument is needed where every part may be left out. */
export type CallArguments<E extends Endpoint> =
  Record<never, never> extends CallInput<E>
    ? [input?: CallInput<E>, signal?: AbortSignal]
    : [input: CallInput<E>, signal?: AbortSignal]

export interface ApiClient {
  /**
   * Calls one endpoint. Refusals arrive as the class that the server threw; no answer within 30 s, or no connection, as
   * ConnectionProblem.
   */
  call<E extends Endpoint>(endpoint: E, ...args: CallArguments<E>): Promise<CallOutput<E>>
  /** Follows a `stream: true` endpoint until the signal, the server or a silence of 30 s ends it. */
  stream<E extends Endpoint>(endpoint: E, ...args: CallArguments<E>): AsyncIterable<CallOutput<E>>
}
