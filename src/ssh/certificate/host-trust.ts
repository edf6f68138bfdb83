/** Decides whether a server may be believed to be the host it was called by, from known_hosts alone: no trust on first use. */

import { type KnownHost, type KnownHosts, lookupName, matchesHost } from '../keys/known-hosts.ts'
import { equalKeys, fingerprintSha256 } from '../keys/public-key.ts'
import type { PublicKey } from '../keys/types.ts'
import type { Certificate } from './types.ts'
import { verifyCertificate } from './verify.ts'

/** What the server presented, and as whom it was called. */
export interface HostClaim {
  readonly host: string
  readonly port: number
  readonly presented: PublicKey | Certificate
  readonly now: Date
  /** Clock skew allowed, in seconds. Default: that of `verifyCertificate`. */
  readonly skewSeconds?: number
}

export type HostTrust =
  | { readonly ok: true; readonly entry: KnownHost }
  | {
      readonly ok: false
      /** `changed`: another key of this type is known, which is what an attack looks like. */
      readonly refusal: 'revoked' | 'certificate' | 'changed' | 'unknown'
      readonly reason: string
    }

/**
 * The rules of `ssh` with StrictHostKeyChecking=yes, one stricter: where a `@cert-authority` line covers the host, a certificate
 * that fails is refused, and its key is not looked up as a plain key. As `ssh` does, a host on another port than 22 that is not found as
 * `[host]:port` is looked up by its bare name.
 */
export function decideHostTrust(known: KnownHosts, claim: HostClaim): HostTrust {
  const bareName = lookupName(claim.host, 22)
  const fullName = lookupName(claim.host, claim.port)
  const bare = known.entries.filter((entry) => matchesHost(entry, bareName))
  const full = fullName === bareName ? bare : known.entries.filter((entry) => matchesHost(entry, fullName))
  const revoked = findRevoked([...full, ...bare], claim)
  if (revoked !== undefined) return revoked
  const verdict = decideAmong(full, claim)
  return verdict.ok || verdict.refusal !== 'unknown' || full === bare ? verdict : decideAmong(bare, claim)
}

/** A revocation counts under both names. */
function findRevoked(entries: readonly KnownHost[], { presented }: HostClaim): HostTrust | undefined {
  const keys = 'signatureKey' in presented ? [presented.publicKey, presented.signatureKey] : [presented]
  const entry = entries.find(({ marker, key }) => marker === 'revoked' && keys.some((each) => equalKeys(each, key)))
  return (
    entry && refuse('revoked', `its key or authority ${fingerprintSha256(entry.key)} is revoked on line ${entry.line}`)
  )
}

function decideAmong(entries: readonly KnownHost[], claim: HostClaim): HostTrust {
  const { presented } = claim
  if (!('signatureKey' in presented)) return decidePlain(presented, entries, claim)
  const authorities = entries.filter((entry) => entry.marker === 'cert-authority')
  if (authorities.length > 0) return decideCertificate(presented, authorities, claim)
  return decidePlain(presented.publicKey, entries, claim)
}

function decideCertificate(certificate: Certificate, lines: readonly KnownHost[], claim: HostClaim): HostTrust {
  const verdict = verifyCertificate(certificate, {
    type: 'host',
    authorities: lines.map((line) => line.key),
    now: claim.now,
    principal: claim.host,
    ...(claim.skewSeconds === undefined ? {} : { skewSeconds: claim.skewSeconds }),
  })
  if (!verdict.ok) return refuse('certificate', `its host certificate is refused: ${verdict.reason}`)
  const entry = lines.find((line) => equalKeys(line.key, certificate.signatureKey))
  return entry === undefined ? refuse('certificate', 'its authority is unknown') : { ok: true, entry }
}

function decidePlain(key: PublicKey, entries: readonly KnownHost[], claim: HostClaim): HostTrust {
  const plain = entries.filter((entry) => entry.marker === undefined)
  const entry = plain.find((candidate) => equalKeys(candidate.key, key))
  if (entry !== undefined) return { ok: true, entry }
  const other = plain.find((candidate) => candidate.key.type === key.type)
  const fingerprint = fingerprintSha256(key)
  if (other === undefined)
    return refuse('unknown', `no known key or authority vouches for ${claim.host} (${fingerprint})`)
  return refuse(
    'changed',
    `${claim.host} presents ${fingerprint}, but line ${other.line} knows ${fingerprintSha256(other.key)}`,
  )
}

const refuse = (refusal: Extract<HostTrust, { ok: false }>['refusal'], reason: string): HostTrust => ({
  ok: false,
  refusal,
  reason,
})
