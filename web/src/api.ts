/** Calls of the web API. The types are those of the proxy; a refusal becomes an `ApiError` with its words. */

import type { WebNodePage, WebState, WebUser } from '../../src/api/web-app.ts'
import { text } from './text.ts'

export type { WebNode, WebNodePage, WebState, WebUser } from '../../src/api/web-app.ts'

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

interface Options {
  readonly body?: unknown
  /** Made by the page itself: does not count as somebody being there. */
  readonly background?: boolean
  readonly signal?: AbortSignal
}

async function call<T>(method: 'GET' | 'POST', path: string, options: Options = {}): Promise<T> {
  let response: Response
  try {
    response = await fetch(path, {
      method,
      headers: {
        ...(method === 'GET' ? {} : { 'content-type': 'application/json', 'x-csrf-token': csrfToken }),
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
async function change<T>(path: string, body: unknown = {}): Promise<T> {
  try {
    return await call<T>('POST', path, { body })
  } catch (error) {
    if (!(error instanceof ApiError) || error.status !== 403) throw error
    const before = csrfToken
    await getState(true)
    if (before === csrfToken) throw error
    return call<T>('POST', path, { body })
  }
}

export const getState = (background = false): Promise<WebState> => call('GET', '/webapi/session', { background })

export const logIn = (body: { user: string; password: string; otp?: string }): Promise<{ user: WebUser }> =>
  change('/webapi/session', body)
export const renew = (): Promise<{ user: WebUser }> => change('/webapi/session/renew')
export const logOut = (everywhere: boolean): Promise<unknown> => change('/webapi/session/end', { everywhere })

export interface NodeSearch {
  readonly search: string
  readonly labels: readonly string[]
}

export function listNodes(query: NodeSearch, after: string | undefined, signal: AbortSignal): Promise<WebNodePage> {
  const params = new URLSearchParams({ search: query.search, labels: query.labels.join('\n'), limit: '200' })
  if (after !== undefined) params.set('after', after)
  return call('GET', `/webapi/nodes?${params}`, { signal })
}
