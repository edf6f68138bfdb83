/** What a client asks the proxy for, as text from the wire: `proxy:<host>:<port>[@cluster]`, or host and port of a `direct-tcpip`. */

import { BadParameter } from '../../errors/errors.ts'

export interface Destination {
  /** As asked for, without brackets around an IPv6 address. */
  readonly host: string
  /** 0: none was given. */
  readonly port: number
  readonly cluster: string | undefined
}

const maxHost = 512
const printable = /^[\x21-\x7e\u00a0-\u{10ffff}]+$/u
const subsystemShape = /^proxy:(?<host>\[[^\]]*\]|.*?)(?::(?<port>\d{0,5}))?(?:@(?<cluster>[^@:]*))?$/s

/** The destination that a subsystem name asks for; undefined for a name that is not ours. Throws BadParameter. */
export function parseSubsystem(name: string): Destination | undefined {
  if (!name.startsWith('proxy:')) return undefined
  const groups = name.length > maxHost * 2 ? undefined : subsystemShape.exec(name)?.groups
  if (groups === undefined) throw bad('expected proxy:HOST:PORT or proxy:HOST:PORT@CLUSTER')
  return destination(groups.host ?? '', Number(groups.port ?? 0), groups.cluster)
}

/** The destination of a `direct-tcpip`. Throws BadParameter. */
export function destination(host: string, port: number, cluster?: string): Destination {
  const bare = host.startsWith('[') && host.endsWith(']') ? host.slice(1, -1) : host
  if (bare === '' || bare.length > maxHost || !printable.test(bare)) throw bad('the host name is not valid')
  if (!Number.isInteger(port) || port < 0 || port > 65_535) throw bad('the port is not valid')
  if (cluster !== undefined && (cluster === '' || cluster.length > maxHost || !printable.test(cluster))) {
    throw bad('the cluster name is not valid')
  }
  return { host: bare, port, cluster }
}

const bad = (message: string): BadParameter => new BadParameter('destination', message)
