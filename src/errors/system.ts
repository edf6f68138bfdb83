/** Turns errors of the operating system into our kinds, with a message that says what to do. */

import {
  AccessDenied,
  AlreadyExists,
  ConnectionProblem,
  KindError,
  LimitExceeded,
  NotFound,
  ReadOnly,
  SystemError,
} from './errors.ts'

/**
 * `ENOENT` → NotFound, `EACCES` → AccessDenied, and so on; a KindError passes unchanged; other errnos become System.
 * `doing` completes the sentence "cannot …", for example `read /etc/teleport.yaml`.
 */
export function convertSystemError(error: unknown, doing: string): KindError {
  if (error instanceof KindError) return error
  const errno = errnoOf(error)
  const options = { cause: error }
  switch (errno) {
    case 'ENOENT':
    case 'ENOTDIR':
      return new NotFound(`cannot ${doing}: no such file or directory`, options)
    case 'EACCES':
    case 'EPERM':
      return new AccessDenied(`cannot ${doing}: permission denied`, options)
    case 'EEXIST':
      return new AlreadyExists(`cannot ${doing}: it exists already`, options)
    case 'EROFS':
      return new ReadOnly(`cannot ${doing}: the file system is read-only`, options)
    case 'ECONNREFUSED':
      return new ConnectionProblem(`cannot ${doing}: connection refused`, options)
    case 'ECONNRESET':
    case 'EPIPE':
      return new ConnectionProblem(`cannot ${doing}: the other side closed the connection`, options)
    case 'ETIMEDOUT':
      return new ConnectionProblem(`cannot ${doing}: timed out`, options)
    case 'EHOSTUNREACH':
    case 'ENETUNREACH':
      return new ConnectionProblem(`cannot ${doing}: no route to the host`, options)
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return new ConnectionProblem(`cannot ${doing}: the host name does not resolve`, options)
    case 'EMFILE':
    case 'ENFILE':
      return new LimitExceeded(`cannot ${doing}: too many open files; raise the limit (ulimit -n)`, options)
    case 'EADDRINUSE':
      return new SystemError('EADDRINUSE', `cannot ${doing}: the address is in use by another program`, options)
    case 'ENOSPC':
      return new SystemError('ENOSPC', `cannot ${doing}: no space left on the device; free some space`, options)
    default:
      return new SystemError(errno ?? 'EIO', `cannot ${doing}: ${messageOf(error)}`, options)
  }
}

/** The errno name of a Node.js system error, if it is one. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined
  return typeof error.code === 'string' ? error.code : undefined
}

/** The message of anything thrown, on one line. */
export function messageOf(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).replaceAll(/\s+/g, ' ')
}
