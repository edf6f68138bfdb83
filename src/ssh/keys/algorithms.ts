/** Which key types and signature algorithms exist, and which belongs to which. Everything else is refused by name. */

import type { KeyType, SignatureAlgorithm } from './types.ts'

/** Every signature algorithm with the one key type that can make it (RFC 8332 for RSA). */
export const keyTypeOfAlgorithm: Readonly<Record<SignatureAlgorithm, KeyType>> = {
  'ssh-ed25519': 'ssh-ed25519',
  'ecdsa-sha2-nistp256': 'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384': 'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521': 'ecdsa-sha2-nistp521',
  'rsa-sha2-512': 'ssh-rsa',
  'rsa-sha2-256': 'ssh-rsa',
  'sk-ssh-ed25519@openssh.com': 'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com': 'sk-ecdsa-sha2-nistp256@openssh.com',
}

/** Every key type with the signature algorithms it can make, preferred first. */
export const algorithmsOfKeyType: Readonly<Record<KeyType, readonly SignatureAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
  'sk-ssh-ed25519@openssh.com': ['sk-ssh-ed25519@openssh.com'],
  'sk-ecdsa-sha2-nistp256@openssh.com': ['sk-ecdsa-sha2-nistp256@openssh.com'],
}

/** All accepted signature algorithms, in the order we prefer and announce them (`server-sig-algs`). */
export const signatureAlgorithms: readonly SignatureAlgorithm[] = [
  'ssh-ed25519',
  'ecdsa-sha2-nistp256',
  'ecdsa-sha2-nistp384',
  'ecdsa-sha2-nistp521',
  'sk-ssh-ed25519@openssh.com',
  'sk-ecdsa-sha2-nistp256@openssh.com',
  'rsa-sha2-512',
  'rsa-sha2-256',
]

/** Is it the name of a plain key type, such as `ssh-ed25519`? */
export const isKeyType = (name: string): name is KeyType => Object.hasOwn(algorithmsOfKeyType, name)

/** Is it a signature algorithm that we verify? `ssh-rsa`, with SHA-1, is none. */
export const isSignatureAlgorithm = (name: string): name is SignatureAlgorithm =>
  Object.hasOwn(keyTypeOfAlgorithm, name)

/** An elliptic curve of RFC 5656: its SSH and JWK names, bytes per coordinate, hash, and the SPKI bytes before the point. */
export interface Curve {
  readonly name: 'nistp256' | 'nistp384' | 'nistp521'
  readonly jwk: 'P-256' | 'P-384' | 'P-521'
  readonly size: number
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  readonly spkiPrefix: string
}

const p256: Curve = {
  name: 'nistp256',
  jwk: 'P-256',
  size: 32,
  hash: 'sha256',
  spkiPrefix: '3059301306072a8648ce3d020106082a8648ce3d030107034200',
}
const p384: Curve = {
  name: 'nistp384',
  jwk: 'P-384',
  size: 48,
  hash: 'sha384',
  spkiPrefix: '3076301006072a8648ce3d020106052b81040022036200',
}
const p521: Curve = {
  name: 'nistp521',
  jwk: 'P-521',
  size: 66,
  hash: 'sha512',
  spkiPrefix: '30819b301006072a8648ce3d020106052b8104002303818600',
}

/** The curve of an ECDSA key type, security keys included. */
export function curveOf(type: KeyType): Curve | undefined {
  switch (type) {
    case 'ecdsa-sha2-nistp256':
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      return p256
    case 'ecdsa-sha2-nistp384':
      return p384
    case 'ecdsa-sha2-nistp521':
      return p521
    case 'ssh-ed25519':
    case 'sk-ssh-ed25519@openssh.com':
    case 'ssh-rsa':
      return undefined
  }
}
