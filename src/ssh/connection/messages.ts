/** Message numbers and names of the connection protocol (RFC 4254), and the few encoders that both roles share. */

import { WireWriter } from '../wire/writer.ts'
import type { OpenFailure } from './types.ts'

export const msg = {
  globalRequest: 80,
  requestSuccess: 81,
  requestFailure: 82,
  channelOpen: 90,
  channelOpenConfirmation: 91,
  channelOpenFailure: 92,
  channelWindowAdjust: 93,
  channelData: 94,
  channelExtendedData: 95,
  channelEof: 96,
  channelClose: 97,
  channelRequest: 98,
  channelSuccess: 99,
  channelFailure: 100,
} as const

/** RFC 4253 section 11.1; only the reasons this layer gives. */
export const disconnectReason = {
  protocolError: 2,
  serviceNotAvailable: 7,
  connectionLost: 10,
  byApplication: 11,
  tooManyConnections: 12,
} as const

/** The only extended data code there is (RFC 4254 section 5.2). */
export const stderrCode = 1

export const maxUint32 = 0xffff_ffff

const failureCodes = {
  prohibited: 1,
  'connect-failed': 2,
  'unknown-channel-type': 3,
  'resource-shortage': 4,
} as const satisfies Record<OpenFailure, number>

export const openFailureCode = (failure: OpenFailure): number => failureCodes[failure]

/** Codes nobody defined count as refusals: the peer said no, and that is all we know. */
export function openFailureOf(code: number): OpenFailure {
  for (const [name, value] of Object.entries(failureCodes)) if (value === code) return name as OpenFailure
  return 'prohibited'
}

export interface OpenMessage {
  readonly type: string
  readonly senderId: number
  readonly window: number
  readonly maxPacket: number
  readonly extra: Buffer
}

export function encodeOpen(open: OpenMessage): Buffer {
  return new WireWriter(64)
    .byte(msg.channelOpen)
    .string(open.type)
    .uint32(open.senderId)
    .uint32(open.window)
    .uint32(open.maxPacket)
    .bytes(open.extra)
    .take()
}

export function encodeConfirmation(recipientId: number, senderId: number, window: number, maxPacket: number): Buffer {
  return new WireWriter(17)
    .byte(msg.channelOpenConfirmation)
    .uint32(recipientId)
    .uint32(senderId)
    .uint32(window)
    .uint32(maxPacket)
    .take()
}

export function encodeOpenFailure(recipientId: number, failure: OpenFailure, message: string): Buffer {
  return new WireWriter(64)
    .byte(msg.channelOpenFailure)
    .uint32(recipientId)
    .uint32(openFailureCode(failure))
    .string(message.slice(0, 1024))
    .string('')
    .take()
}

export function encodeChannelRequest(recipientId: number, name: string, wantReply: boolean, extra: Buffer): Buffer {
  return new WireWriter(64)
    .byte(msg.channelRequest)
    .uint32(recipientId)
    .string(name)
    .boolean(wantReply)
    .bytes(extra)
    .take()
}

export function encodeGlobalRequest(name: string, wantReply: boolean, extra: Buffer): Buffer {
  return new WireWriter(64).byte(msg.globalRequest).string(name).boolean(wantReply).bytes(extra).take()
}

export const noBytes: Buffer = Buffer.alloc(0)
