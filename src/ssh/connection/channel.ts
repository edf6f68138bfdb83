/**
 * One channel as a Duplex stream (RFC 4254 section 5): windows in both directions, extended data as a second stream that shares
 * them, EOF and CLOSE exactly once and in order. Knows its connection only as a `ChannelHost`.
 */

import { Duplex, type Readable, type Writable } from 'node:stream'
import type { ChannelHost, ChannelParameters } from './channel-host.ts'
import { type ByteSink, Feed } from './feed.ts'
import { maxUint32, stderrCode } from './messages.ts'
import { OutboundWrite, type WriteDone } from './outbound.ts'
import { AnswerQueue, ReplyQueue } from './replies.ts'
import { closedError, ignoreError, StderrReader, StderrWriter, writeHighWaterMark } from './stderr.ts'
import type { Channel } from './types.ts'

/** Answers a request that arrived on the channel; `reply` is called exactly once, and is a no-op when none was wanted. */
export type ChannelRequestHandler = (name: string, extra: Buffer, reply: (success: boolean) => void) => void

export class SshChannel extends Duplex implements Channel {
  readonly channelType: string
  readonly localId: number
  readonly remoteId: number
  /** Set by whoever gives the channel a meaning; without it every request is refused. */
  onRequest: ChannelRequestHandler | undefined
  /** Called when `sendNow` can take more. */
  onSendable: (() => void) | undefined
  /** Replies to requests we sent, in order. */
  readonly replies: ReplyQueue
  #answers: AnswerQueue | undefined
  readonly #host: ChannelHost
  readonly #maxSend: number
  readonly #feed: Feed
  readonly #out = new OutboundWrite()
  readonly #stderrKind: ChannelParameters['stderr']
  #stderrOut: StderrWriter | undefined
  #stderrIn: StderrReader | undefined
  #sendWindow: number
  #receiveWindow: number
  #owed = 0
  #sentClose = false
  #gotEof = false
  #gotClose = false
  #discarding = false
  #sources: Set<Readable> | undefined
  #finalDone: WriteDone | undefined
  #abort: AbortController | undefined

  constructor(host: ChannelHost, parameters: ChannelParameters) {
    super({
      autoDestroy: !parameters.holdOpen,
      writableHighWaterMark: writeHighWaterMark,
      decodeStrings: true,
    })
    this.#host = host
    this.channelType = parameters.type
    this.localId = parameters.localId
    this.remoteId = parameters.remoteId
    this.#sendWindow = parameters.sendWindow
    this.#maxSend = parameters.maxSend
    this.#stderrKind = parameters.stderr
    this.#receiveWindow = host.windowSize
    this.#feed = new Feed(this)
    this.replies = new ReplyQueue(host.maxOutstandingReplies)
    this.on('error', ignoreError) // a lost connection must never become an uncaught exception
    if (parameters.stderr === 'write') {
      this.on('pipe', (source: Readable) => {
        this.#sources ??= new Set()
        this.#sources.add(source)
      })
      this.on('unpipe', (source: Readable) => this.#sources?.delete(source))
    }
  }

  get signal(): AbortSignal {
    if (this.#abort === undefined) {
      this.#abort = new AbortController()
      if (this.isClosed) this.#abort.abort(closedError())
    }
    return this.#abort.signal
  }

  /** The peer sent CLOSE, we did, or the connection is gone: nothing can be sent any more. */
  get isClosed(): boolean {
    return this.#sentClose || this.#gotClose
  }

  /** Extended data towards the peer (server side of a session). */
  get stderrWriter(): Writable {
    if (this.#stderrKind !== 'write') throw new Error('this channel has no outgoing extended data')
    this.#stderrOut ??= new StderrWriter(() => this.#pump())
    return this.#stderrOut
  }

  /** Extended data from the peer (client side of a session). It shares the window: read it or `resume()` it. */
  get stderrReader(): Readable {
    if (this.#stderrKind !== 'read') throw new Error('this channel has no incoming extended data')
    return this.#stderrFeed()
  }

  // ---- from the peer ----

  /** Called by the connection with memory that is valid during the call only. */
  receiveData(data: Buffer): void {
    if (!this.#accountReceived(data.length)) return
    if (this.#sentClose) return
    this.#feed.receive(data)
    this.#credit()
  }

  receiveExtendedData(code: number, data: Buffer): void {
    if (!this.#accountReceived(data.length)) return
    if (this.#sentClose) return
    if (code === stderrCode && this.#stderrKind === 'read') this.#stderrFeed().feed.receive(data)
    this.#credit()
  }

  receiveAdjust(bytes: number): void {
    if (this.#sendWindow + bytes > maxUint32) {
      this.#host.protocolError('channel window grew beyond 2^32-1')
      return
    }
    this.#sendWindow += bytes
    this.#pump()
  }

  receiveEof(): void {
    this.#gotEof = true
    if (!this.#sentClose) this.#feed.end()
  }

  receiveClose(): void {
    this.#gotClose = true
    const wasOpen = !this.#sentClose
    if (wasOpen) {
      this.#sentClose = true
      this.#host.sendClose(this)
    }
    this.#host.release(this)
    if (wasOpen) this.#closedByPeer()
  }

  receiveRequest(name: string, wantReply: boolean, extra: Buffer): void {
    if (this.#sentClose) return
    let reply = (_success: boolean): void => {}
    if (wantReply) {
      this.#answers ??= new AnswerQueue(this.#host.maxOutstandingReplies)
      const answer = this.#answers.reserve()
      if (answer === undefined) {
        this.#host.protocolError('too many channel requests are waiting for an answer')
        return
      }
      reply = (success) =>
        answer(() => {
          if (!this.#sentClose) this.#host.sendAnswer(this.remoteId, success)
        })
    }
    if (this.onRequest === undefined) reply(false)
    else this.onRequest(name, extra, reply)
  }

  /** The connection is gone. A stream that had ended is treated as closed, one that had not fails. */
  connectionLost(error: Error): void {
    if (this.#gotClose && this.#sentClose) return
    this.#sentClose = true
    this.#gotClose = true
    if (this.#gotEof) this.#closedByPeer()
    else this.destroy(error)
  }

  // ---- towards the peer ----

  /** Sends a request. With `wantReply` resolves to the answer; rejects with LimitExceeded when too many are outstanding. */
  request(name: string, extra: Buffer, wantReply: true): Promise<boolean>
  request(name: string, extra: Buffer, wantReply: false): undefined
  request(name: string, extra: Buffer, wantReply: boolean): Promise<boolean> | undefined {
    if (this.isClosed) return wantReply ? Promise.resolve(false) : undefined
    const answer = wantReply ? this.replies.expect() : undefined
    if (answer !== 'full') this.#host.sendRequest(this.remoteId, name, wantReply, extra)
    return answer === 'full' ? this.replies.refusal() : answer
  }

  /**
   * Sends what window and transport take at this moment, without copying, and returns how many bytes that was. Returns 0 while
   * ordinary writes are pending. After a short count `onSendable` is called. For splices; others use `write`.
   */
  sendNow(data: Buffer): number {
    if (this.isClosed || this.#discarding) return data.length
    if (this.#out.busy || this.writableLength > 0 || this.writableEnded) return 0
    let sent = 0
    while (sent < data.length && this.#sendWindow > 0) {
      if (this.#host.blocked) {
        this.#host.waitWritable(this)
        break
      }
      const size = Math.min(data.length - sent, this.#sendWindow, this.#maxSend)
      const part = size === data.length ? data : data.subarray(sent, sent + size)
      this.#sendWindow -= size
      this.#host.sendData(this.remoteId, 0, [part], size)
      sent += size
    }
    return sent
  }

  /** All received bytes go to the sink from now on; see Feed. `flushSink` when it can take more. */
  redirect(sink: ByteSink): void {
    this.#feed.redirect(sink)
    this.#credit()
  }

  flushSink(): void {
    this.#feed.flush()
    this.#credit()
  }

  /** The transport takes data again. */
  resumeSending(): void {
    this.#pump()
  }

  /** The peer reads no more: writes from here on succeed and go nowhere, and streams piped into this one are destroyed. */
  discardWrites(): void {
    if (this.#discarding) return
    this.#discarding = true
    for (const source of this.#sources ?? []) {
      source.unpipe(this)
      source.destroy()
    }
    this.#pump()
  }

  // ---- the stream ----

  override read(size?: number): unknown {
    const data: unknown = super.read(size)
    if (data !== null) this.#credit()
    return data
  }

  override _read(): void {
    this.#feed.demand()
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, done: WriteDone): void {
    this.#out.load([chunk], done)
    this.#pump()
  }

  override _writev(chunks: { chunk: Buffer }[], done: WriteDone): void {
    this.#out.load(
      chunks.map(({ chunk }) => chunk),
      done,
    )
    this.#pump()
  }

  override _final(done: WriteDone): void {
    this.#finalDone = done
    this.#pump()
  }

  override _destroy(error: Error | null, done: WriteDone): void {
    if (!this.#sentClose) {
      this.#sentClose = true
      this.#host.sendClose(this)
    }
    this.#feed.clear()
    this.#stopSending()
    if (!this.#gotClose || error !== null) {
      this.#stderrIn?.destroy()
    }
    done(error)
  }

  // ---- inside ----

  #accountReceived(size: number): boolean {
    if (this.#gotEof) {
      this.#host.protocolError('channel data after EOF')
      return false
    }
    if (size > this.#receiveWindow) {
      this.#host.protocolError('more channel data than the window allows')
      return false
    }
    this.#receiveWindow -= size
    this.#owed += size
    return true
  }

  /** Gives window back for what was consumed, in steps of half a window. */
  #credit(): void {
    if (this.#gotEof || this.isClosed) return
    const consumed = this.#owed - this.#feed.held - (this.#stderrIn?.feed.held ?? 0)
    if (consumed < this.#host.windowSize / 2) return
    this.#owed -= consumed
    this.#receiveWindow += consumed
    this.#host.sendAdjust(this.remoteId, consumed)
  }

  #stderrFeed(): StderrReader {
    if (this.#stderrIn === undefined) {
      this.#stderrIn = new StderrReader(() => this.#credit())
      if (this.isClosed) this.#stderrIn.feed.end()
    }
    return this.#stderrIn
  }

  #pump(): void {
    if (this.isClosed) {
      // The peer listens no more. Pending writes stay pending, so that producers stop, until the stream is destroyed.
      if (this.#finalDone !== undefined) this.#finish()
      return
    }
    const stderr = this.#stderrOut
    if (stderr !== undefined && !this.#pumpWrite(stderr.out, stderrCode)) return
    if (!this.#pumpWrite(this.#out, 0)) return
    if (this.#finalDone !== undefined) {
      // Extended data after EOF is an error for OpenSSH, so EOF waits until both streams have ended.
      if (stderr !== undefined && !stderr.ending) return
      this.#host.sendEof(this.remoteId)
      this.#finish()
    } else if (this.#sendWindow > 0 && !this.#host.blocked) {
      this.onSendable?.()
    }
  }

  /** False when the transport is full. */
  #pumpWrite(write: OutboundWrite, code: number): boolean {
    while (write.busy) {
      if (this.#discarding && code === 0) {
        write.finish()
        continue
      }
      if (this.#host.blocked) {
        this.#host.waitWritable(this)
        return false
      }
      if (write.left === 0) {
        write.finish()
        continue
      }
      const size = Math.min(write.left, this.#sendWindow, this.#maxSend)
      if (size === 0) return true // the next window adjustment continues
      this.#sendWindow -= size
      this.#host.sendData(this.remoteId, code, write.take(size), size)
    }
    return true
  }

  #finish(): void {
    const done = this.#finalDone
    this.#finalDone = undefined
    done?.()
  }

  #closedByPeer(): void {
    this.#gotEof = true
    this.#feed.end()
    if (this.#stderrKind === 'read') this.#stderrIn?.feed.end()
    this.#notifyClosed()
    this.#pump()
    // Unread data stays readable. When it has been read, whoever still writes learns that nobody listens.
    if (this.readableEnded) this.destroy()
    else this.once('end', () => this.destroy())
  }

  #stopSending(): void {
    const error = closedError()
    this.#notifyClosed()
    if (this.#out.busy) this.#out.finish(error)
    this.#stderrOut?.destroy()
    this.#finish()
  }

  #notifyClosed(): void {
    this.replies.closeAll()
    const onSendable = this.onSendable
    this.onSendable = undefined
    onSendable?.()
    this.#abort?.abort(closedError())
  }
}
