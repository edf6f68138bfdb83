/** Streams that somebody looks into on the way: the same bytes in the same order, with the backpressure of the real ones. */

import { Readable, Writable } from 'node:stream'

/** Of a program without a terminal. */
export interface ProgramStreams {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable | undefined
}

export interface Watcher {
  /** Sees bytes before they go on; they are valid during the call. Must not throw. */
  look(chunk: Buffer): void
  readonly isReady: boolean
  /** Calls back, perhaps at once, when more may go through. */
  whenReady(callback: () => void): void
}

type Done = (error?: Error | null) => void

/** Towards a program. */
export function watchedWritable(inner: Writable, watcher: Watcher): Writable {
  const outer = new Writable({
    highWaterMark: inner.writableHighWaterMark,
    write(chunk: Buffer, _encoding, done: Done) {
      watcher.look(chunk)
      watcher.whenReady(() => inner.write(chunk, done))
    },
    final(done: Done) {
      inner.end(done)
    },
    destroy(error, done: Done) {
      if (!inner.writableFinished) inner.destroy()
      done(error)
    },
  })
  // A program that ends without reading its input is no error of the session.
  outer.on('error', () => {})
  inner.on('close', () => outer.destroy())
  return outer
}

/** From a program. */
export function watchedReadable(inner: Readable, watcher: Watcher): Readable {
  const outer = new Readable({
    highWaterMark: inner.readableHighWaterMark,
    read() {
      watcher.whenReady(() => inner.resume())
    },
    destroy(error, done: Done) {
      if (!inner.readableEnded) inner.destroy()
      done(error)
    },
  })
  outer.on('error', () => {})
  inner.on('data', (chunk: Buffer) => {
    watcher.look(chunk)
    if (!outer.push(chunk)) inner.pause()
    else if (!watcher.isReady) {
      inner.pause()
      watcher.whenReady(() => inner.resume())
    }
  })
  inner.pause()
  inner.on('end', () => outer.push(null))
  inner.on('close', () => {
    if (!inner.readableEnded) outer.destroy()
  })
  inner.on('error', () => outer.destroy())
  return outer
}
