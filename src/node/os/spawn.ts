/** Starts one program in a session and process group of its own, with exactly the descriptors, environment and limits it is to have. */

import { readdirSync } from 'node:fs'
import { getSystemErrorName } from 'node:util'
import { SystemError } from '../../errors/errors.ts'
import type { ExitResult } from '../../ssh/connection/types.ts'
import { type Libc, libc, StringArray } from './libc.ts'
import { expectChildren, reap } from './reaper.ts'

/** Descriptors of ours that become 0, 1 and 2 of the child, or the path of a terminal that becomes all three. */
export type ChildStdio =
  | { readonly kind: 'fds'; readonly stdin: number; readonly stdout: number; readonly stderr: number }
  | { readonly kind: 'terminal'; readonly path: string }

export interface SpawnRequest {
  /** Absolute path. */
  readonly file: string
  readonly argv: readonly (string | Buffer)[]
  readonly env: Readonly<Record<string, string>>
  readonly cwd: string
  readonly stdio: ChildStdio
}

export interface SpawnedChild {
  readonly pid: number
  readonly exited: Promise<ExitResult>
}

const O_RDWR = 2
const SETSIGDEF = 0x04
const SETSIGMASK = 0x08
const SETSID = 0x80
const F_GETFD = 1
const F_SETFD = 2
const FD_CLOEXEC = 1
const RLIMIT_NOFILE = 7
/** What a login has by default; Node.js raises its own soft limit to the hard one and children would inherit that. */
const softFileLimit = 1024n
/** Larger than the structures of any C library on Linux. */
const structSize = 1024
const allSignals = Buffer.alloc(128, 0xff)
const noSignals = Buffer.alloc(128)

/** Throws SystemError when the program cannot be started. Blocks for about a tenth of a millisecond. */
export function spawn(request: SpawnRequest): SpawnedChild {
  const c = libc()
  closeInheritedOnExec(c)
  expectChildren()
  const { functions: f } = c
  const actions = Buffer.alloc(structSize)
  const attributes = Buffer.alloc(structSize)
  const argv = new StringArray(c, request.argv)
  const env = new StringArray(
    c,
    Object.entries(request.env).map(([name, value]) => `${name}=${value}`),
  )
  f.posix_spawn_file_actions_init(actions)
  try {
    f.posix_spawn_file_actions_addchdir_np(actions, request.cwd)
    addStdio(c, actions, request.stdio)
    f.posix_spawnattr_init(attributes)
    // Node.js ignores SIGPIPE and blocks others for moments; a shell must start as from a login.
    f.posix_spawnattr_setflags(attributes, SETSIGDEF | SETSIGMASK | SETSID)
    f.posix_spawnattr_setsigdefault(attributes, allSignals)
    f.posix_spawnattr_setsigmask(attributes, noSignals)
    const pidOut = Buffer.alloc(4)
    const umask = process.umask(0o022)
    let error: number
    try {
      error = f.posix_spawn(pidOut, request.file, actions, attributes, argv.pointers, env.pointers)
    } finally {
      process.umask(umask)
    }
    if (error !== 0) throw spawnError(error, request.file)
    const pid = pidOut.readInt32LE(0)
    const exited = reap(pid)
    limitFiles(c, pid)
    return { pid, exited }
  } finally {
    f.posix_spawn_file_actions_destroy(actions)
    argv.release()
    env.release()
  }
}

function addStdio({ functions: f }: Libc, actions: Buffer, stdio: ChildStdio): void {
  if (stdio.kind === 'fds') {
    f.posix_spawn_file_actions_adddup2(actions, stdio.stdin, 0)
    f.posix_spawn_file_actions_adddup2(actions, stdio.stdout, 1)
    f.posix_spawn_file_actions_adddup2(actions, stdio.stderr, 2)
    return
  }
  // The child leads a new session without a terminal, so the first one that it opens becomes its controlling terminal.
  f.posix_spawn_file_actions_addopen(actions, 0, stdio.path, O_RDWR, 0)
  f.posix_spawn_file_actions_adddup2(actions, 0, 1)
  f.posix_spawn_file_actions_adddup2(actions, 0, 2)
}

let swept = false

/** Node.js opens everything close-on-exec; what the daemon inherited from whoever started it must not reach sessions either. */
function closeInheritedOnExec({ functions: f }: Libc): void {
  if (swept) return
  swept = true
  for (const entry of readdirSync('/proc/self/fd')) {
    const fd = Number(entry)
    if (fd <= 2) continue
    const flags = f.fcntl(fd, F_GETFD, 0n)
    if (flags >= 0 && (flags & FD_CLOEXEC) === 0) f.fcntl(fd, F_SETFD, BigInt(flags | FD_CLOEXEC))
  }
}

function limitFiles({ functions: f }: Libc, pid: number): void {
  const limits = Buffer.alloc(16)
  if (f.prlimit(pid, RLIMIT_NOFILE, null, limits) !== 0) return
  const hard = limits.readBigUInt64LE(8)
  if (limits.readBigUInt64LE(0) <= softFileLimit || hard < softFileLimit) return
  limits.writeBigUInt64LE(softFileLimit, 0)
  f.prlimit(pid, RLIMIT_NOFILE, limits, null)
}

function spawnError(errno: number, file: string): SystemError {
  const name = getSystemErrorName(-errno)
  return new SystemError(name, `cannot start ${file}: ${name}`)
}

const F_SETPIPE_SZ = 1031
const largePipe = 1024n * 1024n

/** For programs that move much: fewer changes between processes. Where the system does not allow it, the pipe stays as it is. */
export function enlargePipe(fd: number): void {
  libc().functions.fcntl(fd, F_SETPIPE_SZ, largePipe)
}

export interface Pipe {
  readonly read: number
  readonly write: number
}

/** A pipe whose ends are closed in children. Pipes and not sockets: programs open /dev/stdout and /dev/stderr. */
export function makePipe(): Pipe {
  const fds = Buffer.alloc(8)
  const O_CLOEXEC = 0o2000000
  if (libc().functions.pipe2(fds, O_CLOEXEC) !== 0) {
    throw new SystemError('EMFILE', 'cannot make a pipe; the limit of open files is too low')
  }
  return { read: fds.readInt32LE(0), write: fds.readInt32LE(4) }
}
