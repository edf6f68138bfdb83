/** What a word on the command line of `tsh scp` names: a file here, or one on a node. */

import { BadParameter } from '../../../errors/errors.ts'
import { fromText } from './bytes.ts'

export interface LocalPlace {
  readonly kind: 'local'
  readonly path: string
}

export interface RemotePlace {
  readonly kind: 'remote'
  readonly host: string
  readonly login: string | undefined
  readonly port: string | undefined
  /** Empty: the home directory. */
  readonly path: string
}

export type Place = LocalPlace | RemotePlace

/**
 * As scp reads them: a colon makes it remote, unless a `/` comes before it or the word begins with it; `[…]` holds an address with
 * colons; `scp://[user@]host[:port]/path` relative to the home directory. Throws BadParameter.
 */
export function parsePlace(word: string): Place {
  if (word.includes('\0')) throw new BadParameter('path', `${JSON.stringify(word)} has a NUL in it`)
  const url =
    /^scp:\/\/(?:(?<login>[^@/]*)@)?(?:\[(?<six>[^\]/]+)\]|(?<host>[^:/[\]]+))(?::(?<port>\d+))?(?:\/(?<path>.*))?$/s
  const plain = /^(?:(?<login>[^/:[\]]*)@)?(?:\[(?<six>[^\]/]+)\]|(?<host>[^:/[\]]+)):(?<path>.*)$/s
  if (word.startsWith('scp://') && !url.test(word))
    throw new BadParameter('path', `${JSON.stringify(word)} is not scp://[USER@]HOST[:PORT][/PATH]`)
  const groups = (word.startsWith('scp://') ? url : plain).exec(word)?.groups
  const host = groups?.six ?? groups?.host
  if (groups === undefined || host === undefined) return { kind: 'local', path: fromText(word) }
  return {
    kind: 'remote',
    host,
    login: groups.login === '' ? undefined : groups.login,
    port: groups.port,
    path: fromText(groups.path ?? ''),
  }
}
