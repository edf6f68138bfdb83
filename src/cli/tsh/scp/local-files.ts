/** The files of this machine. */

import { constants, type Stats } from 'node:fs'
import { chmod, type FileHandle, mkdir, open, opendir, stat, utimes } from 'node:fs/promises'
import { convertSystemError } from '../../../errors/system.ts'
import { fromBytes, joinPath, shown, toBytes } from './bytes.ts'
import type { FileFacts, FileSystem, Kept, ListedEntry, OpenSink, OpenSource } from './file-system.ts'

async function attempt<T>(doing: string, path: string, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw convertSystemError(error, `${doing} ${shown(path)}`)
  }
}

const factsOf = (found: Stats): FileFacts => ({
  kind: found.isFile() ? 'file' : found.isDirectory() ? 'directory' : 'other',
  size: found.size,
  mode: found.mode & 0o7777,
  times: { atime: seconds(found.atimeMs), mtime: seconds(found.mtimeMs) },
})

/** SFTP has unsigned 32 bits. */
const seconds = (ms: number): number => Math.min(Math.max(Math.floor(ms / 1000), 0), 0xffff_ffff)

export const localFiles: FileSystem = {
  label: '',
  chunk: 256 * 1024,
  facts: (path) => attempt('read', path, async () => factsOf(await stat(toBytes(path)))),

  async *list(path): AsyncGenerator<ListedEntry> {
    const directory = await attempt('list', path, () =>
      opendir(toBytes(path), { encoding: 'buffer' as BufferEncoding }),
    )
    for await (const entry of directory) {
      const name = fromBytes(entry.name as unknown as Buffer)
      yield { name, facts: await stat(toBytes(joinPath(path, name))).then(factsOf, () => undefined) }
    }
  },

  openSource: (path) =>
    attempt('read', path, async () => {
      const file = await open(toBytes(path), constants.O_RDONLY)
      return new LocalSource(file, path)
    }),

  openSink: (path, mode) =>
    attempt('write', path, async () => {
      // Not truncated: a copy of a file onto itself must not destroy it. `finish` cuts off what is left of an older, longer one.
      const file = await open(toBytes(path), constants.O_WRONLY | constants.O_CREAT, mode | 0o200)
      return new LocalSink(file, path)
    }),

  makeDirectory: (path, mode) => attempt('create', path, async () => void (await mkdir(toBytes(path), { mode }))),

  keep: (path, { mode, times }) =>
    attempt('set mode and times of', path, async () => {
      if (mode !== undefined) await chmod(toBytes(path), mode)
      if (times !== undefined) await utimes(toBytes(path), times.atime, times.mtime)
    }),
}

class LocalSource implements OpenSource {
  readonly #file: FileHandle
  readonly #path: string

  constructor(file: FileHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  async read(offset: number, length: number, scratch: () => Buffer): Promise<Buffer | undefined> {
    const memory = scratch()
    const { bytesRead } = await attempt('read', this.#path, () => this.#file.read(memory, 0, length, offset))
    return bytesRead === 0 ? undefined : memory.subarray(0, bytesRead)
  }

  async close(): Promise<void> {
    await this.#file.close().catch(() => undefined)
  }
}

class LocalSink implements OpenSink {
  readonly #file: FileHandle
  readonly #path: string

  constructor(file: FileHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  async write(offset: number, data: Buffer): Promise<void> {
    await attempt('write', this.#path, async () => {
      for (let done = 0; done < data.length; ) {
        done += (await this.#file.write(data, done, data.length - done, offset + done)).bytesWritten
      }
    })
  }

  async finish(size: number, { mode, times }: Kept): Promise<void> {
    try {
      await attempt('write', this.#path, async () => {
        const found = await this.#file.stat()
        if (found.isFile() && found.size > size) await this.#file.truncate(size)
        if (mode !== undefined) await this.#file.chmod(mode)
        if (times !== undefined) await this.#file.utimes(times.atime, times.mtime)
      })
    } finally {
      // Some file systems report a full disk only here.
      await attempt('write', this.#path, () => this.#file.close())
    }
  }

  async abandon(): Promise<void> {
    await this.#file.close().catch(() => undefined)
  }
}
