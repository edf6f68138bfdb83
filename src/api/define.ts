/** Makes endpoints: fills in what most of them share, so that a route is a few lines. */

import { z } from 'zod'
import type { BuiltinRole, Endpoint, Method, RuleRequirement } from './endpoint.ts'

const nothing = z.strictObject({})
export const empty = z.strictObject({})

interface Definition<P extends z.ZodType, Q extends z.ZodType, B extends z.ZodType, O extends z.ZodType> {
  readonly method: Method
  readonly path: string
  readonly summary: string
  readonly callers: readonly BuiltinRole[]
  readonly userRule?: RuleRequirement | 'self' | 'none'
  readonly params?: P
  readonly query?: Q
  readonly body?: B
  readonly output: O
  readonly stream?: boolean
  readonly maxBody?: number
}

type Nothing = typeof nothing

/** An endpoint from its definition. Parameters, query and body default to "none allowed". */
export function endpoint<
  O extends z.ZodType,
  P extends z.ZodType = Nothing,
  Q extends z.ZodType = Nothing,
  B extends z.ZodType = Nothing,
>(definition: Definition<P, Q, B, O>): Endpoint<P, Q, B, O> {
  return {
    stream: false,
    maxBody: 65_536,
    ...definition,
    params: definition.params ?? (nothing as unknown as P),
    query: definition.query ?? (nothing as unknown as Q),
    body: definition.body ?? (nothing as unknown as B),
  }
}
