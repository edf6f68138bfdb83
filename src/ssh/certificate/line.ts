/** Certificates as one line, as in `id-cert.pub` files. */

import { formatLine, orBadParameter, parseKeyLine } from '../keys/line.ts'
import { parsePublicKey } from '../keys/public-key.ts'
import type { PublicKey } from '../keys/types.ts'
import { isCertificateAlgorithm } from './algorithms.ts'
import { parseCertificate } from './parse.ts'
import type { Certificate } from './types.ts'

/** The line for an `id-cert.pub` file, without a line end. Throws BadParameter for a comment of several lines. */
export const certificateLine = (certificate: Certificate, comment = ''): string =>
  formatLine(certificate.algorithm, certificate.blob, comment)

/** Reads such a line. Throws BadParameter. */
export function parseCertificateLine(line: string): { readonly certificate: Certificate; readonly comment: string } {
  const { blob, comment } = parseKeyLine(line)
  return { certificate: orBadParameter(() => parseCertificate(blob)), comment }
}

/** A line that may hold either. Throws BadParameter. */
export function parseKeyOrCertificateLine(line: string): {
  readonly key: PublicKey
  readonly certificate: Certificate | undefined
  readonly comment: string
} {
  const { type, blob, comment } = parseKeyLine(line)
  if (!isCertificateAlgorithm(type))
    return { key: orBadParameter(() => parsePublicKey(blob)), certificate: undefined, comment }
  const certificate = orBadParameter(() => parseCertificate(blob))
  return { key: certificate.publicKey, certificate, comment }
}
