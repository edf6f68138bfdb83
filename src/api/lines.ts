/** Keys and certificates as they cross the API: OpenSSH one-line text, `type base64`. */

import { BadParameter } from '../errors/errors.ts'
import { parseCertificate } from '../ssh/certificate/parse.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { parsePublicKey } from '../ssh/keys/public-key.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import { WireError } from '../ssh/wire/reader.ts'

export const formatKeyLine = (key: PublicKey): string => `${key.type} ${key.blob.toString('base64')}`

export const formatCertificateLine = (certificate: Certificate): string =>
  `${certificate.algorithm} ${certificate.blob.toString('base64')}`

/** A comment after the key is ignored. Throws BadParameter naming `param`. */
export function parseKeyLine(line: string, param = 'publicKey'): PublicKey {
  const { type, blob } = splitLine(line, param)
  return reading(param, 'public key', () => {
    const key = parsePublicKey(blob)
    if (key.type !== type) throw new WireError(`the line says ${type}, the key is ${key.type}`)
    return key
  })
}

/** Throws BadParameter naming `param`. */
export function parseCertificateLine(line: string, param = 'certificate'): Certificate {
  const { type, blob } = splitLine(line, param)
  return reading(param, 'certificate', () => {
    const certificate = parseCertificate(blob)
    if (certificate.algorithm !== type) throw new WireError(`the line says ${type}, it is ${certificate.algorithm}`)
    return certificate
  })
}

function splitLine(line: string, param: string): { type: string; blob: Buffer } {
  const [type, base64] = line.trim().split(/[ \t]+/, 2)
  if (type === undefined || base64 === undefined || !/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) {
    throw new BadParameter(param, `${param}: expected a line such as "ssh-ed25519 AAAA…"`)
  }
  return { type, blob: Buffer.from(base64, 'base64') }
}

function reading<T>(param: string, what: string, read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (error instanceof WireError) throw new BadParameter(param, `${param}: not a usable ${what}: ${error.message}`)
    throw error
  }
}
