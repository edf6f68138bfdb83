/**
 * The packet stream (RFC 4253): version exchange, keys and their renewal, and the rules about which message may come when.
 * Everything a peer can make us keep or wait for is bounded here, and whatever it breaks ends this one connection.
 */

import type { Duplex } from 'node:stream'
import { ConnectionProblem, LimitExceeded } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'
import { answerPing, encodeDisconnect, encodeUnimplemented, readDisconnect } from './control-messages.ts'
import { EarlyMessages } from './early-messages.ts'
import { encodeExtensionInfo } from './extension-info.ts'
import { explainFailure } from './failure.ts'
import { Greeting } from './greeting.ts'
import { type KexHost, KeyExchange } from './key-exchange.ts'
import { judge } from './legality.ts'
import { MAX_PREAUTH_PACKET } from './limits.ts'
import { closeGently } from './linger.ts'
import { DisconnectReason, Message } from './messages.ts'
import { Outbound } from './outbound.ts'
import { PacketReader } from './packet-reader.ts'
import { PacketWriter } from './packet-writer.ts'
import { PeerDisconnected, ProtocolProblem } from './problem.ts'
import { Pump } from './pump.ts'
import { Rekeying } from './rekeying.ts'
import type { TransportSettings } from './settings.ts'
import { after } from './timers.ts'
import type { Limits, NegotiatedAlgorithms, PresentedHostKey, Transport } from './types.ts'
import { versionString } from './version.ts'

/** How long a server waits for the client's KEXINIT before it sends its own, milliseconds: see `steerToGcm`. */
const STEER_WAIT_MS = 20
/** Answers that the peer provoked and did not read yet (PONG, UNIMPLEMENTED), bytes. */
const MAX_REPLY_BACKLOG = 64 * 1024

export class SshTransport implements Transport {
  readonly role: 'client' | 'server'
  readonly localVersion: string
  readonly closed: Promise<Error | undefined>
  /** Resolves after the first key exchange; rejects when the connection ends before. */
  readonly ready: Promise<void>
  readonly peerExtensions: ReadonlyMap<string, Buffer>
  remoteVersion = ''
  readonly #settings: TransportSettings
  readonly #stream: Duplex
  readonly #limits: Limits
  readonly #writer: PacketWriter
  readonly #outbound: Outbound
  readonly #reader: PacketReader
  readonly #kex: KeyExchange
  readonly #rekeying: Rekeying
  readonly #earlyMessages = new EarlyMessages()
  readonly #pump: Pump
  readonly #ready = Promise.withResolvers<void>()
  readonly #closed = Promise.withResolvers<Error | undefined>()
  /** Until the peer's version has come. */
  #greeting: Greeting | undefined
  #handler: ((payload: Buffer) => void) | undefined
  /** A message for a handler that is not there yet. */
  #waiting: Buffer | undefined
  #authenticated = false
  #isClosed = false
  #farewell: string | undefined
  #replyBytes = 0
  #packets = 0
  #cancelGrace: () => void
  #cancelSteer: () => void = () => undefined

  constructor(settings: TransportSettings) {
    this.#settings = settings
    this.role = settings.role
    this.#stream = settings.stream
    this.#limits = settings.limits
    this.localVersion = versionString(settings.ident)
    this.peerExtensions = this.#earlyMessages.extensions
    this.closed = this.#closed.promise
    this.ready = this.#ready.promise
    this.ready.catch(() => undefined)
    this.#writer = new PacketWriter(this.#stream, () => this.#onFlushed())
    this.#outbound = new Outbound(this.#writer, settings.limits)
    this.#reader = new PacketReader(Math.min(MAX_PREAUTH_PACKET, settings.limits.maxTransportPacket))
    this.#kex = new KeyExchange(this.#kexHost(), settings.kex)
    this.#rekeying = new Rekeying({
      env: settings.env,
      limits: settings.limits,
      bytes: () => this.bytesIn + this.bytesOut,
      running: () => this.#kex.running,
      begin: () => this.#kex.begin(),
      fail: (error) => this.fail(error),
    })
    this.#pump = new Pump(this.#stream, {
      step: () => this.#step(),
      blocked: () => this.#blocked(),
      fail: (error) => this.fail(error),
    })
    this.#greeting = new Greeting(settings.role, settings.preamble?.prefix)
    this.#cancelGrace = after(settings.env, settings.limits.loginGraceMs, () =>
      this.fail(
        settings.role === 'server'
          ? new LimitExceeded('the login took too long')
          : new ConnectionProblem(`no answer within ${settings.limits.loginGraceMs / 1000} s`),
      ),
    )
    const stream = this.#stream
    stream.on('data', (chunk: Buffer) => this.#onData(chunk))
    stream.on('end', () => this.#pump.end())
    stream.on('error', (error) => this.fail(convertSystemError(error, 'use the SSH connection')))
    stream.on('close', () => this.fail(new ConnectionProblem('the other side closed the connection')))
    this.#writer.raw(Buffer.from(`${settings.sendPreamble ?? ''}${this.localVersion}\r\n`))
    if (this.role === 'client') this.#kex.begin()
  }

  get sessionId(): Buffer {
    return this.#kex.sessionId ?? notReady()
  }
  get negotiated(): NegotiatedAlgorithms {
    return this.#kex.negotiated ?? notReady()
  }
  get hostKeyBlob(): Buffer {
    return this.#kex.hostKeyBlob ?? notReady()
  }
  get presentedHostKey(): PresentedHostKey | undefined {
    return this.#kex.presented
  }
  get farewell(): string | undefined {
    return this.#farewell
  }
  get isClosed(): boolean {
    return this.#isClosed
  }
  get bytesIn(): number {
    return this.#reader.bytesTotal
  }
  get bytesOut(): number {
    return this.#writer.bytesTotal
  }

  start(handler: (payload: Buffer) => void): void {
    this.#handler = handler
    this.#pump.run()
  }

  send(...parts: readonly Buffer[]): boolean {
    if (this.#isClosed) return false
    if (!this.#outbound.send(parts, this.#kex.outboundBlocked)) {
      this.fail(new LimitExceeded('too much data is waiting for the end of a key exchange'))
      return false
    }
    if (this.#authenticated) this.#rekeying.startIfDue(this.#writer)
    return this.#outbound.belowMark
  }

  drained(): Promise<void> {
    return this.#isClosed ? Promise.resolve() : this.#outbound.drained()
  }

  #onFlushed(): void {
    if (this.#writer.backlog <= this.#limits.highWaterMark && this.#replyBytes > 0) {
      this.#replyBytes = 0
      this.#pump.run()
    }
    this.#outbound.wake()
  }

  unimplemented(): void {
    this.#reply(encodeUnimplemented(this.#reader.lastSequence))
  }

  /** An answer the peer provoked by a transport message: what it does not read stops us from reading more. */
  #reply(payload: Buffer): void {
    this.#replyBytes += payload.length + 32
    this.send(payload)
  }

  pause(): void {
    this.#pump.pause()
  }

  resume(): void {
    this.#pump.resume()
  }

  authenticated(): void {
    this.#authenticated = true
    this.#handler = undefined
    this.#reader.maxPacket = this.#limits.maxTransportPacket
    this.#cancelGrace()
  }

  rekey(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new ConnectionProblem('the connection is closed'))
    return this.#rekeying.request()
  }

  #kexHost(): KexHost {
    return {
      role: this.#settings.role,
      clientVersion: () => (this.role === 'client' ? this.localVersion : this.remoteVersion),
      serverVersion: () => (this.role === 'server' ? this.localVersion : this.remoteVersion),
      randomBytes: (size) => this.#settings.env.randomBytes(size),
      sendKex: (payload) => {
        if (!this.#isClosed) this.#writer.packet([payload])
      },
      sealWith: (sealer, strict) => this.#writer.rekeyed(sealer, strict),
      openWith: (opener, strict) => this.#reader.rekeyed(opener, strict),
      verifyHost: (presented) => this.#settings.verifyHost(presented),
      outboundReady: (first, peerWantsExtInfo) => {
        if (this.#isClosed) return
        if (first && peerWantsExtInfo) this.#writer.packet([encodeExtensionInfo(this.role)])
        this.#outbound.release()
      },
      finished: (first) => this.#onKexFinished(first),
    }
  }

  #onKexFinished(first: boolean): void {
    if (first) this.#ready.resolve()
    this.#rekeying.finished()
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosed) return
    if (this.#greeting !== undefined) this.#greeting.push(chunk)
    else this.#reader.push(chunk)
    this.#pump.run()
  }

  #blocked(): boolean {
    return this.#replyBytes > MAX_REPLY_BACKLOG || (this.#waiting !== undefined && this.#handler === undefined)
  }

  #step(): boolean {
    if (this.#greeting !== undefined) return this.#greet(this.#greeting)
    const waiting = this.#waiting
    if (waiting !== undefined) {
      this.#waiting = undefined
      this.#handler?.(waiting)
      return true
    }
    const payload = this.#reader.next()
    if (payload === undefined) return false
    this.#dispatch(payload)
    return true
  }

  #greet(greeting: Greeting): boolean {
    const step = greeting.step()
    if (step === undefined) return false
    if (step.kind === 'more') return true
    if (step.kind === 'preamble') {
      this.#pump.hold(this.#settings.preamble?.verify(step.text) ?? Promise.resolve())
      return true
    }
    this.remoteVersion = step.version
    this.#greeting = undefined
    for (const chunk of step.rest) this.#reader.push(chunk)
    if (this.role === 'server') {
      this.#kex.chooseHostKeys()
      this.#cancelSteer = after(this.#settings.env, STEER_WAIT_MS, () => {
        if (!this.#isClosed) this.#kex.begin()
      })
    }
    return true
  }

  #dispatch(payload: Buffer): void {
    const type = payload[0] ?? 0
    this.#packets++
    const kex = this.#kex
    if (type >= 20 && type <= 49) {
      this.#dispatchKex(type, payload)
      return
    }
    if (type === Message.DISCONNECT) {
      this.#onDisconnect(payload)
      return
    }
    if (!kex.firstDone) this.#earlyMessages.check(type, kex.strict)
    else if (kex.inboundBlocked && (type > Message.DEBUG || type === 0)) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, `message ${type} during a key exchange`)
    }
    switch (type) {
      case Message.IGNORE:
      case Message.UNIMPLEMENTED:
      case Message.DEBUG:
        return
      case Message.EXT_INFO:
        this.#earlyMessages.readExtensions(payload, this.#authenticated)
        return
      case Message.PING:
        this.#reply(answerPing(payload))
        return
      case Message.PONG:
        return
      default:
        this.#deliver(type, payload)
    }
  }

  #dispatchKex(type: number, payload: Buffer): void {
    this.#cancelSteer()
    const kex = this.#kex
    if (type === Message.KEXINIT && kex.firstDone) this.#rekeying.peerBegins()
    const pending = kex.handle(payload, this.#packets === 1)
    if (pending !== undefined) this.#pump.hold(pending)
  }

  #onDisconnect(payload: Buffer): void {
    const { reason, text } = readDisconnect(payload)
    if (text !== '') this.#farewell = text
    const orderly = reason === DisconnectReason.BY_APPLICATION && this.#authenticated
    this.#finish(orderly ? undefined : new PeerDisconnected(reason, text))
  }

  #deliver(type: number, payload: Buffer): void {
    switch (judge(type, this.role, this.#authenticated)) {
      case 'handler':
        if (this.#handler === undefined) this.#waiting = payload
        else this.#handler(payload)
        if (this.#authenticated) this.#rekeying.startIfDue(this.#reader)
        return
      case 'ignore':
        return
      case 'unknown':
        this.unimplemented()
        return
      case 'violation':
        throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, `message ${type} is not allowed in this state`)
    }
  }

  disconnect(reason: number, message: string): void {
    const orderly = reason === DisconnectReason.BY_APPLICATION
    this.#end(reason, message, orderly ? undefined : new ConnectionProblem(message))
  }

  /** Ends the connection because of an error of the peer, of the network or of ours; tells the peer what it may know. */
  fail(error: unknown): void {
    if (this.#isClosed) return
    const failure = explainFailure(error, this.role)
    if (failure.internal) this.#settings.logger.error('internal error on an SSH connection', { error })
    this.#end(failure.reason, failure.message, failure.error)
  }

  #end(reason: number, message: string, error: Error | undefined): void {
    if (this.#isClosed) return
    // During our own key exchange DISCONNECT may still be sent: it is a transport message (RFC 4253 section 7.1).
    this.#writer.packet([encodeDisconnect(reason, message)])
    this.#finish(error)
  }

  #finish(error: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelGrace()
    this.#cancelSteer()
    this.#writer.flush()
    this.#handler = undefined
    this.#waiting = undefined
    this.#greeting = undefined
    this.#pump.close()
    closeGently(this.#stream, this.#settings.env, this.#pump.ended)
    const reason = error ?? new ConnectionProblem('the connection is closed')
    this.#ready.reject(reason)
    this.#rekeying.close(reason)
    this.#outbound.close()
    this.#closed.resolve(error)
  }
}

function notReady(): never {
  throw new Error('the first key exchange is not finished')
}
