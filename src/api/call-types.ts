/** What a call takes and gives, from the schemas of its endpoint. Types only: the page in a browser has them too. */

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
