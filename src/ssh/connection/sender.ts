/** The sending half of the multiplexer: small reusable headers, and the queue of channels that wait for the transport. */

import type { Transport } from '../transport/types.ts'
import type { SshChannel } from './channel.ts'
import { encodeChannelRequest, msg } from './messages.ts'

export abstract class MessageSender {
  readonly maxOutstandingReplies: number
  blocked = false
  readonly #transport: Transport
  readonly #waiting = new Set<SshChannel>()
  readonly #dataHeader = Buffer.alloc(9)
  readonly #extendedHeader = Buffer.alloc(13)
  readonly #small = Buffer.alloc(9)
  #repliesWhileBlocked = 0

  constructor(transport: Transport, maxOutstandingReplies: number) {
    this.#transport = transport
    this.maxOutstandingReplies = maxOutstandingReplies
    this.#dataHeader[0] = msg.channelData
    this.#extendedHeader[0] = msg.channelExtendedData
  }

  abstract protocolError(message: string): void

  sendData(remoteId: number, code: number, parts: readonly Buffer[], size: number): void {
    if (code === 0) {
      this.#dataHeader.writeUInt32BE(remoteId, 1)
      this.#dataHeader.writeUInt32BE(size, 5)
      this.#sent(this.#transport.send(this.#dataHeader, ...parts))
      return
    }
    this.#extendedHeader.writeUInt32BE(remoteId, 1)
    this.#extendedHeader.writeUInt32BE(code, 5)
    this.#extendedHeader.writeUInt32BE(size, 9)
    this.#sent(this.#transport.send(this.#extendedHeader, ...parts))
  }

  sendAdjust(remoteId: number, bytes: number): void {
    this.#small[0] = msg.channelWindowAdjust
    this.#small.writeUInt32BE(remoteId, 1)
    this.#small.writeUInt32BE(bytes, 5)
    this.send(this.#small)
  }

  sendEof(remoteId: number): void {
    this.#sendShort(msg.channelEof, remoteId)
  }

  sendClose(channel: SshChannel): void {
    this.#sendShort(msg.channelClose, channel.remoteId)
  }

  sendRequest(remoteId: number, name: string, wantReply: boolean, extra: Buffer): void {
    this.send(encodeChannelRequest(remoteId, name, wantReply, extra))
  }

  sendAnswer(remoteId: number, success: boolean): void {
    this.#sendShort(success ? msg.channelSuccess : msg.channelFailure, remoteId)
    this.countReply()
  }

  waitWritable(channel: SshChannel): void {
    this.#waiting.add(channel)
  }

  protected send(message: Buffer): void {
    if (!this.#transport.isClosed) this.#sent(this.#transport.send(message))
  }

  #sendShort(type: number, remoteId: number): void {
    this.#small[0] = type
    this.#small.writeUInt32BE(remoteId, 1)
    this.send(this.#small.subarray(0, 5))
  }

  #sent(hasRoom: boolean): void {
    if (hasRoom || this.blocked) return
    this.blocked = true
    void this.#transport.drained().then(() => this.#unblocked())
  }

  #unblocked(): void {
    this.blocked = false
    this.#repliesWhileBlocked = 0
    for (const channel of this.#waiting) {
      if (this.blocked) return // those that did not get their turn stay first in line
      this.#waiting.delete(channel)
      channel.resumeSending()
    }
  }

  /** A peer that asks and never reads the answers would fill our outgoing queue. */
  protected countReply(): void {
    if (!this.blocked || ++this.#repliesWhileBlocked <= this.maxOutstandingReplies) return
    this.protocolError('too many requests without reading the answers')
  }

  protected forget(channel: SshChannel): void {
    this.#waiting.delete(channel)
  }

  protected forgetAll(): void {
    this.#waiting.clear()
  }
}
