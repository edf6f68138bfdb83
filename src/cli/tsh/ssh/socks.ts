/** The server side of SOCKS 4, 4a and 5 (RFC 1928) without authentication: enough to learn where a `-D` client wants to go. */

import { once } from 'node:events'
import type { Socket } from 'node:net'
import { BadParameter } from '../../../errors/errors.ts'
import type { Endpoint } from './forward-spec.ts'

export interface SocksRequest {
  readonly endpoint: Endpoint
  accept(): void
  refuse(): void
}

/** Reads exactly as many bytes as the grammar needs; never more than a few hundred. */
class Bytes {
  readonly #socket: Socket
  constructor(socket: Socket) {
    this.#socket = socket
  }
  async take(length: number): Promise<Buffer> {
    for (;;) {
      const chunk: unknown = this.#socket.read(length)
      if (Buffer.isBuffer(chunk) && chunk.length === length) return chunk
      if (this.#socket.readableEnded || this.#socket.destroyed) throw new BadParameter('socks', 'the client left early')
      await once(this.#socket, 'readable')
    }
  }
  async untilNul(limit: number): Promise<string> {
    const bytes: number[] = []
    for (;;) {
      const [byte] = await this.take(1)
      if (byte === undefined || byte === 0) return Buffer.from(bytes).toString('latin1')
      bytes.push(byte)
      if (bytes.length > limit) throw new BadParameter('socks', 'a name in the request is too long')
    }
  }
}

/** Throws BadParameter for what is not SOCKS. */
export async function acceptSocks(socket: Socket): Promise<SocksRequest> {
  const bytes = new Bytes(socket)
  const [version] = await bytes.take(1)
  if (version === 4) return await socks4(socket, bytes)
  if (version === 5) return await socks5(socket, bytes)
  throw new BadParameter('socks', 'the client does not speak SOCKS 4 or 5')
}

async function socks4(socket: Socket, bytes: Bytes): Promise<SocksRequest> {
  const head = await bytes.take(7)
  await bytes.untilNul(255)
  const address = head.subarray(3, 7)
  const named = address[0] === 0 && address[1] === 0 && address[2] === 0 && address[3] !== 0
  const host = named ? await bytes.untilNul(255) : address.join('.')
  const answer = (code: number) => socket.write(Buffer.from([0, code, 0, 0, 0, 0, 0, 0]))
  if (head[0] !== 1) {
    answer(91)
    throw new BadParameter('socks', 'only CONNECT is supported')
  }
  return {
    endpoint: { kind: 'tcp', host, port: head.readUInt16BE(1) },
    accept: () => answer(90),
    refuse: () => answer(91),
  }
}

async function socks5(socket: Socket, bytes: Bytes): Promise<SocksRequest> {
  const [methods = 0] = await bytes.take(1)
  const offered = methods === 0 ? Buffer.alloc(0) : await bytes.take(methods)
  if (!offered.includes(0)) {
    socket.write(Buffer.from([5, 0xff]))
    throw new BadParameter('socks', 'the client insists on SOCKS authentication')
  }
  socket.write(Buffer.from([5, 0]))
  const [, command, , type] = await bytes.take(4)
  const answer = (code: number) => socket.write(Buffer.from([5, code, 0, 1, 0, 0, 0, 0, 0, 0]))
  let host: string
  if (type === 1) host = (await bytes.take(4)).join('.')
  else if (type === 4) host = (await bytes.take(16)).toString('hex').replace(/(.{4})(?!$)/g, '$1:')
  else if (type === 3) host = (await bytes.take((await bytes.take(1))[0] ?? 0)).toString('latin1')
  else {
    answer(8)
    throw new BadParameter('socks', 'unknown address type')
  }
  const port = (await bytes.take(2)).readUInt16BE(0)
  if (command !== 1) {
    answer(7)
    throw new BadParameter('socks', 'only CONNECT is supported')
  }
  return { endpoint: { kind: 'tcp', host, port }, accept: () => answer(0), refuse: () => answer(5) }
}
