/** The APIs as OpenAPI 3.1 documents, from their endpoint objects: for `docs/reference`, and for the page that the proxy serves. */

import { z } from 'zod'
import { version } from '../common/version.ts'
import { httpStatus } from '../errors/errors.ts'
import type { Endpoint } from './endpoint.ts'
import { pageEndpoints, pagePrefix } from './page-endpoints.ts'
import * as authRoutes from './routes.ts'
import * as webRoutes from './web.ts'

export interface Api {
  readonly title: string
  readonly description: string
  readonly endpoints: readonly (readonly [string, Endpoint])[]
}

/** By path, as people look for them. */
export function sortedEndpoints(routes: Readonly<Record<string, Endpoint>>): Api['endpoints'] {
  const place = (endpoint: Endpoint) => `${endpoint.path} ${endpoint.method}`
  return Object.entries(routes).sort(([, a], [, b]) => (place(a) < place(b) ? -1 : 1))
}

/** What a proxy answers to a browser: its own calls, and those that it forwards to auth. */
export function webDocument() {
  const forwarded = Object.entries(authRoutes as Readonly<Record<string, Endpoint>>)
    .filter(([, endpoint]) => pageEndpoints.includes(endpoint))
    .map(([name, endpoint]) => [name, { ...endpoint, path: `${pagePrefix}${endpoint.path}` }] as const)
  return openApiDocument({
    title: 'Web API',
    description:
      'HTTPS on the web port of the proxy. Calls below /webapi/v1 are answered by the auth service with the rights of the user who is logged in. What changes something carries the Origin of the proxy and the token of GET /webapi/session in X-CSRF-Token.',
    endpoints: sortedEndpoints({ ...webRoutes, ...Object.fromEntries(forwarded) }),
  })
}

const schemaOf = (schema: z.ZodType, io: 'input' | 'output') => {
  const { $schema: _, ...json } = z.toJSONSchema(schema, { io, unrepresentable: 'any' })
  return json
}

const errorSchema = {
  type: 'object',
  required: ['error'],
  properties: {
    error: {
      type: 'object',
      required: ['kind', 'message'],
      properties: {
        kind: { type: 'string', enum: Object.keys(httpStatus) },
        message: { type: 'string' },
        param: { type: 'string' },
        errno: { type: 'string' },
      },
    },
  },
}

export function openApiDocument(api: Api) {
  const paths: Record<string, Record<string, unknown>> = {}
  for (const [name, endpoint] of api.endpoints) {
    const path = endpoint.path.replaceAll(/:([A-Za-z]+)/g, '{$1}')
    paths[path] = { ...paths[path], [endpoint.method.toLowerCase()]: operation(name, endpoint) }
  }
  return {
    openapi: '3.1.0',
    info: { title: api.title, description: api.description, version },
    paths,
    components: { schemas: { Error: errorSchema } },
  }
}

function operation(name: string, endpoint: Endpoint) {
  const body = schemaOf(endpoint.body, 'input')
  const hasBody = endpoint.method === 'POST' || endpoint.method === 'PUT'
  const type = endpoint.stream ? 'application/x-ndjson' : 'application/json'
  return {
    operationId: name,
    summary: endpoint.summary,
    'x-callers': endpoint.callers,
    ...(endpoint.userRule === undefined ? {} : { 'x-user-rule': endpoint.userRule }),
    parameters: [...parameters(endpoint.params, 'path'), ...parameters(endpoint.query, 'query')],
    ...(hasBody ? { requestBody: { required: true, content: { 'application/json': { schema: body } } } } : {}),
    responses: {
      200: { description: 'Done', content: { [type]: { schema: schemaOf(endpoint.output, 'output') } } },
      default: {
        description: 'Refused or failed',
        content: { 'application/json': { schema: { $ref: '#/components/schemas/Error' } } },
      },
    },
  }
}

function parameters(schema: z.ZodType, place: 'path' | 'query') {
  const { properties = {}, required = [] } = schemaOf(schema, 'input')
  return Object.entries(properties).map(([name, each]) => ({
    name,
    in: place,
    required: place === 'path' || required.includes(name),
    schema: each,
  }))
}
