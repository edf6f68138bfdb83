/**
 * The one place that decides whether a certificate is good. A pure function: facts in, a verdict with a reason for the audit log
 * out. The checks run in a fixed order, so that the same certificate always gets the same reason. Proof of possession of the
 * certified key is the caller's next step (`verifySignature` with `certificate.publicKey`).
 */

import { matchPattern } from '../keys/pattern.ts'
import { equalKeys, fingerprintSha256 } from '../keys/public-key.ts'
import { verifySignature } from '../keys/signature.ts'
import { matchSourceAddress } from './source-address.ts'
import type { Certificate, CertificatePolicy, CertificateRefusal, CertificateVerdict } from './types.ts'

type Refused = Extract<CertificateVerdict, { ok: false }>
type Check = (certificate: Certificate, policy: CertificatePolicy) => Refused | undefined

const forEver = 2n ** 64n - 1n
const defaultSkewSeconds = 60

const openSshExtensions: readonly string[] = [
  'no-touch-required',
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
]

/** Certificates whose signature was good. The value never changes, so neither does the answer. */
const goodSignatures = new WeakSet<Certificate>()

const checks: readonly Check[] = [
  checkType,
  checkAuthority,
  checkAlgorithm,
  checkSignature,
  checkTime,
  checkPrincipals,
  checkCriticalOptions,
  checkSourceAddress,
]

/**
 * Whether the certificate is good for this use at this moment, and what it then allows; the first reason when it is not. Throws
 * nothing. Signature and authority are looked at before anything that the certificate says. Source: PROTOCOL.certkeys, ssh-keygen(1).
 */
export function verifyCertificate(certificate: Certificate, policy: CertificatePolicy): CertificateVerdict {
  for (const check of checks) {
    const refused = check(certificate, policy)
    if (refused !== undefined) return refused
  }
  const user = certificate.type === 'user'
  const known = new Set([...(user ? openSshExtensions : []), ...(policy.knownExtensions ?? [])])
  return {
    ok: true,
    unknownExtensions: [...certificate.extensions.keys()].filter((name) => !known.has(name)),
    noTouchRequired: user && certificate.extensions.has('no-touch-required'),
    verifyRequired: certificate.criticalOptions.has('verify-required'),
  }
}

const refuse = (refusal: CertificateRefusal, reason: string): Refused => ({ ok: false, refusal, reason })

function checkType(certificate: Certificate, policy: CertificatePolicy): Refused | undefined {
  if (certificate.type === policy.type) return undefined
  return refuse('wrong-type', `a ${certificate.type} certificate where a ${policy.type} certificate is needed`)
}

function checkAuthority(certificate: Certificate, policy: CertificatePolicy): Refused | undefined {
  if (policy.authorities.some((authority) => equalKeys(authority, certificate.signatureKey))) return undefined
  const fingerprint = fingerprintSha256(certificate.signatureKey)
  return refuse('unknown-authority', `signed by ${fingerprint}, which is not a trusted ${policy.type} authority`)
}

function checkAlgorithm(certificate: Certificate, policy: CertificatePolicy): Refused | undefined {
  const allowed = policy.caSignatureAlgorithms
  if (allowed === undefined || allowed.includes(certificate.signatureAlgorithm)) return undefined
  return refuse('signature-algorithm', `signed with ${certificate.signatureAlgorithm}, which is not allowed`)
}

function checkSignature(certificate: Certificate): Refused | undefined {
  if (goodSignatures.has(certificate)) return undefined
  const { blob, signature, signatureKey, signatureAlgorithm } = certificate
  const signed = blob.subarray(0, blob.length - signature.length - 4)
  if (!verifySignature(signatureKey, signed, signature, signatureAlgorithm)) {
    return refuse('bad-signature', 'the signature of the authority is wrong')
  }
  goodSignatures.add(certificate)
  return undefined
}

function checkTime(certificate: Certificate, policy: CertificatePolicy): Refused | undefined {
  const now = BigInt(Math.floor(policy.now.getTime() / 1000))
  const skew = BigInt(policy.skewSeconds ?? defaultSkewSeconds)
  const { validAfter, validBefore } = certificate
  if (now + skew < validAfter)
    return refuse('not-yet-valid', `certificate not valid for another ${span(validAfter - now)}; ${here(policy)}`)
  if (validBefore !== forEver && now - skew >= validBefore) {
    return refuse('expired', `certificate expired ${span(now - validBefore)} ago; ${here(policy)}`)
  }
  return undefined
}

/** Often it is a clock and not the certificate. */
const here = ({ now }: CertificatePolicy): string =>
  `the clock here says ${now.toISOString().slice(0, 19)}Z, check that it is right`

function checkPrincipals(certificate: Certificate, policy: CertificatePolicy): Refused | undefined {
  const { principals } = certificate
  // Some verifiers take "no principals" for "anyone" (CVE-2024-7594); here it is nobody.
  if (principals.length === 0) return refuse('no-principals', 'the certificate names no principals')
  const { principal } = policy
  if (principal === undefined) return undefined
  const found = certificate.type === 'user' ? principals.includes(principal) : matchHost(principals, principal)
  if (found) return undefined
  return refuse('wrong-principal', `${JSON.stringify(principal)} is not among the principals ${list(principals)}`)
}

/**
 * Principals of host certificates may be patterns here; `ssh` 9.2 compares them literally, so what we issue lists names. Host names are
 * compared in lower case, as `ssh` does.
 */
function matchHost(principals: readonly string[], host: string): boolean {
  const lower = host.toLowerCase()
  return principals.some((pattern) => pattern === host || matchPattern(pattern, lower))
}

function checkCriticalOptions(certificate: Certificate, policy: CertificatePolicy): Refused | undefined {
  const user = certificate.type === 'user'
  const handled = user ? ['source-address', 'verify-required', ...(policy.handledCriticalOptions ?? [])] : []
  for (const name of certificate.criticalOptions.keys()) {
    if (!handled.includes(name))
      return refuse('unknown-critical-option', `unknown critical option ${JSON.stringify(name)}`)
  }
  return undefined
}

function checkSourceAddress(certificate: Certificate, policy: CertificatePolicy): Refused | undefined {
  const allowed = certificate.criticalOptions.get('source-address')
  if (allowed === undefined) return undefined
  const { sourceAddress } = policy
  if (sourceAddress === undefined)
    return refuse('source-address', 'the certificate is bound to addresses and the client has none')
  if (matchSourceAddress(allowed.toString('latin1'), sourceAddress)) return undefined
  return refuse('source-address', `the certificate may not be used from ${sourceAddress}`)
}

/** A duration for people: its largest whole unit. */
function span(seconds: bigint): string {
  if (seconds < 120n) return `${seconds} s`
  if (seconds < 7200n) return `${seconds / 60n} min`
  return seconds < 172_800n ? `${seconds / 3600n} h` : `${seconds / 86_400n} d`
}

function list(names: readonly string[]): string {
  const shown = names.slice(0, 10).map((name) => JSON.stringify(name))
  return names.length > 10 ? `${shown.join(', ')} and ${names.length - 10} more` : shown.join(', ')
}
