/** Contents of the channel opens and global requests that forward ports, sockets, agents and X11 (RFC 4254 section 7, OpenSSH PROTOCOL). */

import { WireError, type WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import type { ForwardedOrigin } from './types.ts'

export interface TcpipAddresses {
  readonly host: string
  readonly port: number
  readonly originAddress: string
  readonly originPort: number
}

/** `direct-tcpip` and `forwarded-tcpip`. Throws WireError for anything that cannot be an address. */
export function readTcpip(reader: WireReader): TcpipAddresses {
  const host = readHost(reader)
  const port = readPort(reader)
  // OpenSSH gives a socket path here when a unix socket listens on its side, and port 65535.
  const originAddress = reader.text(4096)
  const originPort = readPort(reader)
  reader.end()
  return { host, port, originAddress, originPort }
}

export function encodeTcpip(addresses: TcpipAddresses): Buffer {
  return new WireWriter()
    .string(addresses.host)
    .uint32(addresses.port)
    .string(addresses.originAddress)
    .uint32(addresses.originPort)
    .take()
}

/** `tcpip-forward` and `cancel-tcpip-forward`. An empty address means all of them. */
export function readForward(reader: WireReader): ForwardedOrigin {
  const address = readHost(reader)
  const port = readPort(reader)
  reader.end()
  return { address, port }
}

export function encodeForward(address: string, port: number): Buffer {
  return new WireWriter().string(address).uint32(port).take()
}

/** `direct-streamlocal@openssh.com`: path, then two reserved fields. */
export function readDirectStreamlocal(reader: WireReader): string {
  const path = readPath(reader)
  reader.string(4096)
  reader.uint32()
  reader.end()
  return path
}

export function encodeDirectStreamlocal(path: string): Buffer {
  return new WireWriter().string(path).string('').uint32(0).take()
}

/** `forwarded-streamlocal@openssh.com`: path, then one reserved field. */
export function readForwardedStreamlocal(reader: WireReader): string {
  const path = readPath(reader)
  reader.string(4096)
  reader.end()
  return path
}

export function encodeForwardedStreamlocal(path: string): Buffer {
  return new WireWriter().string(path).string('').take()
}

/** `streamlocal-forward@openssh.com` and its cancellation. */
export function readStreamlocalForward(reader: WireReader): string {
  const path = readPath(reader)
  reader.end()
  return path
}

export function encodeStreamlocalForward(path: string): Buffer {
  return new WireWriter().string(path).take()
}

/** `x11`: where the X client connected from. */
export function readX11Origin(reader: WireReader): ForwardedOrigin {
  const address = reader.text(1024)
  const port = reader.uint32()
  reader.end()
  return { address, port }
}

export function encodeX11Origin(address: string, port: number): Buffer {
  return new WireWriter().string(address).uint32(port).take()
}

function readHost(reader: WireReader): string {
  const host = reader.text(1024)
  if (/[\0-\x20\x7f]/.test(host)) throw new WireError('host name with control characters or spaces')
  return host
}

function readPort(reader: WireReader): number {
  const port = reader.uint32()
  if (port > 65_535) throw new WireError(`port ${port} is out of range`)
  return port
}

function readPath(reader: WireReader): string {
  const path = reader.text(4096)
  if (path === '' || path.includes('\0')) throw new WireError('malformed socket path')
  return path
}
