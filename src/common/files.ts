/**
 * Files with secrets or state: written whole or not at all, private to the service's user, never through a symbolic
 * link that somebody else could have placed.
 */

import { randomBytes } from 'node:crypto'
import { type BigIntStats, constants, type Stats } from 'node:fs'
import * as fs from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { AccessDenied, BadParameter, LimitExceeded } from '../errors/errors.ts'
import { convertSystemError, errnoOf } from '../errors/system.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_WRONLY } = constants

export interface WriteOptions {
  /** Permission bits, 0600 unless given. The umask does not apply. */
  readonly mode?: number
  /** With `false`, an existing file is left alone and AlreadyExists is thrown. */
  readonly overwrite?: boolean
  /** Whose the file shall be; our own unless given, which only root can do. */
  readonly owner?: Owner
}

export interface Owner {
  readonly uid: number
  readonly gid: number
}

/**
 * Replaces a file in one step: temporary file, fsync, rename, fsync of the directory. A crash leaves the old or the new
 * content, never a mixture. A symbolic link at `path` is replaced, not followed. Throws the kinds of `convertSystemError`.
 */
export async function writeFileAtomic(
  path: string,
  data: string | Uint8Array,
  options: WriteOptions = {},
): Promise<void> {
  const directory = dirname(path)
  const temporary = join(directory, `.${basename(path)}.${randomBytes(6).toString('hex')}.tmp`)
  try {
    const file = await fs.open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    try {
      await file.writeFile(data)
      await file.chmod(options.mode ?? 0o600)
      if (options.owner !== undefined) await file.chown(options.owner.uid, options.owner.gid)
      await file.sync()
    } finally {
      await file.close()
    }
    if (options.overwrite === false) {
      await fs.link(temporary, path)
      await fs.unlink(temporary)
    } else {
      await fs.rename(temporary, path)
    }
    await syncDirectory(directory)
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => undefined)
    throw convertSystemError(error, `write ${path}`)
  }
}

/** Makes renames and new names in a directory durable. */
export async function syncDirectory(path: string): Promise<void> {
  const directory = await fs.open(path, O_RDONLY | O_DIRECTORY)
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/**
 * The content of a regular file of at most `maxBytes`. Throws NotFound, AccessDenied, LimitExceeded when it is larger,
 * BadParameter when it is not a regular file (a FIFO would hang the reader).
 */
export async function readFileBounded(
  path: string,
  maxBytes: number,
  options: { followLinks?: boolean } = {},
): Promise<Buffer> {
  const flags = O_RDONLY | O_NONBLOCK | (options.followLinks === false ? O_NOFOLLOW : 0)
  const file = await fs.open(path, flags).catch((error: unknown) => {
    if (errnoOf(error) === 'ELOOP')
      throw new AccessDenied(`cannot read ${path}: it is a symbolic link; put the file itself there`)
    throw convertSystemError(error, `read ${path}`)
  })
  try {
    const stat = await file.stat()
    if (!stat.isFile()) throw new BadParameter(path, `cannot read ${path}: it is not a regular file`)
    const buffer = Buffer.alloc(maxBytes + 1)
    let length = 0
    while (length <= maxBytes) {
      const { bytesRead } = await file.read(buffer, length, buffer.length - length, null)
      if (bytesRead === 0) return buffer.subarray(0, length)
      length += bytesRead
    }
    throw new LimitExceeded(`cannot read ${path}: it is larger than ${maxBytes} bytes`)
  } catch (error) {
    throw convertSystemError(error, `read ${path}`)
  } finally {
    await file.close()
  }
}

/**
 * A file with a secret: private mode, our own or the given owner's, not a symbolic link. Throws AccessDenied with the command
 * that repairs it.
 */
export async function readPrivateFile(path: string, maxBytes: number, owner?: Owner): Promise<Buffer> {
  const stat = await fs.lstat(path).catch((error: unknown) => {
    throw convertSystemError(error, `read ${path}`)
  })
  if (stat.isSymbolicLink()) throw new AccessDenied(`${path} is a symbolic link; put the file itself there`)
  checkOwnerAndMode(path, stat, 'chmod 600', owner)
  return readFileBounded(path, maxBytes, { followLinks: false })
}

/** Makes the directory (0700, parents too) when it is missing, then checks it like `checkPrivateDir`. */
export async function ensurePrivateDir(path: string, owner?: Owner): Promise<void> {
  try {
    await fs.mkdir(path, { recursive: true, mode: 0o700 })
  } catch (error) {
    const kind = convertSystemError(error, `create the directory ${path}`)
    if (kind instanceof AccessDenied) {
      const remedy = `create it for this user (mkdir -p ${path} && chmod 700 ${path}) or choose another data_dir`
      throw new AccessDenied(`${kind.message}; ${remedy}`, { cause: error })
    }
    // Something is there that is not a directory: the check below says so.
    if (errnoOf(error) !== 'EEXIST') throw kind
  }
  await checkPrivateDir(path, owner)
}

/**
 * A directory with secrets must be a real directory, ours (or the given owner's), closed to group and others, and writable. Throws NotFound
 * or AccessDenied with the command that repairs it.
 */
export async function checkPrivateDir(path: string, owner?: Owner): Promise<void> {
  const stat = await fs.lstat(path).catch((error: unknown) => {
    throw convertSystemError(error, `use the directory ${path}`)
  })
  if (stat.isSymbolicLink()) throw new AccessDenied(`${path} is a symbolic link; name the directory that it points to`)
  if (!stat.isDirectory()) throw new BadParameter(path, `${path} is not a directory`)
  checkOwnerAndMode(path, stat, 'chmod 700', owner)
  await fs.access(path, constants.R_OK | constants.W_OK | constants.X_OK).catch((error: unknown) => {
    throw new AccessDenied(`cannot write to ${path}: run as its owner or choose another data_dir`, { cause: error })
  })
}

function checkOwnerAndMode(path: string, stat: Stats | BigIntStats, repair: string, owner: Owner | undefined): void {
  const user = process.geteuid?.() ?? 0
  const mode = Number(stat.mode) & 0o777
  if (Number(stat.uid) !== user && Number(stat.uid) !== owner?.uid) {
    throw new AccessDenied(
      `${path} belongs to user id ${stat.uid}, not to ${user}; run as its owner or: chown ${user} ${path}`,
    )
  }
  if ((mode & 0o077) !== 0) {
    const octal = mode.toString(8).padStart(4, '0')
    throw new AccessDenied(`${path} is open to other users (mode ${octal}); close it with: ${repair} ${path}`)
  }
}
