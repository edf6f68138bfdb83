/** Listeners for forwarded connections: a TCP port, or a Unix socket that only its owner can reach. */

import { chmod } from 'node:fs/promises'
import { createServer, type Server, type Socket } from 'node:net'
import { convertSystemError, messageOf } from '../../errors/system.ts'

export type ListenAt = { readonly host: string; readonly port: number } | { readonly path: string }

export interface ForwardListener extends AsyncDisposable {
  /** The bound port, also where 0 was asked for; 0 for Unix sockets. */
  readonly port: number
  /** Stops listening (a Unix socket's file goes too) and, with `destroy`, cuts the connections accepted so far. */
  close(destroy?: boolean): Promise<void>
}

export interface ListenOptions {
  /** Called for each accepted connection; it owns the socket. What it throws closes that socket alone. */
  onConnection(socket: Socket): void | Promise<void>
  /** Connections at a time, 1,000 if not given; more are closed at once. */
  readonly maxConnections?: number
  onError?(message: string): void
}

/** Sockets are half-open capable and have no delay. Throws what `convertSystemError` makes of a failing bind. */
export async function listenForward(at: ListenAt, options: ListenOptions): Promise<ForwardListener> {
  const sockets = new Set<Socket>()
  const server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    const failed = (error: unknown): void => {
      options.onError?.(messageOf(error))
      socket.destroy()
    }
    socket.on('error', () => {})
    try {
      const result = options.onConnection(socket)
      if (result instanceof Promise) result.catch(failed)
    } catch (error) {
      failed(error)
    }
  })
  server.maxConnections = options.maxConnections ?? 1000
  await bind(server, at)
  server.on('error', (error) => options.onError?.(messageOf(error)))
  const address = server.address()
  const close = (destroy = false): Promise<void> => {
    const closed = new Promise<void>((resolve) => {
      if (destroy) server.close(() => resolve())
      else {
        server.close()
        resolve()
      }
    })
    if (destroy) for (const socket of sockets) socket.destroy()
    return closed
  }
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    close,
    [Symbol.asyncDispose]: () => close(true),
  }
}

async function bind(server: Server, at: ListenAt): Promise<void> {
  const isPath = 'path' in at
  const listening = new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.off('error', reject)
      resolve()
    })
  })
  // bind(2) happens inside listen(): the umask closes the moment in which others could connect before chmod.
  const umask = isPath ? process.umask(0o177) : 0
  try {
    server.listen(isPath ? { path: at.path } : { host: at.host, port: at.port })
  } finally {
    if (isPath) process.umask(umask)
  }
  try {
    await listening
    if (isPath) await chmod(at.path, 0o600)
  } catch (error) {
    server.close()
    throw convertSystemError(error, `listen on ${isPath ? at.path : `${at.host}:${at.port}`}`)
  }
}
