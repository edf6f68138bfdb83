/** The grammar of -L, -R and -D, as OpenSSH has it. */

import { BadParameter } from '../../../errors/errors.ts'
import { checkPort } from '../address.ts'

export type Endpoint =
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'unix'; readonly path: string }

export type Forward =
  | { readonly kind: 'local'; readonly listen: Endpoint; readonly target: Endpoint }
  | { readonly kind: 'remote'; readonly listen: Endpoint; readonly target: Endpoint }
  | { readonly kind: 'dynamic'; readonly listen: Endpoint }

/** Splits at colons outside of brackets; brackets are taken off. */
function splitColons(text: string): string[] {
  return (
    text.match(/\[[^\]]*\]|\/[^:]*|[^:[\]]+|(?<=:)(?=:|$)|^(?=:)/g)?.map((part) => part.replace(/^\[|\]$/g, '')) ?? []
  )
}

/** `[bind:]port:host:port`, `[bind:]port:/socket`, `/socket:host:port`, `/socket:/socket`. Throws BadParameter. */
export function parseForward(kind: 'local' | 'remote', text: string): Forward {
  const flag = kind === 'local' ? '-L' : '-R'
  const bad = () =>
    new BadParameter(
      flag,
      `${flag}: ${JSON.stringify(text)} is not [bind:]port:host:port (or a socket path on either side)`,
    )
  const parts = splitColons(text)
  const [first] = parts
  if (first === undefined) throw bad()
  let rest: string[]
  let listen: Endpoint
  if (first.startsWith('/')) {
    listen = { kind: 'unix', path: first }
    rest = parts.slice(1)
  } else if (parts.length === 4 || (parts.length === 3 && parts[2]?.startsWith('/') === true)) {
    listen = { kind: 'tcp', host: bindHost(first), port: listenPort(parts[1] ?? '', flag) }
    rest = parts.slice(2)
  } else {
    listen = { kind: 'tcp', host: 'localhost', port: listenPort(first, flag) }
    rest = parts.slice(1)
  }
  const [host, port] = rest
  if (rest.length === 1 && host?.startsWith('/') === true) return { kind, listen, target: { kind: 'unix', path: host } }
  if (rest.length !== 2 || host === undefined || host === '' || port === undefined) throw bad()
  return { kind, listen, target: { kind: 'tcp', host, port: checkPort(port, flag) } }
}

/** `[bind:]port`. Throws BadParameter. */
export function parseDynamicForward(text: string): Forward {
  const parts = splitColons(text)
  const port = parts.at(-1)
  if (port === undefined || parts.length > 2) {
    throw new BadParameter('-D', `-D: ${JSON.stringify(text)} is not [bind:]port`)
  }
  const host = parts.length === 2 ? bindHost(parts[0] ?? '') : 'localhost'
  return { kind: 'dynamic', listen: { kind: 'tcp', host, port: listenPort(port, '-D') } }
}

/** Port 0 asks for any free port. */
const listenPort = (text: string, flag: string): number => (text === '0' ? 0 : checkPort(text, flag))

const bindHost = (text: string): string => (text === '' || text === '*' ? '' : text)

/** For messages. */
export function endpointText(endpoint: Endpoint): string {
  if (endpoint.kind === 'unix') return endpoint.path
  const host = endpoint.host === '' ? '*' : endpoint.host
  return host.includes(':') ? `[${host}]:${endpoint.port}` : `${host}:${endpoint.port}`
}
