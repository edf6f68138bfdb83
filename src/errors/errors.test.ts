import { describe, expect, test } from 'vitest'
import * as errors from './errors.ts'
import { errorFromJson, errorToJson } from './json.ts'
import { convertSystemError, messageOf } from './system.ts'

const samples = [
  new errors.AccessDenied('m'),
  new errors.AlreadyAcquired('m'),
  new errors.AlreadyExists('m'),
  new errors.BadParameter('port', 'm'),
  new errors.CompareFailed('m'),
  new errors.ConnectionProblem('m'),
  new errors.LimitExceeded('m'),
  new errors.MissingParameter('name'),
  new errors.NotFound('m'),
  new errors.ReadOnly('m'),
  new errors.SystemError('ENOSPC', 'm'),
] as const
const tests: Readonly<Record<errors.ErrorKind, (error: unknown) => boolean>> = {
  AccessDenied: errors.isAccessDenied,
  AlreadyAcquired: errors.isAlreadyAcquired,
  AlreadyExists: errors.isAlreadyExists,
  BadParameter: errors.isBadParameter,
  CompareFailed: errors.isCompareFailed,
  ConnectionProblem: errors.isConnectionProblem,
  LimitExceeded: errors.isLimitExceeded,
  MissingParameter: errors.isMissingParameter,
  NotFound: errors.isNotFound,
  ReadOnly: errors.isReadOnly,
  System: errors.isSystemError,
}

describe('error kinds', () => {
  test.each(samples)('$kind crosses HTTP as the same class, with its fields', (error) => {
    const back = errorFromJson(JSON.parse(JSON.stringify(errorToJson(error))), errors.httpStatus[error.kind])
    expect(back.constructor).toBe(error.constructor)
    expect(back).toMatchObject({ kind: error.kind, message: error.message, param: error.param, errno: error.errno })
    for (const [kind, is] of Object.entries(tests)) expect(is(back)).toBe(kind === error.kind)
  })
  test('there is a sample of every kind', () => {
    expect(samples.map((error) => error.kind).sort()).toEqual(Object.keys(errors.httpStatus).sort())
  })
  test('a bug gives no detail away', () => {
    expect(JSON.stringify(errorToJson(new TypeError('secret detail')))).not.toContain('secret')
  })
  test.each([
    undefined,
    null,
    'x',
    7,
    {},
    { error: null },
    { error: { kind: '__proto__', message: 'x' } },
    { error: { kind: 'NotFound' } },
  ])('a body like %j becomes a connection problem', (body) =>
    expect(errorFromJson(body, 502)).toMatchObject({
      kind: 'ConnectionProblem',
      message: expect.stringContaining('502'),
    }),
  )
})

describe('errors of the operating system', () => {
  test.each([
    ['ENOENT', 'NotFound'],
    ['EACCES', 'AccessDenied'],
    ['EEXIST', 'AlreadyExists'],
    ['EROFS', 'ReadOnly'],
    ['ECONNREFUSED', 'ConnectionProblem'],
    ['ETIMEDOUT', 'ConnectionProblem'],
    ['EMFILE', 'LimitExceeded'],
    ['ENOSPC', 'System'],
    ['EADDRINUSE', 'System'],
    ['EWHATEVER', 'System'],
  ])('%s is %s', (code, kind) => {
    const error = convertSystemError(Object.assign(new Error('raw'), { code }), 'open /x')
    expect(error).toMatchObject({ kind, message: expect.stringMatching(/^cannot open \/x: /) })
  })
  test('our own pass unchanged; anything thrown has a message on one line', () => {
    const own = new errors.NotFound('m')
    expect(convertSystemError(own, 'x')).toBe(own)
    expect(convertSystemError('odd', 'x')).toMatchObject({ kind: 'System', message: 'cannot x: odd' })
    expect(messageOf(new Error('a\n b'))).toBe('a b')
  })
})
