/** A line that delays, cuts into odd pieces, carries little and can stand still: what a bad network does to TCP, without the right to change one. */

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'
import { pipeline } from 'node:stream/promises'

export interface SlowLine {
  /** On 127.0.0.1. */
  readonly port: number
  /** Bytes from the target so far. */
  readonly carried: number
  /** Nothing passes until it goes on. */
  standStill(is: boolean): void
  close(): void
}

export interface SlowLineOptions {
  /** Milliseconds for each piece. */
  readonly delayMs: number
  readonly bytesPerSecond: number
}

/** To a port of 127.0.0.1. */
export async function slowLine(target: number, { delayMs, bytesPerSecond }: SlowLineOptions): Promise<SlowLine> {
  const sockets = new Set<Socket>()
  let carried = 0
  let moving = Promise.resolve()
  let go: (() => void) | undefined
  async function* slow(source: AsyncIterable<Buffer>, counts: boolean): AsyncGenerator<Buffer> {
    for await (const chunk of source) {
      await sleep(delayMs)
      for (let at = 0, size = 1; at < chunk.length; at += size, size = 1 + ((size * 7919) % 9973)) {
        await moving
        const piece = chunk.subarray(at, at + size)
        await sleep((piece.length / bytesPerSecond) * 1000)
        if (counts) carried += piece.length
        yield piece
      }
    }
  }
  const server = createServer({ allowHalfOpen: true }, (near) => {
    const far = connect({ port: target, host: '127.0.0.1', allowHalfOpen: true })
    for (const socket of [near, far]) {
      socket.setNoDelay(true)
      sockets.add(socket)
      socket.once('close', () => sockets.delete(socket))
    }
    const end = (): void => {
      near.destroy()
      far.destroy()
    }
    pipeline(near, (source) => slow(source, false), far).catch(end)
    pipeline(far, (source) => slow(source, true), near).catch(end)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    port: typeof address === 'object' && address !== null ? address.port : 0,
    get carried() {
      return carried
    },
    standStill(is) {
      go?.()
      go = undefined
      if (!is) return
      moving = new Promise((resolve) => {
        go = resolve
      })
    },
    close() {
      go?.()
      server.close()
      for (const socket of sockets) socket.destroy()
    },
  }
}

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
