/** The certificate that a proxy makes for itself at its first start, so that HTTPS works before anybody has bought one. */

import { randomBytes, webcrypto } from 'node:crypto'
import { isIP } from 'node:net'

export interface SelfSigned {
  /** PEM, PKCS #8. */
  readonly key: string
  /** PEM. */
  readonly certificate: string
}

/** 825 days: the longest lifetime that clients of every kind accept from a certificate they were told to trust. */
export const selfSignedDays = 825

/** Every browser knows P-256; Ed25519 they do not. */
const algorithm = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' } as const

/**
 * A self-signed ECDSA P-256 server certificate for these DNS names and IP addresses, valid from an hour before `now`.
 * Rejects with RangeError when no name is given.
 */
export async function makeSelfSigned(names: readonly string[], now: Date): Promise<SelfSigned> {
  if (names.length === 0) throw new RangeError('a certificate needs a name')
  // Loaded here: only a first start needs it, and it would be the slowest thing that a proxy loads.
  await import('reflect-metadata')
  const x509 = await import('@peculiar/x509')
  const keys = await webcrypto.subtle.generateKey(algorithm, true, ['sign', 'verify'])
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: positiveSerial(),
      name: 'CN=Teleport proxy',
      notBefore: new Date(now.getTime() - 3_600_000),
      notAfter: new Date(now.getTime() + selfSignedDays * 86_400_000),
      signingAlgorithm: algorithm,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([x509.ExtendedKeyUsage.serverAuth]),
        new x509.SubjectAlternativeNameExtension(
          names.map((value) => ({ type: isIP(value) === 0 ? 'dns' : 'ip', value })),
        ),
      ],
    },
    webcrypto,
  )
  return {
    key: x509.PemConverter.encode(await webcrypto.subtle.exportKey('pkcs8', keys.privateKey), 'PRIVATE KEY').concat(
      '\n',
    ),
    certificate: certificate.toString('pem').concat('\n'),
  }
}

/** 127 random bits with the top one set: positive, and never with a leading zero that DER forbids. */
function positiveSerial(): string {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes.toString('hex')
}
