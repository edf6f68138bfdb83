/** The transport's own small messages (RFC 4253 section 11, OpenSSH's PROTOCOL 1.8): DISCONNECT, UNIMPLEMENTED, PING and PONG. */

import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { printable } from './failure.ts'
import { Message } from './messages.ts'

export const encodeDisconnect = (reason: number, message: string): Buffer =>
  new WireWriter(128).byte(Message.DISCONNECT).uint32(reason).string(message).string('').take()

/** Throws WireError. The text is safe to be shown. */
export function readDisconnect(payload: Buffer): { readonly reason: number; readonly text: string } {
  const reader = new WireReader(payload, 1)
  const reason = reader.uint32()
  return { reason, text: printable(reader.string(4096).toString('utf8')) }
}

export const encodeUnimplemented = (sequence: number): Buffer =>
  new WireWriter(8).byte(Message.UNIMPLEMENTED).uint32(sequence).take()

/** The PONG for a PING, with its data. Throws WireError. */
export function answerPing(payload: Buffer): Buffer {
  const reader = new WireReader(payload, 1)
  const data = reader.string()
  reader.end()
  return new WireWriter(data.length + 8).byte(Message.PONG).string(data).take()
}
