/**
 * One object per route: path, who may call it, what goes in and what comes out. Server and client import the same object.
 * `callers` is not optional: a route that does not say who may call it does not compile.
 */

import type { z } from 'zod'

/** The built-in roles. A caller has exactly one, taken from its SSH certificate (or, for ProvisionToken, from its token). */
export type BuiltinRole = 'Auth' | 'Node' | 'Proxy' | 'Admin' | 'User' | 'Web' | 'Signup' | 'ProvisionToken'

export type Method = 'GET' | 'POST' | 'PUT' | 'DELETE'

/** Checked for callers of role User, in addition: the RBAC rule their roles must grant. */
export interface RuleRequirement {
  readonly resource: string
  readonly verb: 'list' | 'read' | 'create' | 'update' | 'delete' | 'rotate'
  /**
   * The handler asks again for each resource that it touches. Where it does not say so, rules whose `where` asks about the resource
   * grant nothing: an endpoint that forgets them must not be wide open.
   */
  readonly each?: true
}

export interface Endpoint<
  Params extends z.ZodType = z.ZodType,
  Query extends z.ZodType = z.ZodType,
  Body extends z.ZodType = z.ZodType,
  Output extends z.ZodType = z.ZodType,
> {
  readonly method: Method
  /** With `:name` segments, as Fastify writes them. */
  readonly path: string
  readonly summary: string
  readonly callers: readonly BuiltinRole[]
  /** What a User needs besides. `'self'`: the handler limits a User to what is their own; `'none'`: any logged-in user. */
  readonly userRule?: RuleRequirement | 'self' | 'none'
  readonly params: Params
  readonly query: Query
  readonly body: Body
  /** For `stream: true`, the schema of each line of the NDJSON answer. */
  readonly output: Output
  readonly stream: boolean
  /** Largest request body, bytes. Default 64 KiB. */
  readonly maxBody: number
}
