/** Sockets that belong to a user: made, bound and connected with the user's rights, whoever runs the daemon. */

import { chmodSync, closeSync, unlinkSync } from 'node:fs'
import { Server, Socket, type SocketConstructorOpts } from 'node:net'
import { getSystemErrorName } from 'node:util'
import { BadParameter } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'
import type { Account } from './account-files.ts'
import { asUser } from './as-user.ts'
import { type Libc, libc } from './libc.ts'
import type { Privileges } from './privileges.ts'

const AF_UNIX = 1
const AF_INET = 2
const AF_INET6 = 10
const SOCK_STREAM_NONBLOCK_CLOEXEC = 1 | 0o4000 | 0o2000000
const SOL_SOCKET = 1
const SO_REUSEADDR = 2
/** Linux: sizeof sun_path, with its NUL. */
const maxPath = 108

export interface UserSockets {
  readonly account: Account
  readonly privileges: Privileges
}

/**
 * A TCP connection whose socket is owned by the user, so that firewall rules for users count. `address` is an IP address.
 * Rejects with a kind of `src/errors`.
 */
export function connectTcp(owner: UserSockets, address: string, port: number, signal: AbortSignal): Promise<Socket> {
  const c = libc()
  const family = address.includes(':') ? AF_INET6 : AF_INET
  const fd = asUser(owner.account, owner.privileges, () => newSocket(c, family))
  // Not connected yet, so reading must not begin; Node.js has the option without documenting it.
  const options: SocketConstructorOpts & { manualStart: boolean } = { fd, manualStart: true, allowHalfOpen: true }
  const socket = new Socket(options)
  return new Promise((resolve, reject) => {
    const abort = (): void => {
      socket.destroy(new Error('cancelled'))
    }
    const done = (): void => {
      signal.removeEventListener('abort', abort)
      socket.removeListener('error', fail)
    }
    const fail = (error: Error): void => {
      done()
      socket.on('error', () => {})
      socket.destroy()
      reject(convertSystemError(error, `connect to ${address} port ${port}`))
    }
    signal.addEventListener('abort', abort)
    socket.on('error', fail)
    socket.connect({ host: address, port, autoSelectFamily: false }, () => {
      done()
      socket.setNoDelay(true)
      resolve(socket)
    })
    if (signal.aborted) abort()
  })
}

/** Connects to a unix socket. The server sees the user as its peer. Throws a kind of `src/errors`. */
export function connectUnix(owner: UserSockets, path: string): Socket {
  const c = libc()
  const address = unixAddress(path)
  const fd = asUser(owner.account, owner.privileges, () => {
    const made = newSocket(c, AF_UNIX)
    if (c.functions.connect(made, address, address.length) !== 0) throw failed(c, made, `connect to ${path}`)
    return made
  })
  return new Socket({ fd, readable: true, writable: true, allowHalfOpen: true })
}

/** Listens on a unix socket that only the user (and root) can reach, mode 0600. Throws a kind of `src/errors`; an existing file is left alone. */
export function listenUnix(owner: UserSockets, path: string): Server {
  const c = libc()
  const address = unixAddress(path)
  const fd = asUser(owner.account, owner.privileges, () => {
    const made = newSocket(c, AF_UNIX)
    const umask = process.umask(0o177)
    try {
      if (c.functions.bind(made, address, address.length) !== 0) throw failed(c, made, `listen on ${path}`)
    } finally {
      process.umask(umask)
    }
    chmodSync(path, 0o600)
    if (c.functions.listen(made, 128) !== 0) throw failed(c, made, `listen on ${path}`)
    return made
  })
  const server = new Server({ allowHalfOpen: true })
  server.listen({ fd })
  return server
}

/**
 * Listens on TCP with the user's rights, so that a low port fails as it would for the user. `address` is an IP address; port 0
 * lets the kernel choose. Throws a kind of `src/errors`.
 */
export function listenTcp(owner: UserSockets, address: '127.0.0.1' | '::1', port: number): Server {
  const c = libc()
  const doing = `listen on ${address} port ${port}`
  const name = tcpAddress(address, port)
  const fd = asUser(owner.account, owner.privileges, () => {
    const made = newSocket(c, address === '::1' ? AF_INET6 : AF_INET)
    const on = Buffer.alloc(4)
    on.writeInt32LE(1)
    // As every server does: connections of an earlier session in TIME_WAIT must not block the port.
    c.functions.setsockopt(made, SOL_SOCKET, SO_REUSEADDR, on, on.length)
    if (c.functions.bind(made, name, name.length) !== 0) throw failed(c, made, doing)
    if (c.functions.listen(made, 128) !== 0) throw failed(c, made, doing)
    return made
  })
  const server = new Server({ allowHalfOpen: true })
  server.listen({ fd })
  return server
}

/** Removes a socket file with the user's rights; a file that is gone already is no error. */
export function unlinkAsUser(owner: UserSockets, path: string): void {
  try {
    asUser(owner.account, owner.privileges, () => unlinkSync(path))
  } catch {}
}

function newSocket(c: Libc, family: number): number {
  const fd = c.functions.socket(family, SOCK_STREAM_NONBLOCK_CLOEXEC, 0)
  if (fd < 0) throw failed(c, undefined, 'make a socket')
  return fd
}

function failed(c: Libc, fd: number | undefined, doing: string): Error {
  const errno = c.errno()
  if (fd !== undefined) closeSync(fd)
  return convertSystemError({ code: getSystemErrorName(-errno) }, doing)
}

/** `struct sockaddr_un`. A leading NUL would be Linux's abstract names, which no permission protects. */
function unixAddress(path: string): Buffer {
  const bytes = Buffer.from(path)
  if (!path.startsWith('/')) throw new BadParameter('path', 'the path of a unix socket must start with /')
  if (bytes.includes(0) || bytes.length >= maxPath) {
    throw new BadParameter('path', `the path of a unix socket may have at most ${maxPath - 1} bytes`)
  }
  const address = Buffer.alloc(2 + bytes.length + 1)
  address.writeUInt16LE(AF_UNIX, 0)
  bytes.copy(address, 2)
  return address
}

/** `struct sockaddr_in` or `sockaddr_in6` of a loopback address. */
function tcpAddress(address: '127.0.0.1' | '::1', port: number): Buffer {
  const name = Buffer.alloc(address === '::1' ? 28 : 16)
  name.writeUInt16LE(address === '::1' ? AF_INET6 : AF_INET, 0)
  name.writeUInt16BE(port, 2)
  if (address === '::1') name[23] = 1
  else name.set([127, 0, 0, 1], 4)
  return name
}
