/**
 * One file between a page and a server: SFTP to the server, a WebSocket to the page. What is on its way is bounded on both sides; what
 * a page began and did not finish is removed again. The node writes the events, as for any SFTP.
 */

import type { IncomingMessage } from 'node:http'
import { Writable } from 'node:stream'
import { type RawData, WebSocket } from 'ws'
import { type FileNotice, fileRequest, filesPath, filesProtocol, terminalLeft } from '../../api/web-app.ts'
import type { Env } from '../../common/env.ts'
import {
  AccessDenied,
  AlreadyExists,
  BadParameter,
  ConnectionProblem,
  isAccessDenied,
  isAlreadyExists,
  isNotFound,
  type KindError,
} from '../../errors/errors.ts'
import type { SshClient } from '../../ssh/client-types.ts'
import { connectSftp } from '../../ssh/sftp/client.ts'
import type { RemoteHandle, SftpClient } from '../../ssh/sftp/client-types.ts'
import { openFlag } from '../../ssh/sftp/constants.ts'
import type { Attributes } from '../../ssh/sftp/types.ts'
import { firstWords } from './first-words.ts'
import { checkPageSocket, readTarget, TerminalSocket } from './terminal-socket.ts'

/** Bytes that wait for the server before the page is not read any more; and that are asked of the server ahead. */
const maxWaiting = 2 * 1024 * 1024
const piece = 64 * 1024
const ahead = 8
const reportEvery = 256 * 1024
const maxPath = 4096
/** Milliseconds for the server's end. */
const goodbyeMs = 2_000
const typeMask = 0o170_000
const regular = 0o100_000

interface Target {
  readonly token: string
  readonly node: string
  readonly login: string
}
export type FileAsk = Target &
  (
    | { readonly action: 'get'; readonly path: string }
    | { readonly action: 'put'; readonly path: string; readonly replace: boolean }
  )

/** Undefined when the request is for something else. Throws AccessDenied, BadParameter. */
export function readFileAsk(request: IncomingMessage): FileAsk | undefined {
  const url = URL.parse(request.url ?? '', 'https://proxy')
  if (url === null || url.pathname !== filesPath || request.method !== 'GET') return undefined
  const token = checkPageSocket(request, filesProtocol)
  const query = url.searchParams
  const target = { token, ...readTarget(query) }
  switch (query.get('action')) {
    case 'get':
      return { ...target, action: 'get', path: pathOf(query.get('path') ?? '') }
    case 'put': {
      const path = joined(query.get('directory') ?? '', query.get('name') ?? '')
      return { ...target, action: 'put', path, replace: query.get('replace') === '1' }
    }
    default:
      throw new BadParameter('action', 'action: expected get or put')
  }
}

/** A server starts in the home directory, so `~/` needs nothing asked. Throws BadParameter. */
export function pathOf(text: string): string {
  const path = text.replace(/^~\/+/, '')
  if (path === '' || path.length > maxPath || path.includes('\0'))
    throw new BadParameter('path', 'path: expected a file')
  return path
}

/** The name of what is sent is one name, never a way to somewhere else. Throws BadParameter. */
export function joined(directory: string, name: string): string {
  if (name === '' || name === '.' || name === '..' || name.length > 255 || /[/\p{Cc}]/u.test(name)) {
    throw new BadParameter('name', 'name: expected the name of a file, without a path')
  }
  const plain = directory.trim() === '~' ? '' : directory.trim()
  return plain === '' ? name : pathOf(`${plain.replace(/\/+$/, '')}/${name}`)
}

/** Beside it, hidden, and not to be taken for it. */
export function partOf(path: string, random: string): string {
  const at = path.lastIndexOf('/') + 1
  // A name has 255 bytes at most.
  const name = [...path.slice(at)].slice(0, 40).join('')
  return `${path.slice(0, at)}.${name}.${random}.part`
}

const isFile = ({ permissions = regular }: Attributes): boolean => (permissions & typeMask) === regular

const orNone = (asked: Promise<Attributes>): Promise<Attributes | undefined> =>
  asked.catch((error: unknown) => {
    if (isNotFound(error)) return undefined
    throw error
  })

/** The owner first: a change of it takes special bits away. Throws when it may not be kept. */
async function keepOwner(sftp: SftpClient, handle: RemoteHandle, { owner, permissions }: Attributes): Promise<void> {
  const now = (await sftp.fstat(handle)).owner
  if (owner !== undefined && (owner.uid !== now?.uid || owner.gid !== now.gid)) await sftp.fsetstat(handle, { owner })
  if (permissions !== undefined) await sftp.fsetstat(handle, { permissions: permissions & 0o7777 })
}

/**
 * A file in a directory that one may not write to is not written over in place: what is cut off on its way would be all that is left
 * of it. In the terminal one does so knowingly.
 */
function cannotMake(asked: string, path: string, isThere: boolean): AccessDenied {
  const directory = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) || '/' : 'the home directory'
  const what = `${asked}: permission denied: the login may not make files in ${directory}`
  if (!isThere) return new AccessDenied(`${what}; send it to another directory`)
  return new AccessDenied(`${what}, and a file is replaced as a whole by a new one beside it. ${instead}`)
}

const notOurs = (asked: string): AccessDenied =>
  new AccessDenied(
    `${asked}: permission denied: it belongs to another account or group, which the login may not give a new file. ${instead}`,
  )

const instead =
  'If the login may write to the file itself, send it to another directory and copy it over with cp in the terminal'

export class FileSocket {
  readonly #socket: WebSocket
  readonly #ask: FileAsk
  readonly #env: Env
  readonly #used: () => void

  constructor(socket: WebSocket, ask: FileAsk, options: { readonly env: Env; used(): void }) {
    this.#socket = socket
    this.#ask = ask
    this.#env = options.env
    this.#used = options.used
    socket.binaryType = 'nodebuffer'
  }

  /** Resolves when the file has arrived. Throws the kinds of SFTP, AlreadyExists, ConnectionProblem when the page has gone. */
  async serve(ssh: SshClient, signal: AbortSignal): Promise<void> {
    const session = await ssh.openSession()
    const refusal = firstWords(session.stderr)
    await session.subsystem('sftp')
    const sftp = await connectSftp(session.channel).catch((error: unknown) => {
      const words = refusal()
      throw words === undefined ? error : new ConnectionProblem(words)
    })
    try {
      if (this.#ask.action === 'put') await this.#receive(sftp, this.#ask, signal)
      else await this.#give(sftp, this.#ask.path, signal)
    } finally {
      // The server ends by itself, so that the node's record says that all was done, not that a client went away.
      session.channel.end()
      await Promise.race([session.exited, this.#env.sleep(goodbyeMs, signal).catch(() => undefined)])
      sftp.end()
    }
  }

  /** Under another name until it is whole, so that what is left of one that was cut off never looks whole, and never replaces anything. */
  async #receive(sftp: SftpClient, ask: { path: string; replace: boolean }, signal: AbortSignal): Promise<void> {
    const before = await orNone(sftp.lstat(ask.path))
    if (before !== undefined && !ask.replace) throw new AlreadyExists(`${ask.path}: there is such a file already`)
    const path = before === undefined ? ask.path : (await sftp.realpath(ask.path)).toString()
    const kept = before === undefined ? undefined : await sftp.stat(path)
    if (kept !== undefined && !isFile(kept)) throw new BadParameter('path', `${ask.path}: is not a file`)
    const part = partOf(path, this.#env.randomBytes(4).toString('hex'))
    const flags = openFlag.write | openFlag.create | openFlag.exclusive
    // What nobody else could read before is not readable while it arrives.
    const mode = kept === undefined ? 0o666 : 0o600
    const handle = await sftp.open(part, flags, mode).catch((error: unknown) => {
      throw isAccessDenied(error) ? cannotMake(ask.path, path, kept !== undefined) : error
    })
    try {
      try {
        await this.#store(sftp, handle, signal)
        if (kept !== undefined) {
          await keepOwner(sftp, handle, kept).catch((error: unknown) => {
            throw isAccessDenied(error) ? notOurs(ask.path) : error
          })
        }
      } finally {
        await sftp.close(handle)
      }
      if (kept === undefined) await sftp.renameNew(part, path)
      else await sftp.rename(part, path)
    } catch (error) {
      await sftp.remove(part).catch(() => undefined)
      throw error
    }
  }

  #store(sftp: SftpClient, handle: RemoteHandle, signal: AbortSignal): Promise<void> {
    const socket = this.#socket
    let received = 0
    let stored = 0
    let reported = 0
    let total: number | undefined
    return new Promise((resolve, reject) => {
      const abort = () => reject(signal.reason)
      if (signal.aborted) return abort()
      signal.addEventListener('abort', abort, { once: true })
      const settle = () => {
        if (total !== undefined && stored === total) resolve()
      }
      socket.on('message', (data: RawData, isBinary) => {
        if (!Buffer.isBuffer(data) || total !== undefined) {
          reject(new BadParameter('message', 'not a message of a file transfer'))
          return
        }
        if (!isBinary) {
          total = readDone(data)
          if (total !== received) reject(new BadParameter('bytes', 'the file did not arrive whole'))
          else settle()
          return
        }
        this.#used()
        const at = received
        received += data.length
        if (received - stored > maxWaiting) socket.pause()
        writeWhole(sftp, handle, at, data).then(() => {
          stored += data.length
          if (received - stored < maxWaiting / 2) socket.resume()
          if (stored - reported >= reportEvery) {
            reported = stored
            this.#notify({ type: 'stored', bytes: stored })
          }
          settle()
        }, reject)
      })
      this.#notify({ type: 'ready' })
    })
  }

  async #give(sftp: SftpClient, path: string, signal: AbortSignal): Promise<void> {
    const attributes = await sftp.stat(path)
    const { size = 0n } = attributes
    // A device or a pipe would never end.
    if (!isFile(attributes)) throw new BadParameter('path', `${path}: is not a file`)
    const handle = await sftp.open(path, openFlag.read)
    try {
      this.#notify({ type: 'ready', size: Number(size), name: path.split('/').at(-1) ?? '' })
      const page = new TerminalSocket(this.#socket)
      const nowhere = new Writable({ write: (_data, _encoding, done) => done() })
      page.listen(nowhere, { resize() {}, moderate() {}, used: this.#used })
      await page.show(this.#pieces(sftp, handle), signal)
      signal.throwIfAborted()
    } finally {
      await sftp.close(handle).catch(() => undefined)
    }
  }

  /** Several are asked for ahead, since one at a time would cost a round trip each. */
  async *#pieces(sftp: SftpClient, handle: RemoteHandle): AsyncGenerator<Buffer> {
    const asked: Promise<Buffer>[] = []
    let offset = 0
    for (;;) {
      while (asked.length < ahead) {
        const next = readWhole(sftp, handle, offset)
        next.catch(() => undefined)
        asked.push(next)
        offset += piece
      }
      const data = await asked.shift()
      if (data === undefined || data.length === 0) return
      this.#used()
      yield data
      if (data.length < piece) return
    }
  }

  #notify(notice: FileNotice): void {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(notice))
  }

  /** Says how it went, and closes. A page that does not listen is cut off. */
  end(error: KindError | undefined): void {
    if (error === undefined) this.#notify({ type: 'end' })
    else this.#notify({ type: 'end', message: error.message, ...(isAlreadyExists(error) ? { exists: true } : {}) })
    this.#socket.resume()
    this.#socket.close(terminalLeft)
    void this.#env.sleep(closeTimeout).then(() => this.#socket.terminate())
  }
}

/** Milliseconds. */
const closeTimeout = 5_000

function readDone(data: Buffer): number {
  try {
    return fileRequest.parse(JSON.parse(data.toString('utf8'))).bytes
  } catch {
    return -1
  }
}

async function writeWhole(sftp: SftpClient, handle: RemoteHandle, offset: number, data: Buffer): Promise<void> {
  const writes: Promise<void>[] = []
  for (let at = 0; at < data.length; at += sftp.maxWrite) {
    writes.push(sftp.write(handle, offset + at, data.subarray(at, at + sftp.maxWrite)))
  }
  await Promise.all(writes)
}

/** A whole piece, or what is left of the file. */
async function readWhole(sftp: SftpClient, handle: RemoteHandle, offset: number): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  while (length < piece) {
    const part = await sftp.read(handle, offset + length, Math.min(sftp.maxRead, piece - length))
    if (part === undefined) break
    parts.push(part)
    length += part.length
  }
  return Buffer.concat(parts)
}
