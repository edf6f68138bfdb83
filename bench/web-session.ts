/** A browser session on a cluster of the benchmark: logged in over HTTPS as the page does it, for measurements with and without a browser. */

import type { IncomingHttpHeaders } from 'node:http'
import { request } from 'node:https'
import { csrfHeader, type WebNodePage, type WebState } from '../src/api/web-app.ts'
import type { Cluster } from './cluster.ts'
import { must } from './processes.ts'

export const webUser = 'bench'
export const webPassword = 'correct horse battery staple'

export interface WebSession {
  readonly origin: string
  /** As the header has it: `name=value`. */
  readonly cookie: string
  readonly csrfToken: string
}

/** Gives the user of every cluster of the benchmark a password. */
export async function setPassword(cluster: Cluster): Promise<void> {
  const piped = ['sh', '-c', 'password=$1; shift; printf "%s\\n" "$password" | "$@"', 'sh', webPassword]
  await must([...piped, ...cluster.tctl, 'users', 'set-password', webUser])
}

export const originOf = (cluster: Cluster): string => `https://127.0.0.1:${cluster.ports.web}`

/** Of the user whose password was set. */
export async function logIn(cluster: Cluster): Promise<WebSession> {
  const origin = originOf(cluster)
  const before = await ask(`${origin}/webapi/session`)
  const { csrfToken } = before.answer as WebState
  const opened = await ask(
    `${origin}/webapi/session`,
    { origin, cookie: cookieIn(before.headers), [csrfHeader]: csrfToken },
    { user: webUser, password: webPassword },
  )
  return {
    origin,
    cookie: cookieIn(opened.headers),
    csrfToken: (opened.answer as Pick<WebState, 'csrfToken'>).csrfToken,
  }
}

export async function firstNodes({ origin, cookie }: WebSession): Promise<WebNodePage> {
  return (await ask(`${origin}/webapi/nodes`, { cookie })).answer as WebNodePage
}

/** The cookie that is set; others are deleted by being set to nothing. */
function cookieIn(headers: IncomingHttpHeaders): string {
  const pairs = (headers['set-cookie'] ?? []).map((line) => line.split(';', 1)[0] ?? '')
  const [cookie = ''] = pairs.filter((pair) => !pair.endsWith('='))
  return cookie
}

interface Answer {
  readonly headers: IncomingHttpHeaders
  readonly answer: unknown
}

function ask(url: string, headers: Readonly<Record<string, string>> = {}, body?: unknown): Promise<Answer> {
  return new Promise((resolve, reject) => {
    // Who answers is our own child, with a certificate that it made itself.
    const outgoing = request(url, {
      method: body === undefined ? 'GET' : 'POST',
      rejectUnauthorized: false,
      headers: { ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    })
    outgoing.on('error', reject)
    outgoing.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString('utf8')
        if (response.statusCode !== 200) reject(new Error(`${url} answered ${response.statusCode}: ${text}`))
        else resolve({ headers: response.headers, answer: JSON.parse(text) as unknown })
      })
    })
    outgoing.end(body === undefined ? undefined : JSON.stringify(body))
  })
}
