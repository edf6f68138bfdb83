/** What the page needs to call auth (`page-endpoints.ts`) in types: each endpoint by its name, and what it takes and gives. */

export type { CallInput, CallOutput } from './call-types.ts'
export type { Endpoint } from './endpoint.ts'
export type * as routes from './routes.ts'
