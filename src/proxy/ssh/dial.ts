/**
 * A connection to a registered server. The address comes from the server's own heartbeat, so a node gone bad chooses it: nothing
 * of the client's is sent before the other end has shown that it speaks SSH, and some addresses are never dialled.
 */

import { lookup as resolve } from 'node:dns'
import { BlockList, connect, isIP, type LookupFunction, type Socket } from 'node:net'
import { AccessDenied, ConnectionProblem } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'
import { splitAddress } from './router.ts'

export interface DialOptions {
  /** `host:port` as registered. */
  readonly address: string
  /** For messages: `node web1`. */
  readonly name: string
  /** Written first, in one packet with nothing else. */
  readonly preamble: string
  /** For connecting and for the other end's first bytes together, milliseconds. */
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** Cloud metadata services and everything that is not one host. Loopback is allowed: on a single machine the node lives there. */
const forbidden = new BlockList()
forbidden.addSubnet('0.0.0.0', 8)
forbidden.addSubnet('169.254.0.0', 16)
forbidden.addSubnet('224.0.0.0', 3)
forbidden.addSubnet('fe80::', 10, 'ipv6')
forbidden.addSubnet('ff00::', 8, 'ipv6')
forbidden.addAddress('::', 'ipv6')
forbidden.addAddress('fd00:ec2::254', 'ipv6')

/** Whether this IP address is never dialled. IPv4 inside IPv6 counts as what it is. */
export const isForbidden = (address: string): boolean =>
  isIP(address) === 0 || forbidden.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4')

const start = Buffer.from('SSH-')

/**
 * A connected socket whose first bytes, still unread, are an SSH version string. It carries a half close over and sends without
 * delay. Throws AccessDenied for an address that is not dialled, ConnectionProblem when the server does not answer as it should.
 */
export function dial(options: DialOptions): Promise<Socket> {
  const { name, address } = options
  const where = splitAddress(address)
  if (where === undefined || where.port === 0) {
    return Promise.reject(new ConnectionProblem(`${name} registered an address that is not host:port: ${address}`))
  }
  const { host, port } = where
  if (isIP(host) !== 0 && isForbidden(host)) {
    return Promise.reject(
      new AccessDenied(`${name} registered the address ${address}, which this proxy does not connect to`),
    )
  }
  return new Promise((done, failed) => {
    const socket = connect({ host, port, allowHalfOpen: true, noDelay: true, lookup: lookupAllowed })
    const settle = (error: Error | undefined) => {
      socket.removeListener('readable', onReadable)
      socket.removeListener('error', settle)
      socket.removeListener('end', onEnd)
      socket.setTimeout(0)
      socket.removeListener('timeout', onTimeout)
      options.signal.removeEventListener('abort', onAbort)
      if (error === undefined) return done(socket)
      socket.on('error', () => {})
      socket.destroy()
      failed(convertSystemError(error, `connect to ${name} at ${address}`))
    }
    const onTimeout = () => settle(new ConnectionProblem(`${name} at ${address} did not answer in time`))
    const onAbort = () => settle(new ConnectionProblem('the client has gone'))
    const onEnd = () => settle(new ConnectionProblem(`${name} at ${address} closed the connection`))
    let head = Buffer.alloc(0)
    const onReadable = () => {
      const chunk: unknown = socket.read()
      if (!Buffer.isBuffer(chunk)) return
      head = head.length === 0 ? Buffer.from(chunk) : Buffer.concat([head, chunk])
      const compared = Math.min(head.length, start.length)
      if (head.compare(start, 0, compared, 0, compared) !== 0) {
        return settle(new ConnectionProblem(`what answers at ${address} is not the SSH server of ${name}`))
      }
      if (compared < start.length) return
      settle(undefined)
      socket.unshift(head)
    }
    socket.setTimeout(options.timeoutMs, onTimeout)
    socket.on('error', settle)
    socket.on('end', onEnd)
    socket.on('readable', onReadable)
    options.signal.addEventListener('abort', onAbort)
    if (options.signal.aborted) return onAbort()
    if (options.preamble !== '') socket.write(options.preamble)
  })
}

/** Names resolve to allowed addresses only, checked where they are used: no second look-up can give another answer. */
const lookupAllowed: LookupFunction = (hostname, options, callback) => {
  resolve(hostname, { ...options, all: true }, (error, addresses) => {
    if (error !== null) return callback(error, '', 0)
    const allowed = addresses.filter(({ address }) => !isForbidden(address))
    const [first] = allowed
    if (first === undefined) {
      return callback(
        Object.assign(new Error('it resolves to an address that is never dialled'), { code: 'EACCES' }),
        '',
        0,
      )
    }
    if (options.all === true) callback(null, allowed)
    else callback(null, first.address, first.family)
  })
}
