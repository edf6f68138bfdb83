/**
 * Keys as bytes. Each segment is followed by a zero byte, so that a prefix of segments is a prefix of bytes (`nodes`
 * never matches `nodes2`), and byte order is segment order. Kept as a binary string, which compares like its bytes.
 */

import { BadParameter } from '../errors/errors.ts'
import type { Key } from './contract.ts'

const MAX_SEGMENTS = 16
const MAX_SEGMENT_BYTES = 512

/** Throws BadParameter for an empty key, an empty, too long or ill-formed segment. */
export function encodeKey(key: Key): string {
  if (key.length === 0) throw new BadParameter('key', 'a storage key needs at least one segment')
  return encodePrefix(key)
}

export function encodePrefix(prefix: Key): string {
  if (prefix.length > MAX_SEGMENTS) throw new BadParameter('key', `a storage key has at most ${MAX_SEGMENTS} segments`)
  return prefix.map(encodeSegment).join('')
}

function encodeSegment(segment: string): string {
  if (segment === '') throw new BadParameter('key', 'a segment of a storage key is empty')
  if (segment.includes('\0') || !segment.isWellFormed()) {
    throw new BadParameter('key', 'a segment of a storage key has a zero byte or is not valid Unicode')
  }
  const bytes = Buffer.from(segment, 'utf8')
  if (bytes.length > MAX_SEGMENT_BYTES) {
    throw new BadParameter('key', `a segment of a storage key is longer than ${MAX_SEGMENT_BYTES} bytes`)
  }
  return `${bytes.toString('latin1')}\0`
}

export function decodeKey(encoded: string): Key {
  return encoded
    .slice(0, -1)
    .split('\0')
    .map((segment) => Buffer.from(segment, 'latin1').toString('utf8'))
}

/** The first encoded key after everything that starts with the prefix. UTF-8 has no byte 0xff. */
export function endOfPrefix(encodedPrefix: string): string {
  return encodedPrefix === '' ? '\xff' : `${encodedPrefix.slice(0, -1)}\x01`
}

/** For messages. */
export const showKey = (key: Key): string => JSON.stringify(key.join('/')).slice(1, -1)

export const encodeCursor = (encoded: string): string => Buffer.from(encoded, 'latin1').toString('base64url')

/** Throws BadParameter for a cursor that `encodeCursor` did not make for this prefix. */
export function decodeCursor(cursor: string, encodedPrefix: string): string {
  const encoded = cursor.length > 16_384 ? '' : Buffer.from(cursor, 'base64url').toString('latin1')
  if (encodeCursor(encoded) !== cursor || !encoded.endsWith('\0') || !encoded.startsWith(encodedPrefix)) {
    throw new BadParameter('after', 'the page cursor is not one that this listing returned; start again without it')
  }
  return encoded
}
