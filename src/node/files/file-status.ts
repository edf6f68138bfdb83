/** Errors of the system as SFTP statuses, with OpenSSH's choice of codes (sftp-server.c, errno_to_portable). */

import { errnoOf } from '../../errors/system.ts'
import { statusCode, statusText } from '../../ssh/sftp/constants.ts'

export interface Status {
  readonly code: number
  readonly message: string
}

/** A failure that is not the system's. */
export class StatusError extends Error {
  override readonly name = 'StatusError'
  readonly code: number

  constructor(code: number, message = statusText[code] ?? 'Failure') {
    super(message)
    this.code = code
  }
}

const codes: Readonly<Record<string, number>> = {
  ENOENT: statusCode.noSuchFile,
  ENOTDIR: statusCode.noSuchFile,
  EBADF: statusCode.noSuchFile,
  ELOOP: statusCode.noSuchFile,
  EPERM: statusCode.permissionDenied,
  EACCES: statusCode.permissionDenied,
  EFAULT: statusCode.permissionDenied,
  ENAMETOOLONG: statusCode.badMessage,
  EINVAL: statusCode.badMessage,
  // Node.js refuses what has a NUL byte in it.
  ERR_INVALID_ARG_VALUE: statusCode.badMessage,
  ENOSYS: statusCode.unsupported,
}

/** Where the code says only "Failure", the text says more. */
const reasons: Readonly<Record<string, string>> = {
  EEXIST: 'file exists',
  ENOTEMPTY: 'directory not empty',
  EISDIR: 'is a directory',
  ENOSPC: 'no space left on device',
  EDQUOT: 'disk quota exceeded',
  EROFS: 'read-only file system',
  EFBIG: 'file too large',
  EMFILE: 'too many open files',
  ENFILE: 'too many open files on this machine',
  ETXTBSY: 'the file is a running program',
  EBUSY: 'device or resource busy',
  EXDEV: 'not on the same file system',
  EMLINK: 'too many links',
  EIO: 'input/output error',
  EOPNOTSUPP: 'not supported here',
}

/** Anything else is a defect and is thrown again. */
export function statusOf(error: unknown): Status {
  if (error instanceof StatusError) return { code: error.code, message: error.message }
  const errno = errnoOf(error)
  if (errno === undefined) throw error
  const code = codes[errno] ?? statusCode.failure
  const text = statusText[code] ?? 'Failure'
  return { code, message: code === statusCode.failure ? `${text}: ${reasons[errno] ?? errno}` : text }
}
