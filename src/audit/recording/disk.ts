/**
 * Files of recordings: where they lie, and how they are opened. `YYYY/MM/SID.cast.zst` has the content, `SID.index` says what is in it;
 * a recording exists when its index does. `SID.end` makes it complete and becomes `SID.done` when that was told to whoever wants to
 * know; `SID.removing` is a `SID.done` whose recording is on its way out.
 */

import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { ensurePrivateDir, syncDirectory } from '../../common/files.ts'
import { BadParameter } from '../../errors/errors.ts'
import { convertSystemError, errnoOf } from '../../errors/system.ts'

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants

export type Extension = 'cast.zst' | 'index' | 'end' | 'done' | 'removing'

const SID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const FILE = /^([0-9a-f-]{36})\.(cast\.zst|index|end|done|removing)$/

/** Nothing else is ever part of a path. Throws BadParameter. */
export function checkSid(sid: string): string {
  if (SID.test(sid)) return sid
  throw new BadParameter('sid', 'the id of a recording is a UUID in lower case')
}

export const fileOf = (directory: string, sid: string, extension: Extension): string =>
  join(directory, `${checkSid(sid)}.${extension}`)

/** Which recording and which of its files this is; undefined for other files. */
export function parseFileName(name: string): { readonly sid: string; readonly extension: Extension } | undefined {
  const [, sid = '', extension] = FILE.exec(name) ?? []
  return SID.test(sid) && extension !== undefined ? { sid, extension: extension as Extension } : undefined
}

/** The directory for recordings that began then (UTC), below the store's own. */
export function monthOf(started: string): string {
  const time = new Date(started)
  const year = time.getUTCFullYear()
  if (!(year >= 1970 && year <= 2999)) throw new BadParameter('started', 'the recording has no time of its start')
  return join(String(year), String(time.getUTCMonth() + 1).padStart(2, '0'))
}

/** Makes `YYYY/MM` durable before anything is put there. */
export async function makeMonth(root: string, month: string): Promise<string> {
  const directory = join(root, month)
  await ensurePrivateDir(directory)
  await syncDirectory(join(directory, '..'))
  await syncDirectory(root)
  return directory
}

/** Directories with recordings, oldest first. */
export async function months(root: string): Promise<readonly string[]> {
  const found: string[] = []
  for (const year of await names(root, /^\d{4}$/)) {
    for (const month of await names(join(root, year), /^\d{2}$/)) found.push(join(root, year, month))
  }
  return found
}

async function names(directory: string, pattern: RegExp): Promise<readonly string[]> {
  const entries = await fs.readdir(directory, { withFileTypes: true })
  const matching = entries.filter((entry) => entry.isDirectory() && pattern.test(entry.name))
  return matching.map((entry) => entry.name).sort()
}

/** The directory in which the recording is. The answer costs a look into each month, and needs nothing that could be out of date. */
export async function locate(
  root: string,
  sid: string,
  extensions: readonly Extension[] = ['index'],
): Promise<string | undefined> {
  for (const directory of (await months(root)).toReversed()) {
    for (const extension of extensions) if (await exists(fileOf(directory, sid, extension))) return directory
  }
  return undefined
}

/** Also one that is damaged, or on its way out. */
export const locateAny = (root: string, sid: string): Promise<string | undefined> =>
  locate(root, sid, ['index', 'cast.zst', 'end', 'done', 'removing'])

export async function exists(path: string): Promise<boolean> {
  try {
    await fs.lstat(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw convertSystemError(error, `look for ${path}`)
  }
}

/** Never through a link, and never something that could block. The caller closes it. Throws NotFound, AccessDenied, System. */
export async function openFile(path: string, use: 'read' | 'write' | 'create'): Promise<fs.FileHandle> {
  const mode = { read: O_RDONLY, write: O_RDWR, create: O_RDWR | O_CREAT }[use]
  let file: fs.FileHandle | undefined
  try {
    file = await fs.open(path, mode | O_NOFOLLOW | O_NONBLOCK, 0o600)
    if ((await file.stat()).isFile()) return file
  } catch (error) {
    await file?.close()
    throw convertSystemError(error, `open ${path}`)
  }
  await file.close()
  throw new BadParameter(path, `cannot use ${path}: it is not a regular file`)
}

/** What is there, at most `length` bytes. */
export async function readAt(file: fs.FileHandle, position: number, length: number): Promise<Buffer> {
  const buffer = Buffer.allocUnsafe(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await file.read(buffer, done, length - done, position + done)
    if (bytesRead === 0) break
    done += bytesRead
  }
  return buffer.subarray(0, done)
}

export async function writeAt(file: fs.FileHandle, position: number, data: Buffer): Promise<void> {
  let done = 0
  while (done < data.length) {
    const { bytesWritten } = await file.write(data, done, data.length - done, position + done)
    done += bytesWritten
  }
}

/** Runs with the file open, and closes it. */
export async function withFile<T>(
  path: string,
  use: 'read' | 'write' | 'create',
  run: (file: fs.FileHandle) => Promise<T>,
): Promise<T> {
  const file = await openFile(path, use)
  try {
    return await run(file)
  } finally {
    await file.close()
  }
}
