/** EXT_INFO (RFC 8308): what we tell the peer, and what it tells us. */

import { signatureAlgorithms } from '../keys/algorithms.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { DisconnectReason, Message } from './messages.ts'
import { ProtocolProblem } from './problem.ts'

const MAX_EXTENSIONS = 64
const MAX_VALUE = 16 * 1024

export function encodeExtensionInfo(role: 'client' | 'server'): Buffer {
  const entries =
    role === 'server'
      ? [
          ['server-sig-algs', signatureAlgorithms.join(',')],
          ['publickey-hostbound@openssh.com', '0'],
          ['ping@openssh.com', '0'],
        ]
      : [['ping@openssh.com', '0']]
  const writer = new WireWriter(512).byte(Message.EXT_INFO).uint32(entries.length)
  for (const [name, value] of entries) writer.string(name ?? '').string(value ?? '')
  return writer.take()
}

/** Adds the entries of one message to `known`. Throws WireError and ProtocolProblem. */
export function readExtensionInfo(payload: Buffer, known: Map<string, Buffer>): void {
  const reader = new WireReader(payload, 1)
  const count = reader.uint32()
  if (count > MAX_EXTENSIONS)
    throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, `EXT_INFO with ${count} entries`)
  for (let index = 0; index < count; index++) known.set(reader.ascii(256), Buffer.from(reader.string(MAX_VALUE)))
  reader.end()
}
