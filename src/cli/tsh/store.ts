/**
 * The directory `~/.tsh`: private files, never through a link. Reading is synchronous on purpose: `tsh ssh` reads four small
 * files before it can do anything else, and the thread pool costs more than the reads.
 */

import {
  accessSync,
  chmodSync,
  closeSync,
  constants,
  fstatSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { homedir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import { AccessDenied, BadParameter, LimitExceeded } from '../../errors/errors.ts'
import { convertSystemError, errnoOf } from '../../errors/system.ts'

/** Bytes; the largest file here is an RSA key with its certificate. */
const maxFileBytes = 1_048_576

/** `TELEPORT_HOME`, else `~/.tsh`. */
export function tshHome(env: NodeJS.ProcessEnv = process.env): string {
  const given = env.TELEPORT_HOME
  if (given !== undefined && given !== '') return given
  const home = homedir()
  if (home === '' || home === '/nonexistent')
    throw new BadParameter('HOME', 'no home directory: set HOME or TELEPORT_HOME')
  return join(home, '.tsh')
}

function refuseLoose(path: string, mode: number, uid: number, repair: string): void {
  const user = process.geteuid?.() ?? 0
  if (uid !== user) throw new AccessDenied(`${path} belongs to user id ${uid}, not to you (${user})`)
  if ((mode & 0o077) !== 0) {
    throw new AccessDenied(`${path} is open to other users; close it with: ${repair} ${path}`)
  }
}

/** The directory and the ones below it must be real directories of ours, closed to everybody else. */
export function checkDirectory(path: string): void {
  const stat = lstatSync(path)
  if (stat.isSymbolicLink())
    throw new AccessDenied(`${path} is a symbolic link; tsh keeps keys only in a real directory`)
  if (!stat.isDirectory()) throw new BadParameter(path, `${path} is not a directory`)
  refuseLoose(path, stat.mode, stat.uid, 'chmod 700')
}

/** Throws AccessDenied for a directory in which no file can be made. */
export function checkWritable(path: string): void {
  try {
    accessSync(path, constants.W_OK | constants.X_OK)
  } catch (error) {
    throw convertSystemError(error, `write to ${path}`)
  }
}

/** Makes the directory 0700 whatever the umask, or checks the one that is there. */
export function ensureDirectory(path: string): void {
  try {
    mkdirSync(path, { mode: 0o700 })
    chmodSync(path, 0o700)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') {
      ensureDirectory(dirname(path))
      ensureDirectory(path)
      return
    }
    if (errnoOf(error) !== 'EEXIST') throw convertSystemError(error, `create ${path}`)
  }
  checkDirectory(path)
}

/** The text of a private file; undefined when there is none. Throws AccessDenied for a link, a loose mode, a foreign owner. */
export function readPrivate(path: string): string | undefined {
  let file: number
  try {
    file = openSync(path, constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK)
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    if (errnoOf(error) === 'ELOOP') throw new AccessDenied(`${path} is a symbolic link; put the file itself there`)
    throw convertSystemError(error, `read ${path}`)
  }
  try {
    const stat = fstatSync(file)
    if (!stat.isFile()) throw new BadParameter(path, `${path} is not a regular file`)
    refuseLoose(path, stat.mode, stat.uid, 'chmod 600')
    if (stat.size > maxFileBytes) throw new LimitExceeded(`${path} is larger than ${maxFileBytes} bytes`)
    return readFileSync(file, 'utf8')
  } catch (error) {
    throw convertSystemError(error, `read ${path}`)
  } finally {
    closeSync(file)
  }
}

/** Replaces a file in one step, mode 0600. A link at `path` is replaced, not followed. */
export function writePrivate(path: string, text: string): void {
  const temporary = join(dirname(path), `.${basename(path)}.${process.pid}.tmp`)
  try {
    rmSync(temporary, { force: true })
    const file = openSync(
      temporary,
      constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL | constants.O_NOFOLLOW,
      0o600,
    )
    try {
      writeFileSync(file, text)
      fsyncSync(file)
    } finally {
      closeSync(file)
    }
    chmodSync(temporary, 0o600)
    renameSync(temporary, path)
  } catch (error) {
    rmSync(temporary, { force: true })
    throw convertSystemError(error, `write ${path}`)
  }
}
