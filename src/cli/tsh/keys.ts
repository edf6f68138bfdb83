/** From the text of files to keys that can sign and be compared. */

import { BadParameter } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { parseCertificate } from '../../ssh/certificate/parse.ts'
import type { Certificate } from '../../ssh/certificate/types.ts'
import { parsePublicKey } from '../../ssh/keys/public-key.ts'
import type { PublicKey } from '../../ssh/keys/types.ts'

function blobOfLine(line: string, what: string): Buffer {
  const [type, base64] = line.trim().split(/\s+/)
  if (type === undefined || base64 === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw new BadParameter(what, `${what}: not a line of the form "TYPE BASE64"`)
  }
  return Buffer.from(base64, 'base64')
}

/** `ssh-ed25519 AAAA… comment`. Throws BadParameter that names `what`. */
export function publicKeyOfLine(line: string, what: string): PublicKey {
  const blob = blobOfLine(line, what)
  try {
    return parsePublicKey(blob)
  } catch (error) {
    throw new BadParameter(what, `${what}: not a usable public key (${messageOf(error)})`, { cause: error })
  }
}

/** `ssh-ed25519-cert-v01@openssh.com AAAA…`. Throws BadParameter that names `what`. */
export function certificateOfLine(line: string, what: string): Certificate {
  const blob = blobOfLine(line, what)
  try {
    return parseCertificate(blob)
  } catch (error) {
    throw new BadParameter(what, `${what}: not a usable certificate (${messageOf(error)})`, { cause: error })
  }
}

/** The one-line form of a public key. */
export const publicKeyLine = (key: PublicKey): string => `${key.type} ${key.blob.toString('base64')}`

/** The one-line form of a certificate. */
export const certificateLine = (certificate: Certificate): string =>
  `${certificate.algorithm} ${certificate.blob.toString('base64')}`

/** When a certificate ends. A certificate for ever ends at the last moment that a Date can say. */
export function validBefore(certificate: Certificate): Date {
  const seconds = certificate.validBefore > 8_640_000_000_000n ? 8_640_000_000_000n : certificate.validBefore
  return new Date(Number(seconds) * 1000)
}

/** A JSON extension such as `teleport-roles`, as a list of strings; empty when absent or of another shape. */
export function listExtension(certificate: Certificate, name: string): readonly string[] {
  const content = certificate.extensions.get(name)
  if (content === undefined) return []
  try {
    const value: unknown = JSON.parse(content.toString('utf8'))
    return Array.isArray(value) ? value.filter((item) => typeof item === 'string') : []
  } catch {
    return []
  }
}
