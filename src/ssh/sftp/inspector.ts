/**
 * Watches both directions of an SFTP session and tells what happened to which file. It changes nothing and holds nothing up; its
 * memory is bounded by what is under way. What is told is what the server answered, not what the client asked for.
 *
 * A client that wants to hide something knows this file. So requests are matched in order even when their ids repeat, and a write
 * through a handle that was only guessed belongs to the file that has the handle when the server answers.
 */

import { posix } from 'node:path'
import { WireError } from '../wire/reader.ts'
import { openFlag, packetType, statusCode } from './constants.ts'
import { decodeInit, decodeReply, decodeRequest, packetHead } from './decode.ts'
import type { FileEvent, InspectorOptions } from './inspector-types.ts'
import { InspectedFile } from './open-file.ts'
import { PacketScanner } from './packet-scanner.ts'
import type { Transfer } from './transfer.ts'
import type { Attributes, SftpReply } from './types.ts'

/** What a request will mean once it has been answered. */
type Pending =
  | { readonly kind: 'other' }
  | { readonly kind: 'open'; readonly path: string; readonly flags: number; readonly mode: number | undefined }
  | { readonly kind: 'opendir'; readonly path: string }
  | { readonly kind: 'close'; readonly key: string }
  | { readonly kind: 'read'; readonly key: string; readonly offset: bigint; readonly length: number }
  | {
      readonly kind: 'write'
      readonly key: string
      /** Undefined: nobody knew at the time whose handle that was. */
      readonly file: InspectedFile | undefined
      readonly length: number
    }
  | { readonly kind: 'stat'; readonly path: string }
  | { readonly kind: 'fstat'; readonly key: string }
  | { readonly kind: 'fsetstat'; readonly key: string; readonly attributes: Attributes }
  | { readonly kind: 'copy'; readonly from: string; readonly to: string }
  | { readonly kind: 'here' }
  /** Told as it is, with the server's answer. */
  | { readonly kind: 'change'; readonly event: FileEvent }

type Watched = InspectedFile | { readonly kind: 'directory'; readonly path: string }

/** Requests without an answer before the client is made to wait: far more than any client has. */
const manyPending = 16_384
/** Files whose size the client has asked for. */
const maxKnownSizes = 1024
const maxPathText = 4096

const other: Pending = { kind: 'other' }

export class SftpInspector {
  readonly #options: InspectorOptions
  readonly #fromClient: PacketScanner
  readonly #fromServer: PacketScanner
  /** By id; several when a client uses an id again before the answer. */
  readonly #pending = new Map<number, Pending | Pending[]>()
  #pendingCount = 0
  #opens = 0
  readonly #open = new Map<string, Watched>()
  readonly #sizes = new Map<string, bigint>()
  #directory: string
  #broken = false
  #clientGreeted = false
  #serverGreeted = false
  /** Who takes the content that comes now, from each side. */
  #writing: Transfer | undefined
  #reading: Transfer | undefined

  constructor(options: InspectorOptions) {
    this.#options = options
    this.#directory = options.directory
    this.#fromClient = new PacketScanner({
      packet: (packet) => this.#request(packet),
      contentStart: (head, length) => this.#writeStart(head, length),
      content: (piece) => this.#writing?.piece(piece),
      contentEnd: () => this.#writing?.finishPiece(),
    })
    this.#fromServer = new PacketScanner({
      packet: (packet) => this.#reply(packet),
      contentStart: (head, length) => this.#dataStart(head, length),
      content: (piece) => this.#reading?.piece(piece),
      contentEnd: () => this.#reading?.finishPiece(),
    })
  }

  /** True: let the server answer before more is sent to it. */
  get isBusy(): boolean {
    return this.#pendingCount >= manyPending && !this.#broken
  }

  fromClient(chunk: Buffer): void {
    this.#scan(this.#fromClient, chunk, 'client')
  }

  fromServer(chunk: Buffer): void {
    this.#scan(this.#fromServer, chunk, 'server')
  }

  /** The session is over: tells of files that were not closed and of requests that were not answered. */
  finish(): void {
    const error = 'the session ended before the file was closed'
    for (const open of this.#open.values()) if (open.kind === 'file') this.#tellFile(open, error)
    this.#open.clear()
    for (const entry of this.#pending.values()) {
      for (const pending of Array.isArray(entry) ? entry : [entry]) this.#unanswered(pending)
    }
    this.#pending.clear()
    this.#pendingCount = 0
    this.#broken = true
  }

  #scan(scanner: PacketScanner, chunk: Buffer, side: string): void {
    if (this.#broken) return
    try {
      scanner.push(chunk)
    } catch (error) {
      if (!(error instanceof WireError)) throw error
      this.finish()
      this.#options.onProblem(`the ${side} sent what is no SFTP: ${error.message}`)
    }
  }

  #tell(event: FileEvent): void {
    this.#options.onEvent(event)
  }

  #tellFile(file: InspectedFile, error?: string): void {
    for (const event of file.events(error)) this.#tell(event)
  }

  #unanswered(pending: Pending): void {
    const error = 'the session ended before the server answered'
    if (pending.kind === 'change') this.#tell({ ...pending.event, error })
    if (pending.kind === 'open') this.#tell({ kind: 'open', path: pending.path, error })
  }

  // ---- from the client ----

  #expect(id: number, pending: Pending): void {
    this.#pendingCount++
    const before = this.#pending.get(id)
    if (before === undefined) this.#pending.set(id, pending)
    else if (Array.isArray(before)) before.push(pending)
    else this.#pending.set(id, [before, pending])
  }

  #answered(id: number): Pending {
    const pending = this.#pending.get(id)
    if (pending === undefined) return other
    this.#pendingCount--
    if (!Array.isArray(pending)) {
      this.#pending.delete(id)
      return pending
    }
    const first = pending.shift() ?? other
    if (pending.length === 0) this.#pending.delete(id)
    return first
  }

  #file(key: string): InspectedFile | undefined {
    const open = this.#open.get(key)
    return open?.kind === 'file' ? open : undefined
  }

  #request(packet: Buffer): void {
    if (!this.#clientGreeted || packet[0] === packetType.init) {
      this.#clientGreeted = true
      decodeInit(packet)
      return
    }
    const { id } = packetHead(packet)
    this.#expect(id, this.#meaning(packet))
  }

  #meaning(packet: Buffer): Pending {
    const request = decodeRequest(packet)
    if (request === undefined) return other
    const change = (event: FileEvent): Pending => ({ kind: 'change', event })
    switch (request.type) {
      case 'open':
        return {
          kind: 'open',
          path: this.#absolute(request.path),
          flags: request.flags,
          mode: request.attributes.permissions,
        }
      case 'opendir':
        return { kind: 'opendir', path: this.#absolute(request.path) }
      case 'close': {
        const key = keyOf(request.handle)
        const file = this.#file(key)
        if (file !== undefined) file.closing = true
        return { kind: 'close', key }
      }
      case 'read':
        return { kind: 'read', key: keyOf(request.handle), offset: request.offset, length: request.length }
      case 'stat':
      case 'lstat':
        return { kind: 'stat', path: this.#absolute(request.path) }
      case 'fstat':
        return { kind: 'fstat', key: keyOf(request.handle) }
      case 'fsetstat':
        return { kind: 'fsetstat', key: keyOf(request.handle), attributes: request.attributes }
      case 'setstat':
      case 'lsetstat':
        return change({ kind: 'setstat', path: this.#absolute(request.path), attributes: request.attributes })
      case 'remove':
      case 'mkdir':
      case 'rmdir':
        return change({ kind: request.type, path: this.#absolute(request.path) })
      case 'rename':
      case 'posix-rename':
        return change({ kind: 'rename', path: this.#absolute(request.from), target: this.#absolute(request.to) })
      case 'hardlink':
        return change({ kind: 'link', path: this.#absolute(request.from), target: this.#absolute(request.to) })
      case 'symlink':
        return change({ kind: 'symlink', path: this.#absolute(request.link), target: textOf(request.target) })
      case 'copy-data':
        return { kind: 'copy', from: keyOf(request.from), to: keyOf(request.to) }
      case 'realpath':
        return request.path.length === 0 || request.path.equals(dot) ? { kind: 'here' } : other
      case 'write':
      case 'readdir':
      case 'readlink':
      case 'statvfs':
      case 'fstatvfs':
      case 'fsync':
      case 'limits':
      case 'expand-path':
      case 'home-directory':
      case 'users-groups-by-id':
      case 'extended':
        return other
    }
  }

  #writeStart(head: Buffer, length: number): void {
    if (head[0] !== packetType.write || !this.#clientGreeted) throw new WireError('a packet that clients do not send')
    const key = keyOf(head.subarray(9, head.length - 12))
    const known = this.#file(key)
    const file = known?.closing === true ? undefined : known
    file?.writes.begin(head.readBigUInt64BE(head.length - 12), length)
    this.#writing = file?.writes
    this.#expect(head.readUInt32BE(1), { kind: 'write', key, file, length })
  }

  // ---- from the server ----

  #dataStart(head: Buffer, length: number): void {
    if (head[0] !== packetType.data || !this.#serverGreeted) throw new WireError('a packet that servers do not send')
    this.#reading = undefined
    const pending = this.#answered(head.readUInt32BE(1))
    if (pending.kind !== 'read') return
    const file = this.#file(pending.key)
    if (file === undefined) return
    file.reads.begin(pending.offset, length)
    if (length < pending.length) file.readShort(pending.offset + BigInt(length), pending.length)
    this.#reading = file.reads
  }

  #reply(packet: Buffer): void {
    if (!this.#serverGreeted) {
      this.#serverGreeted = true
      decodeInit(packet)
      return
    }
    if (packet[0] === packetType.version) return
    const reply = decodeReply(packet)
    if (reply === undefined) throw new WireError(`a reply of type ${packet[0]}`)
    const pending = this.#answered(reply.id)
    const error = errorOf(reply)
    switch (pending.kind) {
      case 'other':
        return
      case 'open':
        this.#opened(pending, reply, error)
        return
      case 'opendir':
        if (reply.type === 'handle') this.#open.set(keyOf(reply.handle), { kind: 'directory', path: pending.path })
        this.#tell({ kind: 'opendir', path: pending.path, ...withError(error) })
        return
      case 'close':
        this.#closed(pending.key, error)
        return
      case 'read':
        this.#notRead(pending, reply, error)
        return
      case 'write':
        this.#written(pending, error)
        return
      case 'stat':
        if (reply.type === 'attrs') this.#rememberSize(pending.path, reply.attributes.size)
        return
      case 'fstat':
        if (reply.type === 'attrs' && reply.attributes.size !== undefined) {
          this.#file(pending.key)?.sizeKnown(reply.attributes.size)
        }
        return
      case 'fsetstat':
        this.#setByHandle(pending, error)
        return
      case 'copy':
        if (error !== undefined) return
        this.#file(pending.from)?.reads.spoil()
        this.#file(pending.to)?.writes.spoil()
        return
      case 'here': {
        const name = reply.type === 'name' ? reply.entries[0]?.name : undefined
        if (name?.[0] === 0x2f) this.#directory = textOf(name)
        return
      }
      case 'change':
        this.#tell({ ...pending.event, ...withError(error) })
    }
  }

  #opened(pending: Extract<Pending, { kind: 'open' }>, reply: SftpReply, error: string | undefined): void {
    const { path, flags, mode } = pending
    if (reply.type !== 'handle') {
      this.#tell({ kind: 'open', path, ...(mode === undefined ? {} : { mode }), error: error ?? 'no handle' })
      return
    }
    const number = ++this.#opens
    const file = new InspectedFile({ path, flags, mode, number })
    this.#options.onOpen?.({ number, path, writes: (flags & openFlag.write) !== 0 })
    const size = this.#sizes.get(path)
    if (size !== undefined) file.sizeKnown(size)
    const key = keyOf(reply.handle)
    const before = this.#file(key)
    // The server gave a handle twice: what was known of the first ends here.
    if (before !== undefined) this.#tellFile(before, 'the server used its handle again')
    this.#open.set(key, file)
  }

  #closed(key: string, error: string | undefined): void {
    const open = this.#open.get(key)
    if (open === undefined) return
    this.#open.delete(key)
    if (open.kind === 'file') this.#tellFile(open, error)
  }

  #notRead(pending: Extract<Pending, { kind: 'read' }>, reply: SftpReply, error: string | undefined): void {
    const file = this.#file(pending.key)
    if (file === undefined || reply.type !== 'status') return
    if (reply.code === statusCode.eof) file.readEof(pending.offset)
    else if (error !== undefined) file.failed(error)
  }

  #written(pending: Extract<Pending, { kind: 'write' }>, error: string | undefined): void {
    if (error !== undefined) {
      pending.file?.failed(error)
      return
    }
    const now = this.#file(pending.key)
    if (now === undefined || now === pending.file) return
    now.writes.spoil(pending.length)
  }

  #setByHandle(pending: Extract<Pending, { kind: 'fsetstat' }>, error: string | undefined): void {
    const open = this.#open.get(pending.key)
    const { attributes } = pending
    if (open?.kind === 'file' && attributes.size !== undefined && error === undefined) open.sizeSet(attributes.size)
    this.#tell({ kind: 'setstat', path: open?.path ?? '', attributes, ...withError(error) })
  }

  // ---- names ----

  #absolute(path: Buffer): string {
    return posix.resolve(this.#directory, textOf(path))
  }

  #rememberSize(path: string, size: bigint | undefined): void {
    if (size === undefined) return
    if (this.#sizes.size >= maxKnownSizes) this.#sizes.clear()
    this.#sizes.set(path, size)
  }
}

const dot = Buffer.from('.')

const keyOf = (handle: Buffer): string => handle.toString('latin1')

/** The kernel takes no longer paths; a client that sends one fails, and its record need not be as long. */
const textOf = (path: Buffer): string => path.subarray(0, maxPathText).toString('utf8')

const withError = (error: string | undefined): { readonly error?: string } => (error === undefined ? {} : { error })

function errorOf(reply: SftpReply): string | undefined {
  if (reply.type !== 'status' || reply.code === statusCode.ok) return undefined
  return reply.message === '' ? `status ${reply.code}` : reply.message.slice(0, maxPathText)
}
