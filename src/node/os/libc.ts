/**
 * The few functions of the C library that Node.js does not offer and that sessions need: descriptors that are closed in
 * children (`pipe2`), terminals (`ioctl`), the rights of one thread (`syscall`), and `posix_spawn`, which costs a tenth of a millisecond where `fork` of a large
 * process costs two. Called through `node:ffi` of the Node.js that the project carries. See docs/decisions/os-sessions.md.
 */

import type * as Ffi from 'node:ffi'
import { SystemError } from '../../errors/errors.ts'

const definitions = {
  pipe2: { arguments: ['buffer', 'int32'], return: 'int32' },
  fcntl: { arguments: ['int32', 'int32', 'int64'], return: 'int32' },
  ioctl: { arguments: ['int32', 'uint64', 'buffer'], return: 'int32' },
  prlimit: { arguments: ['int32', 'int32', 'buffer', 'buffer'], return: 'int32' },
  syscall: { arguments: ['int64', 'int64', 'int64', 'int64'], return: 'int64' },
  __errno_location: { arguments: [], return: 'pointer' },
  getgrouplist: { arguments: ['string', 'uint32', 'buffer', 'buffer'], return: 'int32' },
  socket: { arguments: ['int32', 'int32', 'int32'], return: 'int32' },
  bind: { arguments: ['int32', 'buffer', 'uint32'], return: 'int32' },
  connect: { arguments: ['int32', 'buffer', 'uint32'], return: 'int32' },
  setsockopt: { arguments: ['int32', 'int32', 'int32', 'buffer', 'uint32'], return: 'int32' },
  listen: { arguments: ['int32', 'int32'], return: 'int32' },
  waitpid: { arguments: ['int32', 'buffer', 'int32'], return: 'int32' },
  posix_spawn: { arguments: ['buffer', 'string', 'buffer', 'buffer', 'buffer', 'buffer'], return: 'int32' },
  posix_spawn_file_actions_init: { arguments: ['buffer'], return: 'int32' },
  posix_spawn_file_actions_destroy: { arguments: ['buffer'], return: 'int32' },
  posix_spawn_file_actions_adddup2: { arguments: ['buffer', 'int32', 'int32'], return: 'int32' },
  posix_spawn_file_actions_addopen: { arguments: ['buffer', 'int32', 'string', 'int32', 'uint32'], return: 'int32' },
  posix_spawn_file_actions_addchdir_np: { arguments: ['buffer', 'string'], return: 'int32' },
  posix_spawnattr_init: { arguments: ['buffer'], return: 'int32' },
  posix_spawnattr_setflags: { arguments: ['buffer', 'int16'], return: 'int32' },
  posix_spawnattr_setsigdefault: { arguments: ['buffer', 'buffer'], return: 'int32' },
  posix_spawnattr_setsigmask: { arguments: ['buffer', 'buffer'], return: 'int32' },
} as const satisfies Ffi.FunctionDefinitions

/** The same entry with memory as its third argument: given as a buffer, it is held in place during the call. */
const withMemory = {
  syscall: { arguments: ['int64', 'int64', 'buffer', 'int64'], return: 'int64' },
} as const satisfies Ffi.FunctionDefinitions

export interface Libc {
  readonly functions: ReturnType<typeof Ffi.dlopen<typeof definitions>>['functions']
  readonly syscallWithMemory: ReturnType<typeof Ffi.dlopen<typeof withMemory>>['functions']['syscall']
  /** Address of a buffer's memory; the caller keeps the buffer alive while the address is in use. */
  address(buffer: Buffer): bigint
  /** Of the call just made; nothing may come between. */
  errno(): number
}

let loaded: Libc | undefined

/** The C library of this process. Throws SystemError where Node.js has no `node:ffi` or the library lacks a function. */
export function libc(): Libc {
  loaded ??= load()
  return loaded
}

function load(): Libc {
  const ffi = importQuietly()
  if (ffi === undefined) {
    throw new SystemError(
      'ENOSYS',
      `Node.js ${process.version} has no node:ffi; start with the Node.js of this project`,
    )
  }
  try {
    const { functions } = ffi.dlopen(null, definitions)
    return {
      functions,
      syscallWithMemory: ffi.dlopen(null, withMemory).functions.syscall,
      address: (buffer) => ffi.getRawPointer(buffer),
      errno: () => ffi.getInt32(functions.__errno_location()),
    }
  } catch (error) {
    throw new SystemError('ENOSYS', 'the C library of this system lacks a function that sessions need', {
      cause: error,
    })
  }
}

/** The module warns that it is experimental; the Node.js version is pinned, so nobody can act on the warning. */
function importQuietly(): typeof Ffi | undefined {
  const { emitWarning } = process
  process.emitWarning = () => {}
  try {
    return process.getBuiltinModule('node:ffi')
  } finally {
    process.emitWarning = emitWarning
  }
}

/** A NULL-terminated `char *[]`. Call `release` after the call that uses it: until then the strings cannot be collected. */
export class StringArray {
  readonly pointers: Buffer
  strings: readonly Buffer[]

  /** Throws SystemError for a string with a NUL byte: it would be cut there. */
  constructor(c: Libc, values: readonly (string | Buffer)[]) {
    this.strings = values.map((value) => {
      const bytes = Buffer.from(value)
      if (bytes.includes(0)) throw new SystemError('EINVAL', 'a NUL byte cannot be passed to a program')
      // Not from the shared pool: the memory must stay where it is, alone.
      const cstring = Buffer.alloc(bytes.length + 1)
      bytes.copy(cstring)
      return cstring
    })
    this.pointers = Buffer.alloc(8 * (values.length + 1))
    this.strings.forEach((cstring, index) => {
      this.pointers.writeBigUInt64LE(c.address(cstring), 8 * index)
    })
  }

  release(): void {
    this.strings = []
  }
}
