/** Names that come from a command line or a server, checked before they reach a file name, a config file or a shell. */

import { BadParameter } from '../../errors/errors.ts'

/** What `--proxy` said. Ports are undefined where it named none. */
export interface ProxyAddress {
  readonly host: string
  readonly webPort: number | undefined
  readonly sshPort: number | undefined
}

const hostName = /^(?!-)[A-Za-z0-9._-]{1,253}$/
const ipv6 = /^[0-9a-fA-F:.]{2,45}$/

/** A DNS name or IP address, as it may stand in a file name and in an OpenSSH configuration. Throws BadParameter. */
export function checkHost(host: string, param: string): string {
  if (host === '.' || host === '..' || !(hostName.test(host) || (host.includes(':') && ipv6.test(host)))) {
    throw new BadParameter(param, `${param}: ${JSON.stringify(host)} is not a host name or address`)
  }
  return host
}

/** 1 to 65535. Throws BadParameter. */
export function checkPort(text: string, param: string): number {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0
  if (port < 1 || port > 65_535) {
    throw new BadParameter(param, `${param}: ${JSON.stringify(text)} is not a port (1 to 65535)`)
  }
  return port
}

/** Cluster and user names that tsh writes into files and configuration. Throws BadParameter. */
export function checkName(name: string, param: string): string {
  if (!/^[A-Za-z0-9][A-Za-z0-9._@+-]{0,254}$/.test(name)) {
    throw new BadParameter(param, `${param}: ${JSON.stringify(name)} is not a valid name`)
  }
  return name
}

/** `host`, `host:3080`, `host:3080,3023`, `host:,3023`, `[::1]:3080`, an https URL too. Throws BadParameter. */
export function parseProxyAddress(text: string): ProxyAddress {
  const bare = text.replace(/^https:\/\//, '').replace(/\/+$/, '')
  const match = /^(?:\[(?<six>[^\]]+)\]|(?<host>[^:,[\]]+))(?::(?<web>\d*))?(?:,(?<ssh>\d+))?$/.exec(bare)
  const groups = match?.groups
  const host = groups?.six ?? groups?.host
  if (groups === undefined || host === undefined) {
    throw new BadParameter('--proxy', `--proxy: ${JSON.stringify(text)} is not HOST[:WEB_PORT[,SSH_PORT]]`)
  }
  const { web, ssh } = groups
  return {
    host: checkHost(host, '--proxy'),
    webPort: web === undefined || web === '' ? undefined : checkPort(web, '--proxy'),
    sshPort: ssh === undefined ? undefined : checkPort(ssh, '--proxy'),
  }
}

/** `host:port` with brackets where the host is an IPv6 address. */
export const joinHostPort = (host: string, port: number): string =>
  host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`

/** The halves of `host:port` or `[v6]:port`. Throws BadParameter. */
export function splitHostPort(text: string, param: string): { readonly host: string; readonly port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d+)$/.exec(text)
  const host = match?.[1] ?? match?.[2]
  if (match === null || host === undefined) {
    throw new BadParameter(param, `${param}: ${JSON.stringify(text)} is not HOST:PORT`)
  }
  return { host: checkHost(host, param), port: checkPort(match[3] ?? '', param) }
}
