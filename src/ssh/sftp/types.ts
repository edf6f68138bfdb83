/** SFTP packets as typed unions. Paths, names and handles are bytes: a file's name need not be UTF-8. */

export interface Attributes {
  readonly size?: bigint
  readonly owner?: { readonly uid: number; readonly gid: number }
  /** `st_mode`: type and permission bits. */
  readonly permissions?: number
  /** Seconds since 1970, uint32. */
  readonly times?: { readonly atime: number; readonly mtime: number }
}

interface Id {
  /** Chosen by the client, echoed in the reply. */
  readonly id: number
}
interface Path extends Id {
  readonly path: Buffer
}
interface Handle extends Id {
  readonly handle: Buffer
}
interface TwoPaths extends Id {
  readonly from: Buffer
  readonly to: Buffer
}

export interface InitPacket {
  readonly type: 'init' | 'version'
  readonly version: number
  readonly extensions: readonly Extension[]
}

export interface Extension {
  readonly name: string
  readonly data: Buffer
}

export type SftpRequest =
  /** `flags`: `openFlag`. */
  | (Path & { readonly type: 'open'; readonly flags: number; readonly attributes: Attributes })
  | (Handle & { readonly type: 'close' | 'fstat' | 'readdir' })
  | (Handle & { readonly type: 'read'; readonly offset: bigint; readonly length: number })
  | (Handle & { readonly type: 'write'; readonly offset: bigint; readonly data: Buffer })
  | (Handle & { readonly type: 'fsetstat'; readonly attributes: Attributes })
  | (Path & { readonly type: 'lstat' | 'stat' | 'opendir' | 'remove' | 'rmdir' | 'realpath' | 'readlink' })
  | (Path & { readonly type: 'setstat' | 'mkdir'; readonly attributes: Attributes })
  | (TwoPaths & { readonly type: 'rename' })
  /** Fields in the order that OpenSSH uses, the other way round than the draft: what the link says first. */
  | (Id & { readonly type: 'symlink'; readonly target: Buffer; readonly link: Buffer })
  | ExtendedRequest

export type ExtendedRequest =
  | (TwoPaths & { readonly type: 'posix-rename' | 'hardlink' })
  | (Path & { readonly type: 'statvfs' | 'expand-path' })
  | (Path & { readonly type: 'lsetstat'; readonly attributes: Attributes })
  | (Handle & { readonly type: 'fstatvfs' | 'fsync' })
  | (Id & { readonly type: 'limits' })
  /** `length` 0: to the end of the file. */
  | (Id & {
      readonly type: 'copy-data'
      readonly from: Buffer
      readonly fromOffset: bigint
      readonly length: bigint
      readonly to: Buffer
      readonly toOffset: bigint
    })
  /** An empty name: the own account. */
  | (Id & { readonly type: 'home-directory'; readonly user: Buffer })
  | (Id & { readonly type: 'users-groups-by-id'; readonly uids: readonly number[]; readonly gids: readonly number[] })
  /** One that this engine does not know. */
  | (Id & { readonly type: 'extended'; readonly name: string; readonly data: Buffer })

export interface NameEntry {
  readonly name: Buffer
  /** As `ls -l` prints it. */
  readonly longName: Buffer
  readonly attributes: Attributes
}

export type SftpReply =
  /** `code`: `statusCode`. */
  | (Id & { readonly type: 'status'; readonly code: number; readonly message: string })
  | (Id & { readonly type: 'handle'; readonly handle: Buffer })
  | (Id & { readonly type: 'data'; readonly data: Buffer })
  | (Id & { readonly type: 'name'; readonly entries: readonly NameEntry[] })
  | (Id & { readonly type: 'attrs'; readonly attributes: Attributes })
  /** What it means depends on the request: `readLimits`, `readStatVfs`, `readUsersGroups`. */
  | (Id & { readonly type: 'extended-reply'; readonly data: Buffer })

/** statvfs@openssh.com. `flags`: 1 read-only, 2 no set-uid. */
export interface StatVfs {
  readonly blockSize: bigint
  readonly fragmentSize: bigint
  readonly blocks: bigint
  readonly freeBlocks: bigint
  readonly availableBlocks: bigint
  readonly files: bigint
  readonly freeFiles: bigint
  readonly availableFiles: bigint
  readonly fileSystemId: bigint
  readonly flags: bigint
  readonly maxName: bigint
}

/** limits@openssh.com; 0: not known. */
export interface SftpLimits {
  readonly maxPacket: bigint
  readonly maxRead: bigint
  readonly maxWrite: bigint
  readonly maxHandles: bigint
}
