/**
 * The data directory. Root's, private, with everything in it; or, with a `teleport.user`, root's and passable (0711), with `auth`
 * and `proxy` below it belonging to that user. Changes between the two are made here, before anything runs.
 */

import { constants, existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import type { ServerRole } from '../api/model.ts'
import { ensurePrivateDir, type Owner } from '../common/files.ts'
import { AccessDenied, LimitExceeded } from '../errors/errors.ts'
import { convertSystemError, errnoOf } from '../errors/system.ts'

const { O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants
const passable = 0o711
const shared = ['auth', 'proxy'] as const
/** Deeper or larger than anything that the services make. */
const maxDepth = 8
const maxEntries = 1_000_000

/** Makes it, or checks that nobody else can change it. Throws AccessDenied with the remedy. */
export async function makeDataDir(dataDir: string): Promise<void> {
  if (!(await isPassable(dataDir))) await ensurePrivateDir(dataDir)
}

/** Under the lock of the directory: gives `auth` and `proxy` to the owner, or takes them back where there was one. Throws AccessDenied. */
export async function shareDataDir(
  dataDir: string,
  owner: Owner | undefined,
  roles: readonly ServerRole[],
): Promise<void> {
  const wasShared = await isPassable(dataDir)
  if (owner === undefined && !wasShared) return
  for (const name of shared) {
    const path = join(dataDir, name)
    if (owner !== undefined && roles.includes(name)) await makeDirectory(path)
    if (existsSync(path)) await giveAway(path, owner ?? { uid: 0, gid: 0 })
  }
  await fs.chmod(dataDir, owner === undefined ? 0o700 : passable)
}

async function makeDirectory(path: string): Promise<void> {
  try {
    await fs.mkdir(path, { mode: 0o700 })
  } catch (error) {
    if (errnoOf(error) !== 'EEXIST') throw convertSystemError(error, `create the directory ${path}`)
  }
}

/** What this file has made for a service user. */
async function isPassable(dataDir: string): Promise<boolean> {
  const stat = await fs.lstat(dataDir).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw convertSystemError(error, `use the directory ${dataDir}`)
  })
  return stat?.isDirectory() === true && stat.uid === 0 && process.geteuid?.() === 0 && (stat.mode & 0o777) === passable
}

/**
 * A directory with all that is in it. The directory itself changes last: a kill in between is made up for at the next start, and
 * what belongs to the user already is never walked through again. No link is followed: each step is opened below the one before.
 */
async function giveAway(path: string, owner: Owner): Promise<void> {
  const directory = await openNoFollow(path, path, O_DIRECTORY)
  try {
    const stat = await directory.stat()
    if (stat.uid === owner.uid && stat.gid === owner.gid) return
    await giveEntries(directory, path, owner, { depth: 0, entries: 0 })
    await directory.chown(owner.uid, owner.gid)
  } finally {
    await directory.close()
  }
}

interface Walk {
  depth: number
  entries: number
}

async function giveEntries(directory: fs.FileHandle, path: string, owner: Owner, walk: Walk): Promise<void> {
  if (++walk.depth > maxDepth) throw new LimitExceeded(`${path}: the directories are nested too deep`)
  for (const name of await fs.readdir(`/proc/self/fd/${directory.fd}`)) {
    if (++walk.entries > maxEntries) throw new LimitExceeded(`${path}: too many files`)
    const full = join(path, name)
    const entry = await openNoFollow(`/proc/self/fd/${directory.fd}/${name}`, full, O_NONBLOCK)
    try {
      const stat = await entry.stat()
      if (stat.isDirectory()) await giveEntries(entry, full, owner, walk)
      // A second name could be that of a file outside, such as /etc/shadow.
      else if (!stat.isFile() || stat.nlink > 1) throw unexpected(full)
      await entry.chown(owner.uid, owner.gid)
    } finally {
      await entry.close()
    }
  }
  walk.depth--
}

async function openNoFollow(path: string, name: string, flags: number): Promise<fs.FileHandle> {
  try {
    return await fs.open(path, O_RDONLY | O_NOFOLLOW | flags)
  } catch (error) {
    // A link, or, for the latter, a socket.
    if (['ELOOP', 'ENOTDIR', 'ENXIO'].includes(errnoOf(error) ?? '')) throw unexpected(name)
    throw convertSystemError(error, `open ${name}`)
  }
}

const unexpected = (path: string) =>
  new AccessDenied(`${path} is a link, or no file or directory; its owner is not changed. Look at it and remove it`)
