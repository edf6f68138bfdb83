/** The SFTP client as its callers see it. */

import type { Attributes, StatVfs } from './types.ts'

/** Text is sent as UTF-8; bytes as they are, for names that are no UTF-8. */
export type SftpPath = string | Buffer

/** An open file or directory of the server. Made only by the client. */
export interface RemoteHandle {
  readonly bytes: Buffer
  /** What was opened, for messages. */
  readonly path: string
}

export interface RemoteEntry {
  /** One name: not empty, not `.` or `..`, without `/` and control characters. */
  readonly name: Buffer
  /** Of the link itself, where it is one. */
  readonly attributes: Attributes
}

/** A name that the server gave and that nobody may use. */
export interface RefusedName {
  readonly refused: string
}

/**
 * All rejections are kinds of `src/errors` whose message begins with the path: NotFound, AccessDenied, System with `EIO` for what
 * SFTP calls failure and `ENOSYS` for what the server cannot do, ConnectionProblem when the channel ended or the server broke
 * the protocol.
 */
export interface SftpClient extends AsyncDisposable {
  /** Most bytes of one read, and of one write, that the server takes. */
  readonly maxRead: number
  readonly maxWrite: number
  /** Names of the server's extensions. */
  readonly extensions: ReadonlySet<string>

  /** `flags`: `openFlag`. `permissions`: of a new file, before the server's umask. */
  open(path: SftpPath, flags: number, permissions?: number): Promise<RemoteHandle>
  close(handle: RemoteHandle): Promise<void>
  /** At most `length` bytes; undefined at the end of the file. */
  read(handle: RemoteHandle, offset: number, length: number): Promise<Buffer | undefined>
  /** The memory may be used again when the promise settles. At most `maxWrite` bytes. */
  write(handle: RemoteHandle, offset: number, data: Buffer): Promise<void>

  stat(path: SftpPath): Promise<Attributes>
  lstat(path: SftpPath): Promise<Attributes>
  fstat(handle: RemoteHandle): Promise<Attributes>
  setstat(path: SftpPath, attributes: Attributes): Promise<void>
  fsetstat(handle: RemoteHandle, attributes: Attributes): Promise<void>
  /** The names of a directory as they come, in the server's order, without `.` and `..`. */
  readdir(path: SftpPath): AsyncGenerator<RemoteEntry | RefusedName>
  mkdir(path: SftpPath, permissions?: number): Promise<void>
  rmdir(path: SftpPath): Promise<void>
  remove(path: SftpPath): Promise<void>
  /** Replaces what is at `to` where the server knows posix-rename; otherwise fails when something is there. */
  rename(from: SftpPath, to: SftpPath): Promise<void>
  /** Fails with System `EIO` when something is at `to`. */
  renameNew(from: SftpPath, to: SftpPath): Promise<void>
  /** `link` will lead to `target`. */
  symlink(target: SftpPath, link: SftpPath): Promise<void>
  readlink(path: SftpPath): Promise<Buffer>
  realpath(path: SftpPath): Promise<Buffer>
  /** `~` and `~user` too. Throws System ENOSYS where the server does not know expand-path. */
  expandPath(path: SftpPath): Promise<Buffer>
  statvfs(path: SftpPath): Promise<StatVfs>

  /** Ends the channel; what is outstanding rejects. */
  end(): void
}
