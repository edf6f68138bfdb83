/**
 * The cookies of a browser and the proof that a request comes from our own page. The names begin with `__Host-`, so that no other
 * host, path or plain HTTP can set or read them.
 */

import { createHmac, timingSafeEqual } from 'node:crypto'

/** Of somebody who is logged in: the token of the session. */
export const sessionCookie = '__Host-teleport-session'
/** Of somebody who is not: a random value, so that nobody can be logged in by a foreign page, as somebody else. */
export const visitorCookie = '__Host-teleport-visitor'

const attributes = 'Path=/; Secure; HttpOnly; SameSite=Strict'
const valueShape = /^[0-9a-f]{32}$/

export const setCookie = (name: string, value: string): string => `${name}=${value}; ${attributes}`
export const clearCookie = (name: string): string => `${name}=; ${attributes}; Max-Age=0`

/** A cookie's value; undefined when it is absent, not one that we made, or there twice. */
export function readCookie(header: string | undefined, name: string): string | undefined {
  const values = (header ?? '').split(';').flatMap((pair) => {
    const at = pair.indexOf('=')
    return pair.slice(0, Math.max(at, 0)).trim() === name ? [pair.slice(at + 1).trim()] : []
  })
  const [value] = values
  return values.length === 1 && value !== undefined && valueShape.test(value) ? value : undefined
}

/** Another site can make a browser send the cookie, but can read neither it nor this. */
export const csrfTokenOf = (cookie: string): string =>
  createHmac('sha256', cookie).update('teleport csrf').digest('base64url')

export function isCsrfTokenOf(cookie: string, token: string | undefined): boolean {
  const right = Buffer.from(csrfTokenOf(cookie))
  const shown = Buffer.from(token ?? '')
  return right.length === shown.length && timingSafeEqual(right, shown)
}

interface Headers {
  readonly origin?: string | undefined
  readonly host?: string | undefined
  readonly 'sec-fetch-site'?: string | string[] | undefined
}

/** A request that a page of this very origin makes. Browsers write these headers, and no script can change them. */
export function isOwnOrigin(headers: Headers): boolean {
  const { origin, host } = headers
  return (
    host !== undefined && host !== '' && origin?.toLowerCase() === `https://${host.toLowerCase()}` && isOwnSite(headers)
  )
}

/** For what only reads: a browser that says where it comes from must say the right thing. */
export function isOwnSite(headers: Headers): boolean {
  const site = headers['sec-fetch-site']
  return site === undefined || site === 'same-origin' || site === 'none'
}
