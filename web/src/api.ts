/** Calls of the web API. The types are those of the proxy; a refusal becomes an `ApiError` with its words. */

import type { WebNodePage, WebState, WebUser } from '../../src/api/web-app.ts'
import type { CallInput, CallOutput, Endpoint } from '../../src/api/web-calls.ts'
import type { Assertion } from './keys.ts'
import { text } from './text.ts'

export interface FactorChoice {
  readonly otp: boolean
  readonly webauthn: boolean
  readonly recoveryCode: boolean
}

export type { WebNode, WebNodePage, WebState, WebUser } from '../../src/api/web-app.ts'
export type { CallInput, CallOutput, routes } from '../../src/api/web-calls.ts'

export class ApiError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

export const isLoggedOut = (error: unknown): boolean => error instanceof ApiError && error.status === 401

let csrfToken = ''
/** Needed to open a terminal. */
export const currentToken = (): string => csrfToken

type Method = Endpoint['method']

interface Options {
  readonly body?: unknown
  /** Made by the page itself: does not count as somebody being there. */
  readonly background?: boolean
  readonly signal?: AbortSignal
}

async function call<T>(method: Method, path: string, options: Options = {}): Promise<T> {
  let response: Response
  try {
    response = await fetch(path, {
      method,
      headers: {
        ...(method === 'GET' ? {} : { 'x-csrf-token': csrfToken }),
        ...(options.body === undefined ? {} : { 'content-type': 'application/json' }),
        ...(options.background === true ? { 'x-background': '1' } : {}),
      },
      ...(options.body === undefined ? {} : { body: JSON.stringify(options.body) }),
      ...(options.signal === undefined ? {} : { signal: options.signal }),
    })
  } catch (error) {
    if (options.signal?.aborted === true) throw error
    throw new ApiError(0, text.unreachable)
  }
  const answer = (await response.json().catch(() => ({}))) as { error?: { message?: string }; csrfToken?: string }
  if (!response.ok) throw new ApiError(response.status, answer.error?.message ?? text.failed)
  if (answer.csrfToken !== undefined) csrfToken = answer.csrfToken
  return answer as T
}

/** Another tab may have renewed the session, and this page's token be of the cookie before: then once more. */
async function change<T>(path: string, body: unknown = {}, method: Method = 'POST'): Promise<T> {
  const options = method === 'DELETE' ? {} : { body }
  try {
    return await call<T>(method, path, options)
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403) throw error
    const before = csrfToken
    await getState(true)
    if (before === csrfToken) throw error
    return call<T>(method, path, options)
  }
}

/**
 * What is to go and is gone already is no failure: somebody else was first, or the answer was lost on a connection that had just ended
 * and the browser asked again.
 */
export async function removed(removal: Promise<unknown>): Promise<void> {
  try {
    await removal
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 404) throw error
  }
}

export const getState = (background = false): Promise<WebState> => call('GET', '/webapi/session', { background })

export interface Login {
  readonly user: string
  readonly password: string
  readonly otp?: string
  readonly recoveryCode?: string
  readonly webauthn?: Assertion
}
export const logIn = (body: Login): Promise<{ user: WebUser }> => change('/webapi/session', body)

type Challenge = Readonly<Record<string, unknown>>
/** With the right password: how the user can prove a second factor, and a challenge for their security keys. */
export const beginLogin = (user: string, password: string): Promise<{ choice: FactorChoice; webauthn?: Challenge }> =>
  call('POST', '/webapi/login/begin', { body: { user, password } })
export const changePassword = (body: {
  user: string
  password: string
  newPassword: string
  otp?: string
  ceremony?: { readonly id: string; readonly secret: string; readonly code: string }
}): Promise<unknown> => call('POST', '/webapi/password', { body })
/** With the right password: a ceremony in which a key is proven for another one. */
export const startPasswordCeremony = (body: {
  user: string
  password: string
  callback: { readonly host: string; readonly port: number; readonly state: string }
}): Promise<{ id: string; secret: string }> => call('POST', '/webapi/password/ceremony', { body })
export const openCeremony = (id: string): Promise<{ get?: Challenge; create?: Challenge }> =>
  call('POST', '/webapi/ceremonies/open', { body: { id } })
export const answerCeremony = (body: object): Promise<{ redirect: string }> =>
  call('POST', '/webapi/ceremonies/answer', { body })
export const renew = (): Promise<{ user: WebUser }> => change('/webapi/session/renew')
/** From now on with the roles of these approved requests besides the own ones, and of no others. */
export const assumeRequests = (accessRequests: readonly string[]): Promise<{ user: WebUser }> =>
  change('/webapi/session/renew', { accessRequests })
export const logOut = (everywhere: boolean): Promise<unknown> => change('/webapi/session/end', { everywhere })

/** The OpenAPI document of these calls. */
export const getApiDocument = (): Promise<Readonly<Record<string, unknown>>> => call('GET', '/webapi/openapi')

export interface NodeSearch {
  readonly search: string
  readonly labels: readonly string[]
}

export function listNodes(query: NodeSearch, after: string | undefined, signal: AbortSignal): Promise<WebNodePage> {
  const params = new URLSearchParams({ search: query.search, labels: query.labels.join('\n'), limit: '200' })
  if (after !== undefined) params.set('after', after)
  return call('GET', `/webapi/nodes?${params}`, { signal })
}

/** `METHOD /v1/path/:param`, as auth names it. */
export type CallName = `${Method} /v1/${string}`

/** Whether the roles of the user let such a call through: what they do not is not shown. */
export const may = (user: WebUser | undefined, name: CallName): boolean => user?.calls.includes(name) === true

interface AuthOptions {
  readonly signal?: AbortSignal
  readonly background?: boolean
}

/** A call that auth answers with the rights of the user, such as `auth<typeof routes.listUsers>('GET /v1/users', {})`. */
export function auth<E extends Endpoint>(
  name: CallName,
  input: CallInput<E>,
  options: AuthOptions = {},
): Promise<CallOutput<E>> {
  const [method, path] = addressOf(name, input)
  if (method === 'GET') return call(method, path, options)
  return change(path, (input as { body?: unknown }).body ?? {}, method)
}

/** The same for a call that answers with a stream of lines, each given as it comes. */
export async function* authLines<E extends Endpoint>(
  name: CallName,
  input: CallInput<E>,
  signal: AbortSignal,
): AsyncIterable<CallOutput<E>> {
  const [, path] = addressOf(name, input)
  const response = await fetch(path, { signal }).catch((error: unknown) => {
    if (signal.aborted) throw error
    throw new ApiError(0, text.unreachable)
  })
  if (!response.ok || response.body === null) {
    const answer = (await response.json().catch(() => ({}))) as { error?: { message?: string } }
    throw new ApiError(response.status, answer.error?.message ?? text.failed)
  }
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
  let rest = ''
  try {
    for (;;) {
      const { done, value } = await reader.read()
      const lines = (rest + (value ?? '')).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) if (line !== '') yield JSON.parse(line) as CallOutput<E>
      if (done) return
    }
  } finally {
    // Who wants no more lines does not keep the connection and what waits behind it.
    await reader.cancel().catch(() => undefined)
  }
}

function addressOf(name: CallName, input: object): [Method, string] {
  const { params = {}, query = {} } = input as {
    params?: Readonly<Record<string, unknown>>
    query?: Readonly<Record<string, unknown>>
  }
  const [method = '', pattern = ''] = name.split(' ')
  const path = pattern.replaceAll(/:([A-Za-z]+)/g, (_, key: string) => encodeURIComponent(String(params[key])))
  const search = new URLSearchParams()
  for (const [key, value] of Object.entries(query)) if (value !== undefined) search.set(key, String(value))
  return [method as Method, `/webapi${path}${search.size === 0 ? '' : `?${search}`}`]
}
