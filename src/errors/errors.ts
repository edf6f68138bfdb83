/**
 * The closed set of error kinds. Domain code throws one of these; HTTP status, SSH reason and exit code are
 * chosen at the edge. A message is for a person: what happened, on what, what to do.
 */

export type ErrorKind =
  | 'AccessDenied'
  | 'AlreadyAcquired'
  | 'AlreadyExists'
  | 'BadParameter'
  | 'CompareFailed'
  | 'ConnectionProblem'
  | 'LimitExceeded'
  | 'MissingParameter'
  | 'NotFound'
  | 'ReadOnly'
  | 'System'

/** Status codes of the APIs, RFC 9110 and RFC 6585. 412 would be about a header that we do not have. */
export const httpStatus = {
  AccessDenied: 403,
  AlreadyAcquired: 409,
  AlreadyExists: 409,
  BadParameter: 400,
  CompareFailed: 409,
  ConnectionProblem: 503,
  LimitExceeded: 429,
  MissingParameter: 400,
  NotFound: 404,
  ReadOnly: 405,
  System: 500,
} as const satisfies Record<ErrorKind, number>

export interface ErrorOptionsWithCause {
  /** The error underneath, for the log only; it never reaches a user. */
  readonly cause?: unknown
}

/** The class all kinds share. `instanceof KindError` separates what we meant to say from a bug. */
export abstract class KindError extends Error {
  abstract readonly kind: ErrorKind
  /** The offending parameter, for BadParameter and MissingParameter. */
  readonly param?: string
  /** The errno name such as `ENOSPC`, for System. */
  readonly errno?: string
}

/** Somebody may not do this, or is not who they must be. */
export class AccessDenied extends KindError {
  readonly kind = 'AccessDenied'
  override readonly name = 'AccessDenied'
}
/** A lock that somebody else holds. */
export class AlreadyAcquired extends KindError {
  readonly kind = 'AlreadyAcquired'
  override readonly name = 'AlreadyAcquired'
}
/** A name that is taken. */
export class AlreadyExists extends KindError {
  readonly kind = 'AlreadyExists'
  override readonly name = 'AlreadyExists'
}
/** Something given is not valid; `param` names it. */
export class BadParameter extends KindError {
  readonly kind = 'BadParameter'
  override readonly name = 'BadParameter'
  override readonly param: string
  constructor(param: string, message: string, options?: ErrorOptionsWithCause) {
    super(message, options)
    this.param = param
  }
}
/** The value has changed since it was read. */
export class CompareFailed extends KindError {
  readonly kind = 'CompareFailed'
  override readonly name = 'CompareFailed'
}
/** The other side cannot be reached, or went away. */
export class ConnectionProblem extends KindError {
  readonly kind = 'ConnectionProblem'
  override readonly name = 'ConnectionProblem'
}
/** Too much, too many or too long. */
export class LimitExceeded extends KindError {
  readonly kind = 'LimitExceeded'
  override readonly name = 'LimitExceeded'
}
/** Something needed was not given; `param` names it. */
export class MissingParameter extends KindError {
  readonly kind = 'MissingParameter'
  override readonly name = 'MissingParameter'
  override readonly param: string
  constructor(param: string, message = `${param} is required`, options?: ErrorOptionsWithCause) {
    super(message, options)
    this.param = param
  }
}
/** It is not there, or must look so to this caller. */
export class NotFound extends KindError {
  readonly kind = 'NotFound'
  override readonly name = 'NotFound'
}
/** It cannot be written here. */
export class ReadOnly extends KindError {
  readonly kind = 'ReadOnly'
  override readonly name = 'ReadOnly'
}
/** The operating system, or state on the disk, failed; `errno` names how. */
export class SystemError extends KindError {
  readonly kind = 'System'
  override readonly name = 'SystemError'
  override readonly errno: string
  constructor(errno: string, message: string, options?: ErrorOptionsWithCause) {
    super(message, options)
    this.errno = errno
  }
}

export const isAccessDenied = (error: unknown): error is AccessDenied => error instanceof AccessDenied
export const isAlreadyAcquired = (error: unknown): error is AlreadyAcquired => error instanceof AlreadyAcquired
export const isAlreadyExists = (error: unknown): error is AlreadyExists => error instanceof AlreadyExists
export const isBadParameter = (error: unknown): error is BadParameter => error instanceof BadParameter
export const isCompareFailed = (error: unknown): error is CompareFailed => error instanceof CompareFailed
export const isConnectionProblem = (error: unknown): error is ConnectionProblem => error instanceof ConnectionProblem
export const isLimitExceeded = (error: unknown): error is LimitExceeded => error instanceof LimitExceeded
export const isMissingParameter = (error: unknown): error is MissingParameter => error instanceof MissingParameter
export const isNotFound = (error: unknown): error is NotFound => error instanceof NotFound
export const isReadOnly = (error: unknown): error is ReadOnly => error instanceof ReadOnly
/** Is it the System error with this errno name? */
export const hasErrno = (error: unknown, errno: string): boolean => isSystemError(error) && error.errno === errno
export const isSystemError = (error: unknown): error is SystemError => error instanceof SystemError

/** For the `default` of an exhaustive switch: a new member stops the build. */
export function assertNever(value: never): never {
  throw new Error(`unexpected value: ${String(value)}`)
}
