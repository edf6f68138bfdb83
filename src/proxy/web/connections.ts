/** The connections of the HTTPS port before there is a request: how many there may be, and what came without TLS. */

import type { Server } from 'node:https'
import type { Socket } from 'node:net'
import { sourceOf } from '../../common/source.ts'
import { rawAnswer } from './answers.ts'

/** Connections whose handshake is not done. A new one beyond them pushes out the oldest: a flood of silent ones ends itself. */
const maxHandshakes = 512
/** Established connections of one address: a whole office behind one, but not all that there may be. The longest open one goes. */
const maxPerSource = 256

/**
 * Looks at the first byte of each connection before TLS does, so that somebody who typed http:// reads why nothing happens.
 * Returns the open sockets.
 */
export function trackSockets(server: Server, timeoutMs: number): ReadonlySet<Socket> {
  const sockets = new Set<Socket>()
  const handshaking = new Map<string, Socket>()
  const startTls = server.listeners('connection')
  server.removeAllListeners('connection')
  const bySource = new Map<string, Set<Socket>>()
  server.on('secureConnection', (socket) => {
    handshaking.delete(peerOf(socket))
    const source = sourceOf(socket.remoteAddress ?? '')
    const theirs = bySource.get(source) ?? new Set()
    bySource.set(source, theirs.add(socket))
    const leave = (one: Socket) => {
      theirs.delete(one)
      if (theirs.size === 0 && bySource.get(source) === theirs) bySource.delete(source)
    }
    socket.once('close', () => leave(socket))
    const [oldest] = theirs
    if (theirs.size <= maxPerSource || oldest === undefined) return
    leave(oldest)
    oldest.destroy()
  })
  server.on('connection', (socket: Socket) => {
    const peer = peerOf(socket)
    const giveUp = () => socket.destroy()
    sockets.add(socket)
    const [oldest] = handshaking
    if (handshaking.size >= maxHandshakes && oldest !== undefined) {
      handshaking.delete(oldest[0])
      oldest[1].destroy()
    }
    handshaking.set(peer, socket)
    socket.once('close', () => {
      sockets.delete(socket)
      if (handshaking.get(peer) === socket) handshaking.delete(peer)
    })
    socket.on('error', giveUp)
    socket.setNoDelay(true)
    socket.setTimeout(timeoutMs, giveUp)
    socket.once('readable', () => {
      const first: unknown = socket.read()
      if (!Buffer.isBuffer(first)) return giveUp()
      if (isLetter(first[0])) {
        // An HTTP method; TLS begins with 0x16.
        const hint = 'This port speaks HTTPS. Put https:// before the address.\n'
        socket.end(rawAnswer(400, 'Bad Request', 'text/plain; charset=utf-8', hint), giveUp)
        return
      }
      socket.setTimeout(0, giveUp)
      socket.off('error', giveUp)
      socket.unshift(first)
      for (const listener of startTls) listener.call(server, socket)
    })
  })
  return sockets
}

const peerOf = (socket: Socket): string => `${socket.remoteAddress} ${socket.remotePort}`
const isLetter = (byte: number | undefined): boolean =>
  byte !== undefined && ((byte >= 0x41 && byte <= 0x5a) || (byte >= 0x61 && byte <= 0x7a))
