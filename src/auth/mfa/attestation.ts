/** Which makes of security keys may be enrolled: chains of the attestation certificates (WebAuthn 6.5) against the configured authorities. */

import { X509Certificate } from 'node:crypto'
import { BadParameter } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'

export interface AttestationPolicy {
  /** PEM. Empty: any make, and none at all. */
  readonly allowedCas: readonly string[]
  readonly deniedCas: readonly string[]
}

/** More than any chain in use has. */
const maxChain = 8

/** Throws BadParameter for a key that may not be enrolled. `chain` is DER, the key's own certificate first. */
export function checkAttestation(policy: AttestationPolicy, chain: readonly Uint8Array[], now: Date): void {
  const { allowedCas, deniedCas } = policy
  if (allowedCas.length === 0 && deniedCas.length === 0) return
  const certificates = readChain(chain)
  if (certificates.length === 0) throw refused('it does not say of which make it is')
  if (deniedCas.length > 0 && leadsTo(certificates, deniedCas, now)) throw refused('keys of its make are not allowed')
  if (allowedCas.length > 0 && !leadsTo(certificates, allowedCas, now))
    throw refused('keys of its make are not among the allowed ones')
}

const refused = (why: string) =>
  new BadParameter('webauthn', `this security key cannot be enrolled in this cluster: ${why}`)

function readChain(chain: readonly Uint8Array[]): X509Certificate[] {
  if (chain.length > maxChain) throw refused('its chain of certificates is too long')
  try {
    return chain.map((der) => new X509Certificate(der))
  } catch (error) {
    throw new BadParameter('webauthn', `this security key's certificate cannot be read: ${messageOf(error)}`)
  }
}

/** Each certificate is signed by the next, and the last by the authority; or a certificate is an authority itself. */
function leadsTo(chain: readonly X509Certificate[], authorities: readonly string[], now: Date): boolean {
  const roots = authorities.map((pem) => new X509Certificate(pem))
  for (const [index, certificate] of chain.entries()) {
    if (certificate.validFromDate > now || certificate.validToDate < now) return false
    if (roots.some((root) => root.fingerprint256 === certificate.fingerprint256)) return true
    if (roots.some((root) => signedBy(certificate, root))) return true
    const next = chain[index + 1]
    if (next === undefined || !next.ca || !signedBy(certificate, next)) return false
  }
  return false
}

const signedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey)
