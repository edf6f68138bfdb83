/** A file that a command writes piece by piece: there when it is complete, and until then not under its name. */

import { randomBytes } from 'node:crypto'
import { constants } from 'node:fs'
import { type FileHandle, link, lstat, open, rename, rm } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import type { Writable } from 'node:stream'
import { finished } from 'node:stream/promises'
import { syncDirectory } from '../../common/files.ts'
import { AlreadyExists } from '../../errors/errors.ts'
import { convertSystemError, errnoOf } from '../../errors/system.ts'

/**
 * Runs `work` with a stream into a new file of mode 0600, which gets its name when `work` is done and everything is on the disk.
 * When `work` throws, or the process ends, no file of that name is left behind. Throws AlreadyExists unless `overwrite`.
 */
export async function writeOutputFile<T>(
  path: string,
  overwrite: boolean,
  work: (out: Writable) => Promise<T>,
): Promise<T> {
  if (!overwrite && (await exists(path))) throw taken(path)
  const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  const { O_CREAT, O_EXCL, O_WRONLY, O_NOFOLLOW } = constants
  let file: FileHandle
  try {
    file = await open(temporary, O_CREAT | O_EXCL | O_WRONLY | O_NOFOLLOW, 0o600)
  } catch (error) {
    throw convertSystemError(error, `write ${path}`)
  }
  try {
    const stream = file.createWriteStream({ flush: true })
    // Its errors are thrown by `finished`, and by `work` where it writes.
    stream.on('error', () => undefined)
    const result = await work(stream)
    stream.end()
    await finished(stream)
    if (overwrite) await rename(temporary, path)
    else await link(temporary, path)
    await syncDirectory(dirname(path))
    return result
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') throw taken(path)
    throw convertSystemError(error, `write ${path}`)
  } finally {
    await file.close().catch(() => undefined)
    await rm(temporary, { force: true }).catch(() => undefined)
  }
}

const taken = (path: string) => new AlreadyExists(`${path} exists already; name another file or add --overwrite`)

async function exists(path: string): Promise<boolean> {
  try {
    await lstat(path)
    return true
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false
    throw convertSystemError(error, `write ${path}`)
  }
}
