/** The address under which others reach a server of this machine. */

import { networkInterfaces } from 'node:os'
import { type Address, formatAddress, isWildcardHost } from './address.ts'

/** `host:port`: the advertised address, or the one listened on, or the first of this machine that is not loopback. */
export function advertisedAddress(
  listen: Address,
  advertise?: { readonly host: string; readonly port?: number },
): string {
  const everywhere = listen.host === '' || isWildcardHost(listen.host)
  const host = advertise?.host ?? (everywhere ? firstAddress() : listen.host)
  return formatAddress({ host, port: advertise?.port ?? listen.port })
}

function firstAddress(): string {
  const all = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  const outside = all.filter(({ internal }) => !internal)
  return (outside.find(({ family }) => family === 'IPv4') ?? outside[0])?.address ?? '127.0.0.1'
}
