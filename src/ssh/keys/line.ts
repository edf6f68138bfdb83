/** One-line texts `type base64 comment`, as in `.pub` files, authorized_keys and known_hosts. */

import { BadParameter } from '../../errors/errors.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { parsePublicKey } from './public-key.ts'
import type { PublicKey } from './types.ts'

/** A line whose blob is not yet read: a key or a certificate. */
export interface KeyLine {
  readonly type: string
  readonly blob: Buffer
  /** What follows the blob; empty when there is nothing. */
  readonly comment: string
}

/** Characters; the largest certificate we accept is 256 KiB before base64. */
const maxLineLength = 400_000
const lineForm = /^([A-Za-z0-9@.-]+)[ \t]+([A-Za-z0-9+/]+={0,2})(?:[ \t]+(.*))?$/

/** Splits a line. Throws BadParameter when it is none, or when the type beside the blob is not the one inside. */
export function parseKeyLine(line: string): KeyLine {
  if (line.length > maxLineLength) throw new BadParameter('key', 'this is too long to be a public key')
  const [, type, base64, comment = ''] = lineForm.exec(line.trim()) ?? []
  if (type === undefined || base64 === undefined)
    throw new BadParameter('key', 'this is not a public key line (type base64 comment)')
  const blob = Buffer.from(base64, 'base64')
  if (nameInside(blob) !== type) throw new BadParameter('key', `the blob is not of type ${type}`)
  return { type, blob, comment }
}

/** Reads a line that holds a plain public key. Throws BadParameter. */
export function parsePublicKeyLine(line: string): { readonly key: PublicKey; readonly comment: string } {
  const { blob, comment } = parseKeyLine(line)
  return { key: orBadParameter(() => parsePublicKey(blob)), comment }
}

/** `type base64 comment`, without a line end. Throws BadParameter for a comment of several lines. */
export const formatPublicKeyLine = (key: PublicKey, comment = ''): string => formatLine(key.type, key.blob, comment)

/** For keys and certificates alike. */
export function formatLine(type: string, blob: Buffer, comment: string): string {
  if (/[\r\n\0]/.test(comment)) throw new BadParameter('comment', 'a comment must be a single line')
  return comment === '' ? `${type} ${blob.toString('base64')}` : `${type} ${blob.toString('base64')} ${comment}`
}

/** Texts come from people, so a parser's complaint becomes one about their input. */
export function orBadParameter<T>(parse: () => T): T {
  try {
    return parse()
  } catch (error) {
    if (error instanceof WireError) throw new BadParameter('key', `unusable key: ${error.message}`, { cause: error })
    throw error
  }
}

const nameInside = (blob: Buffer): string => orBadParameter(() => new WireReader(blob).ascii(128))
