/**
 * The packet stream (RFC 4253): version exchange, keys and their renewal, and the rules about which message may come when.
 * Everything a peer can make us keep or wait for is bounded here, and whatever it breaks ends this one connection.
 */

import type { Duplex } from 'node:stream'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import { ConnectionProblem, LimitExceeded } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { encodeExtensionInfo, readExtensionInfo } from './extension-info.ts'
import { explainFailure, printable } from './failure.ts'
import { type KexHost, type KexSettings, KeyExchange } from './key-exchange.ts'
import { judge } from './legality.ts'
import { MAX_PREAUTH_PACKET } from './limits.ts'
import { DisconnectReason, Message } from './messages.ts'
import { Outbound } from './outbound.ts'
import { PacketReader } from './packet-reader.ts'
import { PacketWriter } from './packet-writer.ts'
import { PeerDisconnected, ProtocolProblem } from './problem.ts'
import { RekeyPolicy } from './rekey-policy.ts'
import { after } from './timers.ts'
import type { Limits, NegotiatedAlgorithms, PresentedHostKey, Transport } from './types.ts'
import { VersionReader, versionString } from './version.ts'

/** How long a server waits for the client's KEXINIT before it sends its own, milliseconds: see `steerToGcm`. */
const STEER_WAIT_MS = 20
/** How long a closed connection may take to tell the peer why, milliseconds. */
const LINGER_MS = 1000
/** Answers that the peer provoked and did not read yet (PONG, UNIMPLEMENTED), bytes. */
const MAX_REPLY_BACKLOG = 64 * 1024
/** IGNORE, DEBUG and the like before the first keys, without strict kex. */
const MAX_EARLY_NOISE = 16
const MAX_EXT_INFO = 3

export interface TransportSettings {
  readonly role: 'client' | 'server'
  readonly stream: Duplex
  readonly ident: string
  readonly limits: Limits
  readonly env: Env
  readonly logger: Logger
  readonly kex: KexSettings
  readonly verifyHost: (presented: PresentedHostKey) => void | Promise<void>
  readonly sendPreamble?: string | undefined
  readonly preamble?: { readonly prefix: string; verify(text: string): Promise<void> } | undefined
}

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
  readonly #rekeyPolicy: RekeyPolicy
  readonly #extensions = new Map<string, Buffer>()
  readonly #ready = Promise.withResolvers<void>()
  readonly #closed = Promise.withResolvers<Error | undefined>()
  #versionReader: VersionReader | undefined
  #early: Buffer[] = []
  #handler: ((payload: Buffer) => void) | undefined
  /** A message for a handler that is not there yet. */
  #waiting: Buffer | undefined
  #authenticated = false
  #isClosed = false
  #ended = false
  #paused = false
  /** Asynchronous steps under way: nothing is read meanwhile. */
  #holds = 0
  #pumping = false
  #replyBytes = 0
  #noise = 0
  #extInfos = 0
  #packets = 0
  #weStarted = false
  #bytesAtRekey = 0
  #rekeyWaiters: PromiseWithResolvers<void>[] = []
  #cancelGrace: () => void
  #cancelKexTimer: () => void = () => undefined
  #cancelSteer: () => void = () => undefined

  constructor(settings: TransportSettings) {
    this.#settings = settings
    this.role = settings.role
    this.#stream = settings.stream
    this.#limits = settings.limits
    this.localVersion = versionString(settings.ident)
    this.peerExtensions = this.#extensions
    this.closed = this.#closed.promise
    this.ready = this.#ready.promise
    this.ready.catch(() => undefined)
    this.#writer = new PacketWriter(this.#stream, () => this.#onFlushed())
    this.#outbound = new Outbound(this.#writer, settings.limits)
    this.#reader = new PacketReader(Math.min(MAX_PREAUTH_PACKET, settings.limits.maxTransportPacket))
    this.#kex = new KeyExchange(this.#kexHost(), settings.kex)
    this.#rekeyPolicy = new RekeyPolicy(settings.limits, settings.env.monotonicMs())
    this.#versionReader = new VersionReader(settings.role, settings.preamble?.prefix)
    this.#cancelGrace = after(settings.env, settings.limits.loginGraceMs, () =>
      this.fail(
        settings.role === 'server'
          ? new LimitExceeded('the login took too long')
          : new ConnectionProblem(`no answer within ${settings.limits.loginGraceMs / 1000} s`),
      ),
    )
    const stream = this.#stream
    stream.on('data', (chunk: Buffer) => this.#onData(chunk))
    stream.on('end', () => this.#onEnd())
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
    this.#pump()
  }

  send(...parts: readonly Buffer[]): boolean {
    if (this.#isClosed) return false
    if (!this.#outbound.send(parts, this.#kex.outboundBlocked)) {
      this.fail(new LimitExceeded('too much data is waiting for the end of a key exchange'))
      return false
    }
    this.#rekeyIfDue(this.#writer)
    return this.#outbound.belowMark
  }

  drained(): Promise<void> {
    return this.#isClosed ? Promise.resolve() : this.#outbound.drained()
  }

  #onFlushed(): void {
    if (this.#writer.backlog <= this.#limits.highWaterMark && this.#replyBytes > 0) {
      this.#replyBytes = 0
      this.#pump()
    }
    this.#outbound.wake()
  }

  unimplemented(): void {
    this.#reply(new WireWriter(8).byte(Message.UNIMPLEMENTED).uint32(this.#reader.lastSequence).take())
  }

  /** An answer the peer provoked by a transport message: what it does not read stops us from reading more. */
  #reply(payload: Buffer): void {
    this.#replyBytes += payload.length + 32
    this.send(payload)
  }

  pause(): void {
    this.#paused = true
    if (!this.#pumping) this.#stream.pause()
  }

  resume(): void {
    this.#paused = false
    this.#pump()
  }

  authenticated(): void {
    this.#authenticated = true
    this.#handler = undefined
    this.#reader.maxPacket = this.#limits.maxTransportPacket
    this.#cancelGrace()
  }

  rekey(): Promise<void> {
    if (this.#isClosed) return Promise.reject(new ConnectionProblem('the connection is closed'))
    const waiter = Promise.withResolvers<void>()
    this.#rekeyWaiters.push(waiter)
    this.#startRekey()
    return waiter.promise
  }

  #startRekey(): void {
    if (this.#kex.running) return
    this.#weStarted = true
    this.#watchRekey()
    this.#kex.begin()
  }

  #watchRekey(): void {
    this.#cancelKexTimer()
    this.#cancelKexTimer = after(this.#settings.env, this.#limits.rekeyTimeoutMs, () =>
      this.fail(new ProtocolProblem(DisconnectReason.KEY_EXCHANGE_FAILED, 'the key exchange took too long')),
    )
  }

  #rekeyIfDue(use: PacketReader | PacketWriter): void {
    if (!this.#authenticated || this.#kex.running) return
    if (this.#rekeyPolicy.due(use, this.#settings.env.monotonicMs())) this.#startRekey()
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
    this.#cancelKexTimer()
    this.#weStarted = false
    this.#bytesAtRekey = this.bytesIn + this.bytesOut
    this.#rekeyPolicy.done(this.#settings.env.monotonicMs())
    if (first) this.#ready.resolve()
    const waiters = this.#rekeyWaiters
    this.#rekeyWaiters = []
    for (const waiter of waiters) waiter.resolve()
  }

  #onData(chunk: Buffer): void {
    if (this.#isClosed) return
    if (this.#versionReader !== undefined) this.#early.push(chunk)
    else this.#reader.push(chunk)
    this.#pump()
  }

  #onEnd(): void {
    this.#ended = true
    this.#pump()
  }

  /** Handles what was received until bytes are missing or something has to be waited for. */
  #pump(): void {
    if (this.#pumping || this.#isClosed) return
    this.#pumping = true
    try {
      while (this.#mayRead() && this.#step()) {}
      if (this.#ended && this.#mayRead()) throw new ConnectionProblem('the other side closed the connection')
    } catch (error) {
      this.fail(error)
    } finally {
      this.#pumping = false
    }
    if (this.#isClosed) return
    if (this.#mayRead()) this.#stream.resume()
    else this.#stream.pause()
  }

  #mayRead(): boolean {
    if (this.#isClosed || this.#holds > 0 || this.#paused || this.#replyBytes > MAX_REPLY_BACKLOG) return false
    return this.#waiting === undefined || this.#handler !== undefined
  }

  #step(): boolean {
    if (this.#versionReader !== undefined) return this.#readVersion(this.#versionReader)
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

  #readVersion(versionReader: VersionReader): boolean {
    const chunk = this.#early.shift()
    if (chunk === undefined) return false
    const found = versionReader.push(chunk)
    if (found === undefined) return true
    if (found.line.kind === 'preamble') {
      if (found.rest.length > 0) this.#early.unshift(found.rest)
      this.#hold(this.#settings.preamble?.verify(found.line.text) ?? Promise.resolve())
      return true
    }
    this.remoteVersion = found.line.version
    this.#versionReader = undefined
    this.#reader.push(found.rest)
    for (const rest of this.#early) this.#reader.push(rest)
    this.#early = []
    if (this.role === 'server') {
      this.#cancelSteer = after(this.#settings.env, STEER_WAIT_MS, () => {
        if (!this.#isClosed) this.#kex.begin()
      })
    }
    return true
  }

  #hold(promise: Promise<void>): void {
    this.#holds++
    promise.then(
      () => {
        this.#holds--
        this.#pump()
      },
      (error: unknown) => this.fail(error),
    )
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
    if (!kex.firstDone) this.#checkEarly(type, kex)
    else if (kex.inboundBlocked && (type > Message.DEBUG || type === 0)) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, `message ${type} during a key exchange`)
    }
    switch (type) {
      case Message.IGNORE:
      case Message.UNIMPLEMENTED:
      case Message.DEBUG:
        return
      case Message.EXT_INFO:
        this.#onExtInfo(payload)
        return
      case Message.PING:
        this.#onPing(payload)
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
    if (type === Message.KEXINIT && kex.firstDone && !kex.running && !this.#weStarted) {
      const bytes = this.bytesIn + this.bytesOut - this.#bytesAtRekey
      if (this.#rekeyPolicy.isFlood(bytes, this.#settings.env.monotonicMs())) {
        throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, 'too many key exchanges')
      }
      this.#watchRekey()
    }
    const pending = kex.handle(payload, this.#packets === 1)
    if (pending !== undefined) this.#hold(pending)
  }

  /** Before the first keys nothing is authentic: with strict kex nothing but the exchange itself may come (the Terrapin attack). */
  #checkEarly(type: number, kex: KeyExchange): void {
    const noise = type === Message.IGNORE || type === Message.DEBUG || type === Message.UNIMPLEMENTED
    this.#noise++
    if (kex.strict || !noise || this.#noise > MAX_EARLY_NOISE) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, `message ${type} before the key exchange was finished`)
    }
  }

  #onExtInfo(payload: Buffer): void {
    this.#extInfos++
    if (this.#authenticated || this.#extInfos > MAX_EXT_INFO) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, 'EXT_INFO out of order')
    }
    readExtensionInfo(payload, this.#extensions)
  }

  #onPing(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    const data = reader.string()
    reader.end()
    this.#reply(new WireWriter(data.length + 8).byte(Message.PONG).string(data).take())
  }

  #onDisconnect(payload: Buffer): void {
    const reader = new WireReader(payload, 1)
    const reason = reader.uint32()
    const text = printable(reader.string(4096).toString('utf8'))
    const orderly = reason === DisconnectReason.BY_APPLICATION && this.#authenticated
    this.#finish(orderly ? undefined : new PeerDisconnected(reason, text))
  }

  #deliver(type: number, payload: Buffer): void {
    switch (judge(type, this.role, this.#authenticated)) {
      case 'handler':
        if (this.#handler === undefined) this.#waiting = payload
        else this.#handler(payload)
        this.#rekeyIfDue(this.#reader)
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
    this.#writer.packet([new WireWriter(128).byte(Message.DISCONNECT).uint32(reason).string(message).string('').take()])
    this.#finish(error)
  }

  #finish(error: Error | undefined): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#cancelGrace()
    this.#cancelKexTimer()
    this.#cancelSteer()
    this.#writer.flush()
    this.#handler = undefined
    this.#waiting = undefined
    this.#early = []
    this.#closeStream()
    const reason = error ?? new ConnectionProblem('the connection is closed')
    this.#ready.reject(reason)
    for (const waiter of this.#rekeyWaiters) waiter.reject(reason)
    this.#outbound.close()
    this.#closed.resolve(error)
  }

  /** Reads on without looking until the peer has closed too: resetting at once could take our last words away. */
  #closeStream(): void {
    const stream = this.#stream
    if (stream.destroyed) return
    const cancel = after(this.#settings.env, LINGER_MS, () => stream.destroy())
    stream.once('close', cancel)
    stream.once('end', () => stream.destroy())
    stream.end()
    stream.resume()
    if (this.#ended) stream.destroy()
  }
}

function notReady(): never {
  throw new Error('the first key exchange is not finished')
}
