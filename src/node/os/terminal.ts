/**
 * A pseudo-terminal: the master side as two streams with backpressure, size, modes. The master is opened close-on-exec, so
 * no other session inherits it.
 */

import { chmodSync, chownSync, closeSync, constants, openSync, writeSync } from 'node:fs'
import { Readable, Writable } from 'node:stream'
import { ReadStream } from 'node:tty'
import type { Env } from '../../common/env.ts'
import { SystemError } from '../../errors/errors.ts'
import { convertSystemError, errnoOf } from '../../errors/system.ts'
import type { PtyRequest, TerminalSize } from '../../ssh/connection/types.ts'
import { libc } from './libc.ts'
import { applyModes, termiosSize } from './terminal-modes.ts'

const TCGETS = 0x5401n
const TCSETS = 0x5402n
const TIOCSWINSZ = 0x5414n
const FIONREAD = 0x541bn
const TIOCGPTN = 0x80045430n
const TIOCSPTLCK = 0x40045431n
const TCSBRKP = 0x5425n
const maxSide = 0xffff

export interface Terminal {
  /** `/dev/pts/N` */
  readonly path: string
  /** What the programs print. Ends when the last program has closed the terminal. */
  readonly output: Readable
  /** What the user types. */
  readonly input: Writable
  resize(size: TerminalSize): void
  sendBreak(): void
  /** After the shell has ended: ends `output` once it is empty, though a background program may hold the terminal open. */
  drain(): Promise<void>
  /** Hangs up: the kernel sends SIGHUP to what still runs in the foreground. */
  close(): void
}

/** Opens a terminal that belongs to `owner`. Throws a kind of `src/errors`. */
export function openTerminal(
  request: PtyRequest,
  owner: { readonly uid: number; readonly gid: number; readonly mode: number },
  env: Env,
): Terminal {
  const fd = openMaster()
  try {
    const path = `/dev/pts/${ioctlNumber(fd, TIOCGPTN)}`
    ioctl(fd, TIOCSPTLCK, Buffer.alloc(4))
    setSize(fd, request)
    const termios = Buffer.alloc(256)
    ioctl(fd, TCGETS, termios)
    ioctl(fd, TCSETS, Buffer.concat([applyModes(termios.subarray(0, termiosSize), request.modes), Buffer.alloc(64)]))
    // devpts gives the slave to whoever opened the master. Nothing but the kernel makes names there: no link can be followed.
    if (process.getuid?.() === 0) {
      chownSync(path, owner.uid, owner.gid)
      chmodSync(path, owner.mode)
    }
    return new MasterTerminal(fd, path, env)
  } catch (error) {
    closeSync(fd)
    throw convertSystemError(error, 'open a terminal')
  }
}

function openMaster(): number {
  try {
    return openSync('/dev/ptmx', constants.O_RDWR | constants.O_NOCTTY | constants.O_NONBLOCK)
  } catch (error) {
    throw convertSystemError(error, 'open a terminal (/dev/ptmx)')
  }
}

class MasterTerminal implements Terminal {
  readonly path: string
  readonly output: MasterOutput
  readonly input: MasterInput
  readonly #fd: number
  readonly #env: Env
  #open = true

  constructor(fd: number, path: string, env: Env) {
    this.path = path
    this.#fd = fd
    this.#env = env
    this.output = new MasterOutput(fd, () => {
      this.#open = false
      this.input.destroy()
    })
    this.input = new MasterInput(fd, env)
  }

  resize(size: TerminalSize): void {
    if (this.#open) setSize(this.#fd, size)
  }

  sendBreak(): void {
    if (this.#open) libc().functions.ioctl(this.#fd, TCSBRKP, Buffer.alloc(8))
  }

  async drain(): Promise<void> {
    // Twice empty with a pause between: the kernel hands over what was written a moment after the writer is gone.
    for (let quiet = 0; quiet < 2 && this.#open; ) {
      const before = this.output.bytesRead
      await this.#env.sleep(10)
      if (!this.#open) return
      const idle =
        this.output.bytesRead === before && this.output.readableLength === 0 && ioctlNumber(this.#fd, FIONREAD) === 0
      quiet = idle ? quiet + 1 : 0
    }
    this.close()
  }

  close(): void {
    this.output.finish()
  }
}

/** Reads the master; its EIO after the last program is an ordinary end. */
class MasterOutput extends Readable {
  bytesRead = 0
  readonly #source: ReadStream
  readonly #closed: () => void
  #finished = false

  constructor(fd: number, closed: () => void) {
    super({ highWaterMark: 64 * 1024 })
    this.#closed = closed
    this.#source = new ReadStream(fd)
    this.#source.on('data', (chunk: Buffer) => {
      this.bytesRead += chunk.length
      if (!this.#finished && !this.push(chunk)) this.#source.pause()
    })
    this.#source.on('error', () => this.finish())
    this.#source.on('end', () => this.finish())
    this.#source.on('close', () => this.finish())
    this.#source.pause()
  }

  override _read(): void {
    this.#source.resume()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.finish()
    callback(error)
  }

  finish(): void {
    if (this.#finished) return
    this.#finished = true
    this.#closed()
    this.#source.destroy()
    if (!this.destroyed) this.push(null)
  }
}

const firstRetryMs = 1
const slowestRetryMs = 50

/**
 * Writes the master at once where the kernel has room: an echo waits for nothing. A program that does not read fills the
 * kernel's 4 KiB; then the write is tried again at growing intervals and the stream's own buffer stops the sender.
 */
class MasterInput extends Writable {
  readonly #fd: number
  readonly #env: Env
  readonly #abort = new AbortController()

  constructor(fd: number, env: Env) {
    super({ highWaterMark: 16 * 1024 })
    this.#fd = fd
    this.#env = env
  }

  override _write(chunk: Buffer, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.#writeAll(chunk).then(
      () => callback(),
      (error: unknown) => callback(error instanceof Error ? error : new Error(String(error))),
    )
  }

  async #writeAll(chunk: Buffer): Promise<void> {
    let rest = chunk
    let wait = firstRetryMs
    while (rest.length > 0 && !this.destroyed) {
      const written = this.#writeSome(rest)
      if (written > 0) {
        rest = rest.subarray(written)
        wait = firstRetryMs
      } else {
        await this.#env.sleep(wait, this.#abort.signal).catch(() => {})
        wait = Math.min(wait * 2, slowestRetryMs)
      }
    }
  }

  #writeSome(bytes: Buffer): number {
    try {
      return writeSync(this.#fd, bytes)
    } catch (error) {
      const errno = errnoOf(error)
      if (errno === 'EAGAIN') return 0
      // The programs are gone; the session ends through its output and its exit.
      if (errno === 'EIO') return bytes.length
      throw convertSystemError(error, 'write to the terminal')
    }
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#abort.abort()
    callback(error)
  }
}

function setSize(fd: number, size: TerminalSize): void {
  const winsize = Buffer.alloc(8)
  const sides = [size.rows, size.columns, size.widthPixels, size.heightPixels]
  sides.forEach((side, index) => {
    winsize.writeUInt16LE(Math.max(0, Math.min(Math.trunc(side), maxSide)), 2 * index)
  })
  ioctl(fd, TIOCSWINSZ, winsize)
}

function ioctl(fd: number, request: bigint, argument: Buffer): void {
  if (libc().functions.ioctl(fd, request, argument) === -1) {
    throw new SystemError('EIO', `the terminal refused a request (ioctl 0x${request.toString(16)})`)
  }
}

function ioctlNumber(fd: number, request: bigint): number {
  const value = Buffer.alloc(8)
  ioctl(fd, request, value)
  return value.readInt32LE(0)
}
