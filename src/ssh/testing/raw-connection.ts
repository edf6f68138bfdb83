/** A logged-in connection of our server whose other end is a test that may send any payload. */

import { silentLogger } from '../../common/log.ts'
import { AuthenticatedConnection } from '../server-connection.ts'
import type { ServerHandlers } from '../server-types.ts'
import { resolveLimits } from '../transport/limits.ts'
import type { Limits } from '../transport/types.ts'
import { WireWriter } from '../wire/writer.ts'
import { type PipeTransport, transportPair } from './pipe-transport.ts'

export interface RawConnection {
  readonly connection: AuthenticatedConnection<undefined>
  /** The peer's end: `send` any payload. */
  readonly peer: PipeTransport
  readonly server: PipeTransport
  /** Payloads the server sent, when the peer reads. */
  readonly received: Buffer[]
}

export interface RawOptions {
  readonly limits?: Partial<Limits>
  /** False: the peer never reads, so that the server's outgoing queue fills. */
  readonly reads?: boolean
  readonly keep?: boolean
}

export function rawConnection(handlers: ServerHandlers<undefined>, options: RawOptions = {}): RawConnection {
  const { client: peer, server } = transportPair()
  const nowhere = { address: '127.0.0.1', port: 1 }
  const connection = new AuthenticatedConnection<undefined>({
    pending: { id: 'raw', peer: nowhere, socketPeer: nowhere, localAddress: nowhere, clientVersion: 'SSH-2.0-raw' },
    transport: server,
    auth: { user: 'me', identity: undefined, certificate: undefined },
    handlers,
    limits: resolveLimits(options.limits),
    logger: silentLogger,
  })
  const received: Buffer[] = []
  if (options.reads !== false) {
    peer.start((payload) => {
      if (options.keep !== false) received.push(Buffer.from(payload))
    })
  }
  connection.mux.start()
  return { connection, peer, server, received }
}

export interface RawOpen {
  readonly type?: string
  readonly id?: number
  readonly window?: number
  readonly maxPacket?: number
  readonly extra?: Buffer
}

export const rawOpen = ({
  type = 'session',
  id = 0,
  window = 65_536,
  maxPacket = 32_768,
  extra,
}: RawOpen = {}): Buffer =>
  new WireWriter()
    .byte(90)
    .string(type)
    .uint32(id)
    .uint32(window)
    .uint32(maxPacket)
    .bytes(extra ?? Buffer.alloc(0))
    .take()

export const rawData = (channel: number, data: Buffer): Buffer =>
  new WireWriter().byte(94).uint32(channel).string(data).take()

export const rawRequest = (
  channel: number,
  name: string,
  wantReply: boolean,
  extra: Buffer = Buffer.alloc(0),
): Buffer => new WireWriter().byte(98).uint32(channel).string(name).boolean(wantReply).bytes(extra).take()

export const rawNumbers = (type: number, ...numbers: number[]): Buffer => {
  const writer = new WireWriter().byte(type)
  for (const number of numbers) writer.uint32(number)
  return writer.take()
}

export const rawGlobal = (name: string, wantReply: boolean, extra: Buffer = Buffer.alloc(0)): Buffer =>
  new WireWriter().byte(80).string(name).boolean(wantReply).bytes(extra).take()
