/**
 * What each SFTP request does, with the words and codes of OpenSSH's sftp-server (10.0). Everything is synchronous: the process
 * serves one session of one user, and answers in order. READ and WRITE are in `sftp-server.ts`, since they must not copy.
 */

import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  futimesSync,
  lchownSync,
  linkSync,
  lstatSync,
  lutimesSync,
  mkdirSync,
  opendirSync,
  openSync,
  readlinkSync,
  renameSync,
  rmdirSync,
  type Stats,
  statfsSync,
  statSync,
  symlinkSync,
  unlinkSync,
  utimesSync,
} from 'node:fs'
import { errnoOf } from '../../errors/system.ts'
import { maxPacket, maxTransfer, openFlag, statusCode } from '../../ssh/sftp/constants.ts'
import { encodeLimits, encodeStatVfs, encodeUsersGroups, statusReply } from '../../ssh/sftp/encode.ts'
import type { Attributes, NameEntry, SftpReply, SftpRequest } from '../../ssh/sftp/types.ts'
import { copyData } from './copy-data.ts'
import { expandPath, homeOf } from './expand-path.ts'
import { StatusError } from './file-status.ts'
import { type Handles, maxHandles, nameOf, type OpenDirectory } from './handles.ts'
import { longName, type Names } from './long-name.ts'
import { join, realPath } from './real-path.ts'

export interface Surroundings {
  readonly handles: Handles
  readonly names: Names
  /** The user's, as the account database has it. */
  readonly home: string
  nowMs(): number
}

/** Entries in one reply to READDIR, as OpenSSH. */
const entriesPerReply = 100
/** Bytes of names in one reply: a packet that clients with smaller buffers can take. */
const nameBytesPerReply = 64 * 1024

type Request = Exclude<SftpRequest, { type: 'read' | 'write' }>

/** Throws StatusError and errors of the system, which `statusOf` makes into the answer. */
export function perform(request: Request, around: Surroundings): SftpReply {
  const { id } = request
  const { handles } = around
  const done = statusReply(id, statusCode.ok)
  switch (request.type) {
    case 'open':
      return { type: 'handle', id, handle: openFile(request, handles) }
    case 'close':
      handles.close(request.handle)
      return done
    case 'stat':
      return { type: 'attrs', id, attributes: attributesOf(statSync(request.path)) }
    case 'lstat':
      return { type: 'attrs', id, attributes: attributesOf(lstatSync(request.path)) }
    case 'fstat': {
      const open = handles.get(request.handle)
      const stat = open.kind === 'file' ? fstatSync(open.fd) : statSync(open.path)
      return { type: 'attrs', id, attributes: attributesOf(stat) }
    }
    case 'setstat':
      setByPath(request.path, request.attributes)
      return done
    case 'lsetstat':
      setLink(request.path, request.attributes)
      return done
    case 'fsetstat':
      setByHandle(handles, request.handle, request.attributes)
      return done
    case 'opendir':
      return { type: 'handle', id, handle: openDirectory(request.path, handles) }
    case 'readdir': {
      const entries = nextEntries(handles.directory(request.handle), around)
      return entries.length === 0 ? statusReply(id, statusCode.eof) : { type: 'name', id, entries }
    }
    case 'remove':
      unlinkSync(request.path)
      return done
    case 'mkdir':
      mkdirSync(request.path, (request.attributes.permissions ?? 0o777) & 0o7777)
      return done
    case 'rmdir':
      rmdirSync(request.path)
      return done
    case 'realpath':
      return oneName(id, realPath(request.path))
    case 'readlink':
      return oneName(id, readlinkSync(request.path, 'buffer'))
    case 'symlink':
      symlinkSync(request.target, request.link)
      return done
    case 'hardlink':
      linkSync(request.from, request.to)
      return done
    case 'rename':
      renameWithoutOverwrite(request.from, request.to)
      return done
    case 'posix-rename':
      renameSync(request.from, request.to)
      return done
    case 'fsync':
      fsyncSync(handles.file(request.handle).fd)
      return done
    case 'statvfs':
      return { type: 'extended-reply', id, data: fileSystemOf(request.path) }
    case 'fstatvfs': {
      const open = handles.get(request.handle)
      const path = open.kind === 'file' ? Buffer.from(`/proc/self/fd/${open.fd}`) : open.path
      return { type: 'extended-reply', id, data: fileSystemOf(path) }
    }
    case 'limits':
      return {
        type: 'extended-reply',
        id,
        data: encodeLimits({
          maxPacket: BigInt(maxPacket),
          maxRead: BigInt(maxTransfer),
          maxWrite: BigInt(maxTransfer),
          maxHandles: BigInt(maxHandles),
        }),
      }
    case 'expand-path':
      return oneName(id, realPath(expandPath(request.path, around.home)))
    case 'home-directory':
      return oneName(id, request.user.length === 0 ? Buffer.from(around.home) : homeOf(request.user))
    case 'users-groups-by-id': {
      const users = request.uids.map((uid) => around.names.user(uid) ?? '')
      const groups = request.gids.map((gid) => around.names.group(gid) ?? '')
      return { type: 'extended-reply', id, data: encodeUsersGroups(users, groups) }
    }
    case 'copy-data':
      copyData(request, handles)
      return done
    case 'extended':
      return statusReply(id, statusCode.unsupported)
  }
}

const oneName = (id: number, name: Buffer): SftpReply => ({
  type: 'name',
  id,
  entries: [{ name, longName: name, attributes: {} }],
})

const seconds = (ms: number): number => Math.floor(ms / 1000) >>> 0

function attributesOf({ size, uid, gid, mode, atimeMs, mtimeMs }: Stats): Attributes {
  return {
    size: BigInt(size),
    owner: { uid, gid },
    permissions: mode,
    times: { atime: seconds(atimeMs), mtime: seconds(mtimeMs) },
  }
}

function openFile(request: Extract<Request, { type: 'open' }>, handles: Handles): Buffer {
  handles.reserve()
  const asked = request.flags
  const has = (flag: number): boolean => (asked & flag) !== 0
  const reading = has(openFlag.read)
  const access = has(openFlag.write) ? (reading ? constants.O_RDWR : constants.O_WRONLY) : constants.O_RDONLY
  const append = has(openFlag.append)
  const flags =
    access |
    (append ? constants.O_APPEND : 0) |
    (has(openFlag.create) ? constants.O_CREAT : 0) |
    (has(openFlag.truncate) ? constants.O_TRUNC : 0) |
    (has(openFlag.exclusive) ? constants.O_EXCL : 0)
  const mode = (request.attributes.permissions ?? 0o666) & 0o7777
  const fd = openSync(request.path, flags, mode)
  return handles.add({ kind: 'file', fd, path: Buffer.from(request.path), append })
}

// ---- directories ----

function openDirectory(path: Buffer, handles: Handles): Buffer {
  handles.reserve()
  const options = { encoding: 'buffer', bufferSize: entriesPerReply } as const
  // The types of Node.js know only names that are text.
  const dir = opendirSync(path as unknown as string, options as unknown as { bufferSize: number })
  return handles.add({
    kind: 'directory',
    dir,
    path: Buffer.from(path),
    pending: [Buffer.from('.'), Buffer.from('..')],
    ended: false,
  })
}

function nextEntries(open: OpenDirectory, { names, nowMs }: Surroundings): readonly NameEntry[] {
  const entries: NameEntry[] = []
  let size = 0
  while (entries.length < entriesPerReply && size < nameBytesPerReply) {
    const name = nextName(open)
    if (name === undefined) break
    const stat = lookAt(join(open.path, name))
    if (stat === undefined) continue // removed meanwhile
    entries.push({ name, longName: longName(name, stat, names, nowMs()), attributes: attributesOf(stat) })
    size += 2 * name.length + 150
  }
  return entries
}

function nextName(open: OpenDirectory): Buffer | undefined {
  const pending = open.pending.shift()
  if (pending !== undefined || open.ended) return pending
  const entry = open.dir.readSync()
  if (entry !== null) return nameOf(entry)
  open.ended = true
  return undefined
}

function lookAt(path: Buffer): Stats | undefined {
  try {
    return lstatSync(path)
  } catch {
    return undefined
  }
}

// ---- changes ----

/** Each part is tried although one before it failed; the answer tells the last failure. As OpenSSH. */
function each(parts: readonly (false | (() => void))[]): void {
  let failure: { readonly error: unknown } | undefined
  for (const part of parts) {
    if (part === false) continue
    try {
      part()
    } catch (error) {
      failure = { error }
    }
  }
  if (failure !== undefined) throw failure.error
}

function setByPath(path: Buffer, { size, permissions, times, owner }: Attributes): void {
  each([
    size !== undefined && (() => truncate(path, fileSize(size))),
    permissions !== undefined && (() => chmodSync(path, permissions & 0o7777)),
    times !== undefined && (() => utimesSync(path, times.atime, times.mtime)),
    owner !== undefined && (() => chownSync(path, owner.uid, owner.gid)),
  ])
}

/** Node.js opens for reading too, which a file need not allow. */
function truncate(path: Buffer, size: number): void {
  const fd = openSync(path, constants.O_WRONLY | constants.O_NONBLOCK)
  try {
    ftruncateSync(fd, size)
  } finally {
    closeSync(fd)
  }
}

function setByHandle(handles: Handles, handle: Buffer, attributes: Attributes): void {
  const open = handles.get(handle)
  if (open.kind === 'directory') {
    setByPath(open.path, attributes)
    return
  }
  const { fd } = open
  const { size, permissions, times, owner } = attributes
  each([
    size !== undefined && (() => ftruncateSync(fd, fileSize(size))),
    permissions !== undefined && (() => fchmodSync(fd, permissions & 0o7777)),
    times !== undefined && (() => futimesSync(fd, times.atime, times.mtime)),
    owner !== undefined && (() => fchownSync(fd, owner.uid, owner.gid)),
  ])
}

function setLink(path: Buffer, { size, permissions, times, owner }: Attributes): void {
  if (size !== undefined) throw new StatusError(statusCode.badMessage)
  each([
    permissions !== undefined && (() => chmodWithoutFollowing(path, permissions & 0o7777)),
    times !== undefined && (() => lutimesSync(path, times.atime, times.mtime)),
    owner !== undefined && (() => lchownSync(path, owner.uid, owner.gid)),
  ])
}

/** Linux has no mode of links. The descriptor makes sure that what is changed is what was looked at. */
function chmodWithoutFollowing(path: Buffer, mode: number): void {
  const O_PATH = 0o10000000
  const fd = openSync(path, O_PATH | constants.O_NOFOLLOW)
  try {
    if (fstatSync(fd).isSymbolicLink()) throw new StatusError(statusCode.failure, 'Failure: a link has no mode')
    chmodSync(`/proc/self/fd/${fd}`, mode)
  } finally {
    closeSync(fd)
  }
}

/** Node.js takes sizes as numbers; no file system of Linux has files that large. */
function fileSize(size: bigint): number {
  if (size > BigInt(Number.MAX_SAFE_INTEGER)) throw new StatusError(statusCode.failure, 'Failure: file too large')
  return Number(size)
}

/** File systems without hard links. */
const withoutLinks = new Set(['EOPNOTSUPP', 'ENOSYS', 'EXDEV', 'EMLINK', 'EPERM'])

/** SFTP's RENAME must not replace anything. A link and an unlink do that without a gap; directories have no links. */
function renameWithoutOverwrite(from: Buffer, to: Buffer): void {
  if (!lstatSync(from).isFile()) {
    renameIfFree(from, to)
    return
  }
  try {
    linkSync(from, to)
  } catch (error) {
    if (!withoutLinks.has(errnoOf(error) ?? '')) throw error
    renameIfFree(from, to)
    return
  }
  try {
    unlinkSync(from)
  } catch (error) {
    unlinkSync(to)
    throw error
  }
}

function renameIfFree(from: Buffer, to: Buffer): void {
  if (statSync(to, { throwIfNoEntry: false }) !== undefined) {
    throw new StatusError(statusCode.failure, 'Failure: file exists')
  }
  renameSync(from, to)
}

// ---- file systems ----

function fileSystemOf(path: Buffer): Buffer {
  const { bsize, blocks, bfree, bavail, files, ffree } = statfsSync(path, { bigint: true })
  return encodeStatVfs({
    blockSize: bsize,
    fragmentSize: bsize,
    blocks,
    freeBlocks: bfree,
    availableBlocks: bavail,
    files,
    freeFiles: ffree,
    availableFiles: ffree,
    fileSystemId: 0n,
    flags: 0n,
    maxName: 255n,
  })
}
