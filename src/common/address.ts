/** `host:port` as people write it: IPv6 in brackets or bare, `tcp://` in front, the port left out. */

import { isIP } from 'node:net'
import { BadParameter } from '../errors/errors.ts'
import { quote } from './text.ts'

/** Source: Teleport's documented ports. */
export const defaultPorts = { node: 3022, proxySsh: 3023, tunnel: 3024, auth: 3025, web: 3080 } as const

export interface Address {
  /** A host name or an IP address, IPv6 without brackets. */
  readonly host: string
  readonly port: number
}

export interface AddressOptions {
  /** Without it the port must be written. */
  readonly defaultPort?: number
  /** For listening: port 0 (any free port) and `:3022` (all interfaces) are allowed. */
  readonly listen?: boolean
}

const HOST_NAME =
  /^(?=.{1,253}$)[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?(?:\.[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?)*\.?$/

/** Throws BadParameter that quotes the text and says what is wrong. */
export function parseAddress(text: string, options: AddressOptions = {}): Address {
  const fail = (why: string) => new BadParameter('address', `the address ${quote(text)} ${why}`)
  if (text.length > 300) throw fail('is too long')
  const bare = text
    .trim()
    .replace(/^(?:tcp|https?):\/\//, '')
    .replace(/\/$/, '')
  const { host, port } = split(bare)
  const empty = host === '' && options.listen === true && port !== undefined
  const name = empty ? '0.0.0.0' : host
  if (!isHost(name)) throw fail('has no valid host; write host:port, and IPv6 as [::1]:port')
  if (port === undefined) {
    if (options.defaultPort === undefined) throw fail('has no port')
    return { host: name, port: options.defaultPort }
  }
  const number = /^\d{1,5}$/.test(port) ? Number(port) : Number.NaN
  if (!(number <= 65_535) || (number === 0 && options.listen !== true)) throw fail('has no valid port (1 to 65535)')
  return { host: name, port: number }
}

function split(text: string): { host: string; port: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(text)
  if (bracketed !== null)
    return { host: isIP(bracketed[1] ?? '') === 6 ? (bracketed[1] ?? '') : '', port: bracketed[2] }
  if (isIP(text) === 6) return { host: text, port: undefined }
  const colon = text.indexOf(':')
  if (colon === -1) return { host: text, port: undefined }
  return { host: text.slice(0, colon), port: text.slice(colon + 1) }
}

/** A host name or IP address, without port. */
export function isHost(text: string): boolean {
  return isIP(text) !== 0 || HOST_NAME.test(text)
}

/** `host:port`, IPv6 in brackets. */
export function formatAddress({ host, port }: Address): string {
  return host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`
}

/** Does the address mean "all interfaces"? */
export const isWildcardHost = (host: string): boolean => host === '0.0.0.0' || host === '::'

/** Where a process on the same machine reaches a listener: all interfaces become loopback. */
export function reachable({ host, port }: Address): Address {
  if (!isWildcardHost(host)) return { host, port }
  return { host: host === '::' ? '::1' : '127.0.0.1', port }
}
