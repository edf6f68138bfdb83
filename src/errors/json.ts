/** How an error crosses HTTP: the JSON form of a kind, and back into the same class at the client. */

import {
  AccessDenied,
  AlreadyAcquired,
  AlreadyExists,
  BadParameter,
  CompareFailed,
  ConnectionProblem,
  type ErrorKind,
  httpStatus,
  KindError,
  LimitExceeded,
  MissingParameter,
  NotFound,
  ReadOnly,
  SystemError,
} from './errors.ts'

export interface ErrorJson {
  readonly error: {
    readonly kind: ErrorKind
    readonly message: string
    readonly param?: string
    readonly errno?: string
  }
}

/** The JSON form. Anything that is not a KindError becomes a System error without details: no stack reaches a user. */
export function errorToJson(error: unknown): ErrorJson {
  if (!(error instanceof KindError)) {
    return { error: { kind: 'System', message: 'internal error; see the server log', errno: 'EINTERNAL' } }
  }
  return {
    error: {
      kind: error.kind,
      message: error.message,
      ...(error.param === undefined ? {} : { param: error.param }),
      ...(error.errno === undefined ? {} : { errno: error.errno }),
    },
  }
}

/** The class that `errorToJson` described. A body of another shape becomes a ConnectionProblem that quotes the status. */
export function errorFromJson(body: unknown, status: number): KindError {
  const error = isErrorJson(body) ? body.error : undefined
  if (error === undefined) return new ConnectionProblem(`the server answered HTTP ${status} without an explanation`)
  switch (error.kind) {
    case 'AccessDenied':
      return new AccessDenied(error.message)
    case 'AlreadyAcquired':
      return new AlreadyAcquired(error.message)
    case 'AlreadyExists':
      return new AlreadyExists(error.message)
    case 'BadParameter':
      return new BadParameter(error.param ?? '', error.message)
    case 'CompareFailed':
      return new CompareFailed(error.message)
    case 'ConnectionProblem':
      return new ConnectionProblem(error.message)
    case 'LimitExceeded':
      return new LimitExceeded(error.message)
    case 'MissingParameter':
      return new MissingParameter(error.param ?? '', error.message)
    case 'NotFound':
      return new NotFound(error.message)
    case 'ReadOnly':
      return new ReadOnly(error.message)
    case 'System':
      return new SystemError(error.errno ?? 'EIO', error.message)
  }
}

function isErrorJson(body: unknown): body is ErrorJson {
  if (typeof body !== 'object' || body === null || !('error' in body)) return false
  const { error } = body
  if (typeof error !== 'object' || error === null || !('kind' in error) || !('message' in error)) return false
  return typeof error.message === 'string' && typeof error.kind === 'string' && Object.hasOwn(httpStatus, error.kind)
}
