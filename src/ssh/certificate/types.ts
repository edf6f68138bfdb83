/** OpenSSH certificates as values (PROTOCOL.certkeys). */

import type { KeyType, PublicKey, SignatureAlgorithm } from '../keys/types.ts'

export type CertificateType = 'user' | 'host'

/** `ssh-ed25519-cert-v01@openssh.com` and its relatives. */
export type CertificateAlgorithm =
  | 'ssh-ed25519-cert-v01@openssh.com'
  | 'ecdsa-sha2-nistp256-cert-v01@openssh.com'
  | 'ecdsa-sha2-nistp384-cert-v01@openssh.com'
  | 'ecdsa-sha2-nistp521-cert-v01@openssh.com'
  | 'ssh-rsa-cert-v01@openssh.com'
  | 'sk-ssh-ed25519-cert-v01@openssh.com'
  | 'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com'

export interface Certificate {
  readonly algorithm: CertificateAlgorithm
  /** Type of the certified key, that is `algorithm` without the certificate suffix. */
  readonly keyType: KeyType
  /** The certified key, as a plain key. */
  readonly publicKey: PublicKey
  readonly type: CertificateType
  readonly serial: bigint
  readonly keyId: string
  readonly principals: readonly string[]
  /** Seconds since the epoch, inclusive. */
  readonly validAfter: bigint
  /** Seconds since the epoch, exclusive; 2^64-1 means for ever. */
  readonly validBefore: bigint
  /** Name → content, in the order of the certificate. Content is the inner string, empty for flags. */
  readonly criticalOptions: ReadonlyMap<string, Buffer>
  readonly extensions: ReadonlyMap<string, Buffer>
  readonly signatureKey: PublicKey
  readonly signatureAlgorithm: SignatureAlgorithm
  /** The authority's signature blob; it covers everything before it in `blob`. */
  readonly signature: Buffer
  /** Wire form of the whole certificate. */
  readonly blob: Buffer
}

/** What to put into a new certificate. */
export interface CertificateTemplate {
  readonly publicKey: PublicKey
  readonly type: CertificateType
  /** Default: 64 random bits. */
  readonly serial?: bigint
  readonly keyId: string
  /** At least one; an empty list is refused, because some verifiers take it for "anyone". */
  readonly principals: readonly string[]
  readonly validAfter: Date
  readonly validBefore: Date
  readonly criticalOptions?: Readonly<Record<string, string>>
  readonly extensions?: Readonly<Record<string, string>>
}

/** Everything a verifier must know. Nothing is optional that would weaken the answer when forgotten. */
export interface CertificatePolicy {
  readonly type: CertificateType
  /** CA keys trusted now for this type. */
  readonly authorities: readonly PublicKey[]
  readonly now: Date
  /** The login or host name that must be in the certificate; `undefined` only where principals are judged elsewhere. */
  readonly principal: string | undefined
  /** True client address for `source-address`, for user certificates. `undefined` denies a certificate that has the option. */
  readonly sourceAddress?: string | undefined
  /** Accepted algorithms for the CA's signature. Default: all of SignatureAlgorithm. */
  readonly caSignatureAlgorithms?: readonly SignatureAlgorithm[]
  /** Clock skew allowed on both ends, in seconds. Default 60. */
  readonly skewSeconds?: number
  /**
   * Critical options that the caller itself enforces, for user certificates (say `force-command`). `source-address` and
   * `verify-required` are handled here; every other option refuses the certificate.
   */
  readonly handledCriticalOptions?: readonly string[]
  /** Extensions the caller understands, beyond OpenSSH's own; all others are reported as unknown. */
  readonly knownExtensions?: readonly string[]
}

export type CertificateRefusal =
  | 'wrong-type'
  | 'unknown-authority'
  | 'bad-signature'
  | 'signature-algorithm'
  | 'not-yet-valid'
  | 'expired'
  | 'no-principals'
  | 'wrong-principal'
  | 'unknown-critical-option'
  | 'source-address'

export type CertificateVerdict =
  | {
      readonly ok: true
      readonly unknownExtensions: readonly string[]
      readonly noTouchRequired: boolean
      readonly verifyRequired: boolean
    }
  | { readonly ok: false; readonly refusal: CertificateRefusal; readonly reason: string }
