/** What an SFTP status means, as an error of ours. */

import { quote, stripControl, truncate } from '../../common/text.ts'
import { AccessDenied, ConnectionProblem, type KindError, NotFound, SystemError } from '../../errors/errors.ts'
import { statusCode, statusText } from './constants.ts'

/** `where` begins the message. The server's own words are shown where they say more than the code does. */
export function statusError(code: number, message: string, where: string): KindError {
  switch (code) {
    case statusCode.noSuchFile:
      return new NotFound(`${where}: no such file or directory`)
    case statusCode.permissionDenied:
      return new AccessDenied(`${where}: permission denied`)
    case statusCode.noConnection:
    case statusCode.connectionLost:
      return new ConnectionProblem(`${where}: the server lost its connection to the files`)
    case statusCode.unsupported:
      return new SystemError('ENOSYS', `${where}: the server does not support this`)
    default: {
      const words = truncate(stripControl(message).trim(), 200)
      const said = words === '' || words === statusText[code] ? 'the server reports a failure' : words
      return new SystemError('EIO', `${where}: ${said}`)
    }
  }
}

/** A path in a message: as it is when nothing in it can harm, else in quotes with escapes. */
export const shownPath = (path: string): string =>
  path === stripControl(path) && path.length <= 500 ? path : quote(path)

/** The server broke the protocol. */
export const brokenProtocol = (what: string): ConnectionProblem =>
  new ConnectionProblem(`the SFTP server sent what it may not: ${stripControl(what)}`)
