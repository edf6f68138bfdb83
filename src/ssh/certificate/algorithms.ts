/** Names of certificate types, and what a public key algorithm name of user authentication or key exchange stands for. */

import { algorithmsOfKeyType, isKeyType, isSignatureAlgorithm, keyTypeOfAlgorithm } from '../keys/algorithms.ts'
import type { KeyType, SignatureAlgorithm } from '../keys/types.ts'
import type { CertificateAlgorithm } from './types.ts'

const keyTypes: Readonly<Record<CertificateAlgorithm, KeyType>> = {
  'ssh-ed25519-cert-v01@openssh.com': 'ssh-ed25519',
  'ecdsa-sha2-nistp256-cert-v01@openssh.com': 'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384-cert-v01@openssh.com': 'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521-cert-v01@openssh.com': 'ecdsa-sha2-nistp521',
  'ssh-rsa-cert-v01@openssh.com': 'ssh-rsa',
  'sk-ssh-ed25519-cert-v01@openssh.com': 'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com': 'sk-ecdsa-sha2-nistp256@openssh.com',
}

const certificateTypes: Readonly<Record<KeyType, CertificateAlgorithm>> = {
  'ssh-ed25519': 'ssh-ed25519-cert-v01@openssh.com',
  'ecdsa-sha2-nistp256': 'ecdsa-sha2-nistp256-cert-v01@openssh.com',
  'ecdsa-sha2-nistp384': 'ecdsa-sha2-nistp384-cert-v01@openssh.com',
  'ecdsa-sha2-nistp521': 'ecdsa-sha2-nistp521-cert-v01@openssh.com',
  'ssh-rsa': 'ssh-rsa-cert-v01@openssh.com',
  'sk-ssh-ed25519@openssh.com': 'sk-ssh-ed25519-cert-v01@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com': 'sk-ecdsa-sha2-nistp256-cert-v01@openssh.com',
}

/** Is this the type name of a certificate blob? */
export const isCertificateAlgorithm = (name: string): name is CertificateAlgorithm => Object.hasOwn(keyTypes, name)

/** The type of the key that a certificate of this type certifies. */
export const plainKeyType = (algorithm: CertificateAlgorithm): KeyType => keyTypes[algorithm]

/** The certificate type for a key type. */
export const certificateAlgorithmOf = (type: KeyType): CertificateAlgorithm => certificateTypes[type]

/** What a public key algorithm name means: the type that must stand in the blob, and the signature that must follow. */
export interface PublicKeyAlgorithm {
  readonly blobType: KeyType | CertificateAlgorithm
  readonly certificate: boolean
  readonly signature: SignatureAlgorithm
}

/**
 * Resolves names such as `rsa-sha2-512-cert-v01@openssh.com`. For RSA the algorithm name and the blob type differ; the plain
 * blob types `ssh-rsa` and `ssh-rsa-cert-v01@openssh.com` would mean SHA-1 as algorithms and are unknown here.
 */
export function resolvePublicKeyAlgorithm(name: string): PublicKeyAlgorithm | undefined {
  if (isSignatureAlgorithm(name)) return { blobType: keyTypeOfAlgorithm[name], certificate: false, signature: name }
  if (name === 'rsa-sha2-512-cert-v01@openssh.com' || name === 'rsa-sha2-256-cert-v01@openssh.com') {
    const signature = name.startsWith('rsa-sha2-512') ? 'rsa-sha2-512' : 'rsa-sha2-256'
    return { blobType: 'ssh-rsa-cert-v01@openssh.com', certificate: true, signature }
  }
  if (!isCertificateAlgorithm(name) || name === 'ssh-rsa-cert-v01@openssh.com') return undefined
  const [signature] = algorithmsOfKeyType[keyTypes[name]]
  return signature === undefined ? undefined : { blobType: name, certificate: true, signature }
}

/** The public key algorithm name for a blob type and a signature algorithm: the inverse of `resolvePublicKeyAlgorithm`. */
export function publicKeyAlgorithmName(
  blobType: KeyType | CertificateAlgorithm,
  signature: SignatureAlgorithm,
): string {
  if (isKeyType(blobType)) return signature
  return blobType === 'ssh-rsa-cert-v01@openssh.com' ? `${signature}-cert-v01@openssh.com` : blobType
}
