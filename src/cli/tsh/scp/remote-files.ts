/** The files of a node, over SFTP. What the server says of them is not believed further than it must be. */

import { BadParameter } from '../../../errors/errors.ts'
import type { RemoteHandle, SftpClient } from '../../../ssh/sftp/client-types.ts'
import { openFlag } from '../../../ssh/sftp/constants.ts'
import type { Attributes } from '../../../ssh/sftp/types.ts'
import { fromBytes, shown, toBytes } from './bytes.ts'
import type { FileFacts, FileSystem, Kept, ListedEntry, OpenSink, OpenSource } from './file-system.ts'

const typeMask = 0o170_000
const typeOf = { directory: 0o040_000, file: 0o100_000, link: 0o120_000 } as const

const attributesOf = ({ mode, times }: Kept): Attributes => ({
  ...(mode === undefined ? {} : { permissions: mode }),
  ...(times === undefined ? {} : { times }),
})

const isEmpty = ({ mode, times }: Kept): boolean => mode === undefined && times === undefined

export class RemoteFiles implements FileSystem {
  readonly label: string
  readonly chunk: number
  readonly #client: SftpClient

  /** `label` as given to the client too. */
  constructor(client: SftpClient, label: string) {
    this.#client = client
    this.label = label
    this.chunk = Math.min(client.maxRead, client.maxWrite)
  }

  /** `~` and `~user` at the beginning of a path; an empty one is the home directory. Throws System where the server cannot tell. */
  async home(path: string): Promise<string> {
    if (path === '') return '.'
    if (!path.startsWith('~')) return path
    // The server starts in the home directory, so that nothing needs to be asked.
    const own = /^~(?:\/+(.*))?$/s.exec(path)
    if (own !== null) return own[1] === undefined || own[1] === '' ? '.' : own[1]
    return fromBytes(await this.#client.expandPath(toBytes(path)))
  }

  async facts(path: string): Promise<FileFacts> {
    return this.#facts(path, await this.#client.stat(toBytes(path)))
  }

  async *list(path: string): AsyncGenerator<ListedEntry | { readonly refused: string }> {
    for await (const entry of this.#client.readdir(toBytes(path))) {
      if ('refused' in entry) {
        yield entry
        continue
      }
      const { permissions } = entry.attributes
      const isKnown =
        permissions !== undefined && (permissions & typeMask) !== typeOf.link && (permissions & typeMask) !== 0
      const name = fromBytes(entry.name)
      yield { name, facts: isKnown ? this.#facts(`${path}/${name}`, entry.attributes) : undefined }
    }
  }

  async openSource(path: string): Promise<OpenSource> {
    const handle = await this.#client.open(toBytes(path), openFlag.read)
    const client = this.#client
    return {
      read: (offset, length) => client.read(handle, offset, length),
      close: () => client.close(handle).catch(() => undefined),
    }
  }

  async openSink(path: string, mode: number): Promise<OpenSink> {
    const handle = await this.#client.open(toBytes(path), openFlag.write | openFlag.create, mode | 0o200)
    return new RemoteSink(this.#client, handle, toBytes(path))
  }

  async makeDirectory(path: string, mode: number): Promise<void> {
    await this.#client.mkdir(toBytes(path), mode)
  }

  async keep(path: string, kept: Kept): Promise<void> {
    if (!isEmpty(kept)) await this.#client.setstat(toBytes(path), attributesOf(kept))
  }

  #facts(path: string, { permissions = typeOf.file, size = 0n, times }: Attributes): FileFacts {
    const type = permissions & typeMask
    const kind =
      type === typeOf.directory ? 'directory' : type === typeOf.file || type === 0 ? 'file' : ('other' as const)
    if (size > BigInt(Number.MAX_SAFE_INTEGER)) {
      throw new BadParameter(
        'size',
        `${this.label}${shown(path)}: the server claims a size of ${size} bytes, which cannot be`,
      )
    }
    return { kind, size: Number(size), mode: permissions & 0o7777, times }
  }
}

class RemoteSink implements OpenSink {
  readonly #client: SftpClient
  readonly #handle: RemoteHandle
  readonly #path: Buffer

  constructor(client: SftpClient, handle: RemoteHandle, path: Buffer) {
    this.#client = client
    this.#handle = handle
    this.#path = path
  }

  write(offset: number, data: Buffer): Promise<void> {
    return this.#client.write(this.#handle, offset, data)
  }

  /** All requests leave at once. */
  async finish(size: number, kept: Kept): Promise<void> {
    const [cut, ...others] = await Promise.allSettled([
      this.#client.fsetstat(this.#handle, { size: BigInt(size) }),
      ...(isEmpty(kept) ? [] : [this.#client.fsetstat(this.#handle, attributesOf(kept))]),
      this.#client.close(this.#handle),
    ])
    for (const result of others) if (result.status === 'rejected') throw result.reason
    if (cut.status === 'rejected') await this.#checkSize(size, cut.reason)
  }

  /** Devices have no size to set (`tsh scp x node:/dev/null`), some servers cannot; it matters only where an older file was longer. */
  async #checkSize(size: number, reason: unknown): Promise<void> {
    const found = await this.#client.stat(this.#path)
    const isFile = found.permissions === undefined || (found.permissions & typeMask) === typeOf.file
    if (isFile && found.size !== BigInt(size)) throw reason
  }

  async abandon(): Promise<void> {
    await this.#client.close(this.#handle).catch(() => undefined)
  }
}
