/** Open files and directories of one SFTP session, by the handle that the client knows them under. */

import { closeSync, type Dir, type Dirent } from 'node:fs'
import { statusCode } from '../../ssh/sftp/constants.ts'
import { StatusError } from './file-status.ts'

export interface OpenFile {
  readonly kind: 'file'
  readonly fd: number
  readonly path: Buffer
  /** The kernel chooses where writes go. */
  readonly append: boolean
}

export interface OpenDirectory {
  readonly kind: 'directory'
  /** Its names are bytes. */
  readonly dir: Dir
  readonly path: Buffer
  /** Read, but did not fit into the last reply; the first two are the directory itself and its parent. */
  pending: Buffer[]
  ended: boolean
}

export type Open = OpenFile | OpenDirectory

/** Open at the same time. Enough for every client, and few enough for the limit of the process. */
export const maxHandles = 1000

export class Handles {
  readonly #open: (Open | undefined)[] = []
  readonly #free: number[] = []
  #count = 0

  /** Throws StatusError when too many are open: call it before the system opens anything. */
  reserve(): void {
    if (this.#count < maxHandles) return
    throw new StatusError(statusCode.failure, `Failure: too many open files, at most ${maxHandles} at once`)
  }

  add(open: Open): Buffer {
    const index = this.#free.pop() ?? this.#open.length
    this.#open[index] = open
    this.#count++
    const handle = Buffer.allocUnsafe(4)
    handle.writeUInt32BE(index)
    return handle
  }

  /** Throws StatusError for a handle that is not open. */
  get(handle: Buffer): Open {
    const open = handle.length === 4 ? this.#open[handle.readUInt32BE(0)] : undefined
    if (open === undefined) throw new StatusError(statusCode.failure, 'Failure: no such handle')
    return open
  }

  file(handle: Buffer): OpenFile {
    const open = this.get(handle)
    if (open.kind !== 'file') throw new StatusError(statusCode.failure, 'Failure: this handle is a directory')
    return open
  }

  directory(handle: Buffer): OpenDirectory {
    const open = this.get(handle)
    if (open.kind !== 'directory') throw new StatusError(statusCode.failure, 'Failure: this handle is a file')
    return open
  }

  /** Throws what the system says when it closes it; the handle is gone all the same. */
  close(handle: Buffer): void {
    const open = this.get(handle)
    const index = handle.readUInt32BE(0)
    this.#open[index] = undefined
    this.#free.push(index)
    this.#count--
    if (open.kind === 'file') closeSync(open.fd)
    else open.dir.closeSync()
  }
}

/** With `encoding: 'buffer'` the names are bytes, which the types of Node.js do not say. */
export function nameOf(entry: Dirent): Buffer {
  const name: unknown = entry.name
  return Buffer.isBuffer(name) ? name : Buffer.from(String(name))
}
