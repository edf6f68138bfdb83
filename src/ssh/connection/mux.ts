/**
 * The connection protocol (RFC 4254) over one transport, for both roles: numbers channels, routes messages, bounds everything
 * the peer can make us hold. What channel types and requests mean is decided by the handlers it is given.
 */

import type { Logger } from '../../common/log.ts'
import { ConnectionProblem, LimitExceeded } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { Limits, Transport } from '../transport/types.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { SshChannel } from './channel.ts'
import type { ChannelHost } from './channel-host.ts'
import {
  disconnectReason,
  encodeConfirmation,
  encodeGlobalRequest,
  encodeOpen,
  encodeOpenFailure,
  msg,
  noBytes,
  openFailureOf,
} from './messages.ts'
import {
  type ChannelKind,
  type GlobalRequestHandler,
  type IncomingOpen,
  type MuxOptions,
  plainChannel,
} from './mux-types.ts'
import { AnswerQueue, ReplyQueue } from './replies.ts'
import { MessageSender } from './sender.ts'
import { ChannelOpenError, type OpenFailure } from './types.ts'

interface Opening {
  readonly type: string
  readonly kind: ChannelKind
  resolve(channel: SshChannel): void
  reject(error: Error): void
}

/** Below this a peer could make us cut data into crumbs; a maximum packet of 0 would even loop for ever. */
const smallestPacket = 1024
/** Larger packets gain nothing and delay other channels. */
const largestPacket = 64 * 1024

export class ConnectionMux extends MessageSender implements ChannelHost {
  readonly #transport: Transport
  readonly #limits: Limits
  readonly #onOpen: (open: IncomingOpen) => void
  readonly #onGlobalRequest: GlobalRequestHandler
  readonly #logger: Logger | undefined
  /** Ours by number: open or closing channels, opens we wait for, and opens of the peer that a handler thinks about. */
  readonly #channels = new Map<number, SshChannel | Opening | 'incoming'>()
  readonly #globalReplies: ReplyQueue<Buffer>
  readonly #globalAnswers: AnswerQueue
  #nextId = 0
  #sessions = 0
  #ended: Error | undefined

  constructor(options: MuxOptions) {
    super(options.transport, options.limits.maxOutstandingReplies)
    this.#transport = options.transport
    this.#limits = options.limits
    this.#onOpen = options.onOpen
    this.#onGlobalRequest = options.onGlobalRequest
    this.#logger = options.logger
    this.#globalReplies = new ReplyQueue(options.limits.maxOutstandingReplies)
    this.#globalAnswers = new AnswerQueue(options.limits.maxOutstandingReplies)
  }

  /** Begins to serve messages. Call once, after authentication. */
  start(): void {
    void this.#transport.closed.then((error) => this.#lost(error))
    this.#transport.start((payload) => this.#receive(payload))
  }

  get windowSize(): number {
    return this.#limits.windowSize
  }

  /** Session channels, those that are being opened among them. */
  get sessionCount(): number {
    return this.#sessions
  }

  /** Channels that count against the limit. */
  get channelCount(): number {
    return this.#channels.size
  }

  /**
   * Opens a channel. Rejects with ChannelOpenError when the peer refuses, LimitExceeded when too many are open, ConnectionProblem
   * when the connection ends.
   */
  open(type: string, extra: Buffer, kind: ChannelKind = plainChannel): Promise<SshChannel> {
    if (this.#ended !== undefined) return Promise.reject(this.#ended)
    if (this.#channels.size >= this.#limits.maxChannels) {
      return Promise.reject(new LimitExceeded(`${this.#channels.size} channels are open on this connection already`))
    }
    const senderId = this.#takeId()
    return new Promise((resolve, reject) => {
      this.#channels.set(senderId, { type, kind, resolve, reject })
      const { windowSize: window, maxPacketSize: maxPacket } = this.#limits
      this.send(encodeOpen({ type, senderId, window, maxPacket, extra }))
    })
  }

  /** Sends a global request and resolves to the content of SUCCESS, or false for FAILURE or a lost connection. */
  globalRequest(name: string, extra: Buffer = noBytes): Promise<Buffer | false> {
    if (this.#ended !== undefined) return Promise.resolve(false)
    const answer = this.#globalReplies.expect()
    if (answer === 'full') return this.#globalReplies.refusal()
    this.send(encodeGlobalRequest(name, true, extra))
    return answer
  }

  notify(name: string, extra: Buffer = noBytes): void {
    if (this.#ended === undefined) this.send(encodeGlobalRequest(name, false, extra))
  }

  // ---- for channels ----

  release(channel: SshChannel): void {
    this.forget(channel)
    if (this.#channels.delete(channel.localId) && channel.channelType === 'session') this.#sessions--
  }

  protocolError(message: string): void {
    if (this.#ended !== undefined) return
    this.#ended = new ConnectionProblem(`the other side broke the SSH protocol: ${message}`)
    this.#logger?.warn('SSH protocol error', { problem: message })
    this.#transport.disconnect(disconnectReason.protocolError, message)
  }

  // ---- receiving ----

  #receive(payload: Buffer): void {
    if (this.#ended !== undefined) return
    try {
      this.#dispatch(payload)
    } catch (error) {
      if (error instanceof WireError) {
        this.protocolError(error.message)
        return
      }
      this.#logger?.error('SSH connection handler failed', { error: messageOf(error) })
      this.#ended = new ConnectionProblem('internal error', { cause: error })
      this.#transport.disconnect(disconnectReason.byApplication, 'internal error')
    }
  }

  #dispatch(payload: Buffer): void {
    switch (payload[0]) {
      case msg.channelData:
        this.#data(payload)
        return
      case msg.channelExtendedData:
        this.#extendedData(payload)
        return
      case msg.channelWindowAdjust:
        this.#adjust(payload)
        return
      case msg.channelEof:
        this.#channel(readId(payload, 5), 'EOF')?.receiveEof()
        return
      case msg.channelClose:
        this.#channel(readId(payload, 5), 'CLOSE')?.receiveClose()
        return
      case msg.channelRequest:
        this.#channelRequest(payload)
        return
      case msg.channelSuccess:
      case msg.channelFailure: {
        const channel = this.#channels.get(readId(payload, 5))
        if (channel instanceof SshChannel) channel.replies.settle(payload[0] === msg.channelSuccess)
        return
      }
      case msg.channelOpen:
        this.#open(payload)
        return
      case msg.channelOpenConfirmation:
        this.#confirmed(payload)
        return
      case msg.channelOpenFailure:
        this.#refused(payload)
        return
      case msg.globalRequest:
        this.#global(payload)
        return
      case msg.requestSuccess:
        this.#globalReplies.settle(Buffer.from(payload.subarray(1)))
        return
      case msg.requestFailure:
        this.#globalReplies.settle(false)
        return
      default:
        this.#transport.unimplemented()
    }
  }

  /** The channel of a message that must name an open one. */
  #channel(id: number, what: string): SshChannel | undefined {
    const channel = this.#channels.get(id)
    if (channel instanceof SshChannel) return channel
    this.protocolError(`${what} for channel ${id}, which is not open`)
    return undefined
  }

  #data(payload: Buffer): void {
    if (payload.length < 9) throw new WireError('truncated channel data')
    const size = payload.readUInt32BE(5)
    if (size !== payload.length - 9) throw new WireError('channel data of another length than announced')
    if (size > this.#limits.maxPacketSize) throw new WireError('channel data larger than the maximum packet size')
    this.#channel(payload.readUInt32BE(1), 'data')?.receiveData(payload.subarray(9))
  }

  #extendedData(payload: Buffer): void {
    if (payload.length < 13) throw new WireError('truncated extended data')
    const size = payload.readUInt32BE(9)
    if (size !== payload.length - 13) throw new WireError('extended data of another length than announced')
    if (size > this.#limits.maxPacketSize) throw new WireError('extended data larger than the maximum packet size')
    const channel = this.#channel(payload.readUInt32BE(1), 'extended data')
    channel?.receiveExtendedData(payload.readUInt32BE(5), payload.subarray(13))
  }

  #adjust(payload: Buffer): void {
    const channel = this.#channels.get(readId(payload, 9))
    // For a channel that is gone it comes too late, which OpenSSH tolerates too.
    if (channel instanceof SshChannel) channel.receiveAdjust(payload.readUInt32BE(5))
  }

  #channelRequest(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    const channel = this.#channel(reader.uint32(), 'request')
    const name = reader.ascii(256)
    const wantReply = reader.boolean()
    channel?.receiveRequest(name, wantReply, Buffer.from(reader.rest()))
  }

  #global(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    const name = reader.ascii(256)
    const wantReply = reader.boolean()
    const answer = this.#globalAnswers.reserve()
    if (answer === undefined) {
      this.protocolError('too many global requests are waiting for an answer')
      return
    }
    this.#onGlobalRequest(name, new WireReader(Buffer.from(reader.rest())), (content) => {
      answer(() => {
        if (!wantReply || this.#ended !== undefined) return
        if (content === false) this.send(Buffer.of(msg.requestFailure))
        else this.send(Buffer.concat([Buffer.of(msg.requestSuccess), content]))
        this.countReply()
      })
    })
  }

  #open(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    const type = reader.ascii(256)
    const remoteId = reader.uint32()
    const sendWindow = reader.uint32()
    const maxSend = reader.uint32()
    const extra = new WireReader(Buffer.from(reader.rest()))
    const refuse = (failure: OpenFailure, message: string): void => {
      if (this.#ended !== undefined) return
      this.send(encodeOpenFailure(remoteId, failure, message))
      this.countReply()
    }
    const refusal = this.#refusal(type, maxSend)
    if (refusal !== undefined) {
      refuse(refusal.failure, refusal.message)
      return
    }
    const localId = this.#takeId()
    this.#channels.set(localId, 'incoming')
    if (type === 'session') this.#sessions++
    let open = true
    this.#onOpen({
      type,
      extra,
      accept: (kind = plainChannel) => {
        if (!open || this.#ended !== undefined) return undefined
        open = false
        const parameters = { type, localId, remoteId, sendWindow, maxSend: Math.min(maxSend, largestPacket), ...kind }
        const channel = new SshChannel(this, parameters)
        this.#channels.set(localId, channel)
        this.send(encodeConfirmation(remoteId, localId, this.#limits.windowSize, this.#limits.maxPacketSize))
        return channel
      },
      refuse: (failure, message) => {
        if (!open) return
        open = false
        this.#channels.delete(localId)
        if (type === 'session') this.#sessions--
        refuse(failure, message)
      },
    })
  }

  #refusal(type: string, maxSend: number): ChannelOpenError | undefined {
    if (maxSend < smallestPacket) return new ChannelOpenError('prohibited', 'the maximum packet size is too small')
    const { maxChannels, maxSessions } = this.#limits
    if (this.#channels.size >= maxChannels) return new ChannelOpenError('resource-shortage', 'too many channels')
    if (type === 'session' && this.#sessions >= maxSessions) {
      return new ChannelOpenError('resource-shortage', 'too many sessions')
    }
    return undefined
  }

  #confirmed(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    const localId = reader.uint32()
    const remoteId = reader.uint32()
    const sendWindow = reader.uint32()
    const maxPacket = reader.uint32()
    const opening = this.#opening(localId, 'confirmation')
    if (opening === undefined) return
    const { type, kind } = opening
    const parameters = { type, localId, remoteId, sendWindow, maxSend: Math.min(maxPacket, largestPacket), ...kind }
    const channel = new SshChannel(this, parameters)
    this.#channels.set(localId, channel)
    if (type === 'session') this.#sessions++
    if (maxPacket < smallestPacket) {
      channel.destroy()
      opening.reject(new ConnectionProblem(`the other side takes packets of ${maxPacket} bytes only`))
      return
    }
    opening.resolve(channel)
  }

  #refused(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    const localId = reader.uint32()
    const code = reader.uint32()
    const message = reader.string(65_536).subarray(0, 1024).toString('utf8')
    const opening = this.#opening(localId, 'refusal')
    if (opening === undefined) return
    this.#channels.delete(localId)
    opening.reject(new ChannelOpenError(openFailureOf(code), message))
  }

  #opening(localId: number, what: string): Opening | undefined {
    const opening = this.#channels.get(localId)
    if (opening !== undefined && opening !== 'incoming' && !(opening instanceof SshChannel)) return opening
    this.protocolError(`${what} of a channel that was not asked for`)
    return undefined
  }

  #takeId(): number {
    while (this.#channels.has(this.#nextId)) this.#nextId = (this.#nextId + 1) >>> 0
    const id = this.#nextId
    this.#nextId = (id + 1) >>> 0
    return id
  }

  #lost(error: Error | undefined): void {
    const { farewell } = this.#transport
    const words =
      farewell === undefined ? 'the SSH connection is closed' : `the other side ended the connection: ${farewell}`
    const reason = error ?? new ConnectionProblem(words)
    this.#ended ??= reason
    this.#globalReplies.closeAll()
    const entries = [...this.#channels.values()]
    this.#channels.clear()
    this.forgetAll()
    for (const entry of entries) {
      if (entry instanceof SshChannel) entry.connectionLost(reason)
      else if (entry !== 'incoming') entry.reject(reason)
    }
  }
}

function readId(payload: Buffer, size: number): number {
  if (payload.length !== size) throw new WireError('message of another length than it must have')
  return payload.readUInt32BE(1)
}
