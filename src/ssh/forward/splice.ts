/**
 * Joins two streams, both directions, with backpressure and half close. Between channels it bypasses the stream machinery: the
 * bytes of an incoming packet go into an outgoing packet without a copy, which is what a proxy does all day.
 */

import type { Duplex } from 'node:stream'
import { SshChannel } from '../connection/channel.ts'

export interface SpliceOptions {
  /** This stream is ended but not destroyed when the other one closes: something may still be said on it (an exit status). */
  readonly leaveOpen?: Duplex
}

export interface SpliceResult {
  /** Bytes that went from the first to the second stream, and back. */
  readonly forward: number
  readonly backward: number
  /** The first error of either stream. Both are closed then. */
  readonly error: Error | undefined
}

/**
 * Resolves when both streams are closed (or the one to leave open has ended); never rejects. Sockets need `allowHalfOpen` if the
 * far end's half close is to be carried over exactly.
 */
export function spliceStreams(a: Duplex, b: Duplex, options: SpliceOptions = {}): Promise<SpliceResult> {
  const forward: Counter = { bytes: 0 }
  const backward: Counter = { bytes: 0 }
  return new Promise((resolve) => {
    let error: Error | undefined
    let open = 2
    const closed = (one: Duplex, other: Duplex): void => {
      one.removeListener('close', one === a ? onCloseA : onCloseB)
      open--
      if (other === options.leaveOpen) {
        if (open === 1) endGently(other, () => closed(other, one))
      } else {
        closeAfterFlush(other)
      }
      if (open === 0) resolve({ forward: forward.bytes, backward: backward.bytes, error })
    }
    const onCloseA = (): void => closed(a, b)
    const onCloseB = (): void => closed(b, a)
    const failed = (reason: Error): void => {
      error ??= reason
    }
    watch(a, onCloseA, failed)
    watch(b, onCloseB, failed)
    if (a.destroyed || b.destroyed) return
    carry(a, b, forward)
    carry(b, a, backward)
    const bothDone = (): void => {
      if (!finished(a) || !finished(b)) return
      if (a !== options.leaveOpen) a.destroy()
      if (b !== options.leaveOpen) b.destroy()
    }
    for (const stream of [a, b]) stream.on('end', bothDone).on('finish', bothDone)
  })
}

interface Counter {
  bytes: number
}

const finished = (stream: Duplex): boolean => stream.readableEnded && stream.writableFinished

function watch(stream: Duplex, onClose: () => void, failed: (error: Error) => void): void {
  stream.on('error', failed)
  if (stream.closed) process.nextTick(onClose)
  else stream.on('close', onClose)
}

function closeAfterFlush(stream: Duplex): void {
  if (stream.destroyed) return
  if (stream.writableEnded && !stream.writableFinished) stream.once('finish', () => stream.destroy())
  else stream.destroy()
}

function endGently(stream: Duplex, done: () => void): void {
  if (!stream.writableEnded) stream.end()
  if (stream.writableFinished || stream.destroyed) {
    done()
    return
  }
  const once = (): void => {
    stream.off('finish', once).off('close', once)
    done()
  }
  stream.on('finish', once).on('close', once)
}

function carry(from: Duplex, to: Duplex, counter: Counter): void {
  if (from instanceof SshChannel) carryFromChannel(from, to, counter)
  else carryFromStream(from, to, counter)
}

function carryFromChannel(from: SshChannel, to: Duplex, counter: Counter): void {
  const refill = (): void => from.flushSink()
  let corked = false
  const uncork = (): void => {
    corked = false
    to.uncork()
  }
  const take =
    to instanceof SshChannel
      ? (data: Buffer): number => to.sendNow(data)
      : (data: Buffer, owned: boolean): number => {
          if (to.destroyed || to.writableEnded) return data.length
          if (to.writableNeedDrain) return 0
          if (!corked) {
            // All packets of one read leave in one system call.
            corked = true
            to.cork()
            process.nextTick(uncork)
          }
          to.write(owned ? data : Buffer.from(data))
          return data.length
        }
  if (to instanceof SshChannel) to.onSendable = refill
  else to.on('drain', refill)
  from.redirect({
    take: (data, owned) => {
      const taken = take(data, owned)
      counter.bytes += taken
      return taken
    },
    end: () => {
      if (!to.destroyed) to.end()
    },
  })
}

function carryFromStream(from: Duplex, to: Duplex, counter: Counter): void {
  const send =
    to instanceof SshChannel
      ? (chunk: Buffer): boolean => {
          const sent = to.sendNow(chunk)
          return sent === chunk.length || to.write(chunk.subarray(sent))
        }
      : (chunk: Buffer): boolean => to.write(chunk)
  from.on('data', (chunk: Buffer) => {
    counter.bytes += chunk.length
    if (to.destroyed || to.writableEnded) return
    if (!send(chunk)) from.pause()
  })
  from.resume() // it may have been paused by whoever looked at it first
  to.on('drain', () => from.resume())
  from.on('end', () => {
    if (!to.destroyed) to.end()
  })
}
