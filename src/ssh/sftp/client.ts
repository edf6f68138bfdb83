/**
 * SFTP version 3 from the client's side, over any stream. Callers decide how many requests are outstanding (`pipeline.ts` does it
 * for whole files); this file asks, checks that the answer fits the question, and turns refusals into kinds with the path.
 */

import type { Duplex } from 'node:stream'
import { ConnectionProblem, type KindError, SystemError } from '../../errors/errors.ts'
import { brokenProtocol, shownPath, statusError } from './client-errors.ts'
import { RequestQueue } from './client-requests.ts'
import type { RefusedName, RemoteEntry, RemoteHandle, SftpClient, SftpPath } from './client-types.ts'
import { extensionName, maxTransfer, sftpVersion, statusCode } from './constants.ts'
import { readLimits, readStatVfs } from './decode.ts'
import { encodeInit, encodeRequest, encodeWriteHeader } from './encode.ts'
import { nameProblem } from './names.ts'
import type { Attributes, SftpReply, SftpRequest, StatVfs } from './types.ts'

/** Bytes that every server takes in one READ or WRITE (draft section 3). */
const surelyTaken = 32_768

export interface SftpClientOptions {
  /** Ends the client: what is outstanding rejects with the signal's reason. */
  readonly signal?: AbortSignal
  /** Stands before each path in a message, and before news of the connection: `node-1:`. */
  readonly label?: string
}

/** Says hello on a stream that leads to an SFTP server. Rejects with ConnectionProblem when there is none at its other end. */
export async function connectSftp(stream: Duplex, options: SftpClientOptions = {}): Promise<SftpClient> {
  options.signal?.throwIfAborted()
  const queue = new RequestQueue(stream, options.label ?? '')
  const { signal } = options
  const abort = () => queue.fail(signal?.reason)
  signal?.addEventListener('abort', abort, { once: true })
  stream.once('close', () => signal?.removeEventListener('abort', abort))
  queue.send([encodeInit({ type: 'init', version: sftpVersion, extensions: [] })])
  const { type, version, extensions } = await queue.version
  if (type !== 'version' || version < sftpVersion) {
    const error = brokenProtocol(`version ${version}, while version ${sftpVersion} is spoken here`)
    queue.fail(error)
    throw error
  }
  const names = new Set(extensions.map(({ name }) => name))
  const sizes = names.has(extensionName.limits) ? await askLimits(queue) : {}
  return new Client(queue, names, sizes, options.label ?? '')
}

interface Sizes {
  readonly maxRead?: number
  readonly maxWrite?: number
}

async function askLimits(queue: RequestQueue): Promise<Sizes> {
  const reply = await queue.ask((id) => [encodeRequest({ type: 'limits', id })])
  if (reply.type !== 'extended-reply') return {}
  const { maxRead, maxWrite } = queue.parse(() => readLimits(reply.data))
  return { maxRead: bounded(maxRead), maxWrite: bounded(maxWrite) }
}

/** 0 means that the server names no limit. Never more than fits into the largest packet that we take. */
const bounded = (limit: bigint): number =>
  limit === 0n || limit > BigInt(maxTransfer) ? maxTransfer : Math.max(1, Number(limit))

const bytesOf = (path: SftpPath): Buffer => (typeof path === 'string' ? Buffer.from(path) : path)
const textOf = (path: SftpPath): string => (typeof path === 'string' ? path : path.toString('utf8'))

/** A request without its id, which the queue gives. */
type Question = SftpRequest extends infer Request ? (Request extends SftpRequest ? Omit<Request, 'id'> : never) : never

class Client implements SftpClient {
  readonly maxRead: number
  readonly maxWrite: number
  readonly extensions: ReadonlySet<string>
  readonly #queue: RequestQueue
  readonly #label: string

  constructor(queue: RequestQueue, extensions: ReadonlySet<string>, sizes: Sizes, label: string) {
    this.#label = label
    this.#queue = queue
    this.extensions = extensions
    this.maxRead = sizes.maxRead ?? surelyTaken
    this.maxWrite = sizes.maxWrite ?? surelyTaken
  }

  async open(path: SftpPath, flags: number, permissions?: number): Promise<RemoteHandle> {
    const attributes = permissions === undefined ? {} : { permissions }
    const reply = await this.#ask({ type: 'open', path: bytesOf(path), flags, attributes })
    return this.#handle(reply, textOf(path))
  }

  async close(handle: RemoteHandle): Promise<void> {
    this.#done(await this.#ask({ type: 'close', handle: handle.bytes }), handle.path)
  }

  async read(handle: RemoteHandle, offset: number, length: number): Promise<Buffer | undefined> {
    const reply = await this.#ask({ type: 'read', handle: handle.bytes, offset: BigInt(offset), length })
    if (reply.type === 'status' && reply.code === statusCode.eof) return undefined
    if (reply.type !== 'data') throw this.#refused(reply, handle.path)
    const { data } = reply
    // An empty answer would be asked for again for ever.
    if (data.length === 0 || data.length > length) throw this.#broken(`${data.length} bytes where ${length} were asked`)
    return data
  }

  async write(handle: RemoteHandle, offset: number, data: Buffer): Promise<void> {
    const reply = await this.#queue.ask((id) => [
      encodeWriteHeader(id, handle.bytes, BigInt(offset), data.length),
      data,
    ])
    this.#done(reply, handle.path)
  }

  stat(path: SftpPath): Promise<Attributes> {
    return this.#attributes({ type: 'stat', path: bytesOf(path) }, textOf(path))
  }

  lstat(path: SftpPath): Promise<Attributes> {
    return this.#attributes({ type: 'lstat', path: bytesOf(path) }, textOf(path))
  }

  fstat(handle: RemoteHandle): Promise<Attributes> {
    return this.#attributes({ type: 'fstat', handle: handle.bytes }, handle.path)
  }

  async setstat(path: SftpPath, attributes: Attributes): Promise<void> {
    this.#done(await this.#ask({ type: 'setstat', path: bytesOf(path), attributes }), textOf(path))
  }

  async fsetstat(handle: RemoteHandle, attributes: Attributes): Promise<void> {
    this.#done(await this.#ask({ type: 'fsetstat', handle: handle.bytes, attributes }), handle.path)
  }

  async *readdir(path: SftpPath): AsyncGenerator<RemoteEntry | RefusedName> {
    const handle = this.#handle(await this.#ask({ type: 'opendir', path: bytesOf(path) }), textOf(path))
    try {
      for (;;) {
        const reply = await this.#ask({ type: 'readdir', handle: handle.bytes })
        if (reply.type === 'status' && reply.code === statusCode.eof) return
        if (reply.type !== 'name') throw this.#refused(reply, handle.path)
        if (reply.entries.length === 0) throw this.#broken('a list of names without a name')
        for (const { name, attributes } of reply.entries) {
          const text = name.toString('latin1')
          if (text === '.' || text === '..') continue
          const problem = nameProblem(name)
          yield problem === undefined ? { name, attributes } : { refused: problem }
        }
      }
    } finally {
      // Not waited for: nothing depends on it, and whoever stops early need not pay a round trip.
      this.close(handle).catch(() => undefined)
    }
  }

  async mkdir(path: SftpPath, permissions?: number): Promise<void> {
    const attributes = permissions === undefined ? {} : { permissions }
    this.#done(await this.#ask({ type: 'mkdir', path: bytesOf(path), attributes }), textOf(path))
  }

  async rmdir(path: SftpPath): Promise<void> {
    this.#done(await this.#ask({ type: 'rmdir', path: bytesOf(path) }), textOf(path))
  }

  async remove(path: SftpPath): Promise<void> {
    this.#done(await this.#ask({ type: 'remove', path: bytesOf(path) }), textOf(path))
  }

  async rename(from: SftpPath, to: SftpPath): Promise<void> {
    const type = this.extensions.has(extensionName.posixRename) ? 'posix-rename' : 'rename'
    this.#done(await this.#ask({ type, from: bytesOf(from), to: bytesOf(to) }), textOf(from))
  }

  async renameNew(from: SftpPath, to: SftpPath): Promise<void> {
    this.#done(await this.#ask({ type: 'rename', from: bytesOf(from), to: bytesOf(to) }), textOf(from))
  }

  async symlink(target: SftpPath, link: SftpPath): Promise<void> {
    this.#done(await this.#ask({ type: 'symlink', target: bytesOf(target), link: bytesOf(link) }), textOf(link))
  }

  readlink(path: SftpPath): Promise<Buffer> {
    return this.#oneName({ type: 'readlink', path: bytesOf(path) }, textOf(path))
  }

  realpath(path: SftpPath): Promise<Buffer> {
    return this.#oneName({ type: 'realpath', path: bytesOf(path) }, textOf(path))
  }

  async expandPath(path: SftpPath): Promise<Buffer> {
    this.#needs(extensionName.expandPath, textOf(path))
    return await this.#oneName({ type: 'expand-path', path: bytesOf(path) }, textOf(path))
  }

  async statvfs(path: SftpPath): Promise<StatVfs> {
    this.#needs(extensionName.statvfs, textOf(path))
    const reply = await this.#ask({ type: 'statvfs', path: bytesOf(path) })
    if (reply.type !== 'extended-reply') throw this.#refused(reply, textOf(path))
    return this.#queue.parse(() => readStatVfs(reply.data))
  }

  end(): void {
    this.#queue.fail(new ConnectionProblem('the SFTP client was closed'))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.end()
  }

  #ask(question: Question): Promise<SftpReply> {
    return this.#queue.ask((id) => [encodeRequest({ ...question, id } as SftpRequest)])
  }

  #needs(extension: string, path: string): void {
    if (this.extensions.has(extension)) return
    throw new SystemError('ENOSYS', `${this.#label}${shownPath(path)}: the server does not know ${extension}`)
  }

  #done(reply: SftpReply, path: string): void {
    if (reply.type !== 'status' || reply.code !== statusCode.ok) throw this.#refused(reply, path)
  }

  #handle(reply: SftpReply, path: string): RemoteHandle {
    if (reply.type !== 'handle') throw this.#refused(reply, path)
    // The reply's memory is a whole packet's.
    return { bytes: Buffer.from(reply.handle), path }
  }

  async #attributes(question: Question, path: string): Promise<Attributes> {
    const reply = await this.#ask(question)
    if (reply.type !== 'attrs') throw this.#refused(reply, path)
    return reply.attributes
  }

  async #oneName(question: Question, path: string): Promise<Buffer> {
    const reply = await this.#ask(question)
    if (reply.type !== 'name') throw this.#refused(reply, path)
    const [entry] = reply.entries
    if (entry === undefined || reply.entries.length > 1)
      throw this.#broken(`${reply.entries.length} names instead of one`)
    return Buffer.from(entry.name)
  }

  /** An answer that is not the one hoped for: the server's refusal, or nonsense, after which it is not asked again. */
  #refused(reply: SftpReply, path: string): KindError {
    if (reply.type === 'status' && reply.code !== statusCode.ok)
      return statusError(reply.code, reply.message, this.#label + shownPath(path))
    return this.#broken(`${reply.type} as the answer to something else`)
  }

  #broken(what: string): KindError {
    const error = brokenProtocol(what)
    this.#queue.fail(error)
    return error
  }
}
