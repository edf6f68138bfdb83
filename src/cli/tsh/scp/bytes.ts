/**
 * Paths as byte strings: one character for each byte. A file's name need not be UTF-8, and one that is not must still be copied
 * under exactly its name; as Buffers, paths could be neither compared nor used as keys.
 */

import { shownPath } from '../../../ssh/sftp/client-errors.ts'

export const fromText = (text: string): string => Buffer.from(text, 'utf8').toString('latin1')
export const fromBytes = (bytes: Buffer): string => bytes.toString('latin1')
export const toBytes = (path: string): Buffer => Buffer.from(path, 'latin1')
export const toText = (path: string): string => toBytes(path).toString('utf8')

/** For messages. */
export const shown = (path: string): string => shownPath(toText(path))

export const joinPath = (directory: string, name: string): string =>
  directory === '' || directory.endsWith('/') ? directory + name : `${directory}/${name}`

/** The last component; empty for `/`, `.`, `..` and nothing at all: things that have no name of their own. */
export function ownName(path: string): string {
  const name = path.replace(/\/+$/, '').split('/').at(-1) ?? ''
  return name === '.' || name === '..' ? '' : name
}
