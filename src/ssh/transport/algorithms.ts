/** The algorithms we know, what is offered by default and what belongs together. No SHA-1, CBC or DSA anywhere. */

import { BadParameter } from '../../errors/errors.ts'
import {
  certificateAlgorithmOf,
  type PublicKeyAlgorithm,
  publicKeyAlgorithmName,
  resolvePublicKeyAlgorithm,
} from '../certificate/algorithms.ts'
import { keyTypeOfAlgorithm, signatureAlgorithms } from '../keys/algorithms.ts'
import type { AlgorithmPreferences, CipherAlgorithm, HostIdentity, KexAlgorithm, MacAlgorithm } from './types.ts'

/** All of them; the NIST curves and group 14 are offered only by configuration. */
export const knownKex: readonly KexAlgorithm[] = [
  'mlkem768x25519-sha256',
  'curve25519-sha256',
  'curve25519-sha256@libssh.org',
  'diffie-hellman-group16-sha512',
  'ecdh-sha2-nistp256',
  'ecdh-sha2-nistp384',
  'diffie-hellman-group14-sha256',
]

export const knownCiphers: readonly CipherAlgorithm[] = [
  'aes256-gcm@openssh.com',
  'aes128-gcm@openssh.com',
  'chacha20-poly1305@openssh.com',
  'aes256-ctr',
  'aes192-ctr',
  'aes128-ctr',
]

export const knownMacs: readonly MacAlgorithm[] = ['hmac-sha2-256-etm@openssh.com', 'hmac-sha2-512-etm@openssh.com']

export const defaultAlgorithms: AlgorithmPreferences = {
  kex: ['mlkem768x25519-sha256', 'curve25519-sha256', 'curve25519-sha256@libssh.org', 'diffie-hellman-group16-sha512'],
  ciphers: knownCiphers,
  macs: knownMacs,
}

/** Fills in the defaults. Throws BadParameter for a name we do not know and for an empty list. */
export function resolveAlgorithms(partial: Partial<AlgorithmPreferences> = {}): AlgorithmPreferences {
  check('kex', partial.kex, knownKex)
  check('ciphers', partial.ciphers, knownCiphers)
  check('macs', partial.macs, knownMacs)
  return { ...defaultAlgorithms, ...partial }
}

function check(param: string, names: readonly string[] | undefined, known: readonly string[]): void {
  if (names === undefined) return
  if (names.length === 0) throw new BadParameter(param, `the list of ${param} algorithms is empty`)
  for (const name of names) {
    if (!known.includes(name)) {
      throw new BadParameter(param, `unknown ${param} algorithm ${JSON.stringify(name)}; known are ${known.join(', ')}`)
    }
  }
}

/** AEAD ciphers bring their own integrity; the negotiated MAC is then ignored (PROTOCOL 1.6, PROTOCOL.chacha20poly1305). */
export const isAead = (cipher: CipherAlgorithm): boolean => !cipher.endsWith('-ctr')

export const isGcm = (cipher: string): boolean => cipher.includes('-gcm@')

/** Host key algorithms a client accepts by default: certificates first, since only they name the host; security keys never hold host keys. */
export const defaultHostKeyAlgorithms: readonly string[] = [true, false].flatMap((certificate) =>
  signatureAlgorithms
    .filter((signature) => !signature.startsWith('sk-'))
    .map((signature) => {
      const keyType = keyTypeOfAlgorithm[signature]
      return publicKeyAlgorithmName(certificate ? certificateAlgorithmOf(keyType) : keyType, signature)
    }),
)

/** One way a server can prove itself. */
export interface HostKeyChoice {
  readonly name: string
  readonly algorithm: PublicKeyAlgorithm
  readonly identity: HostIdentity
  readonly blob: Buffer
}

/** The host key algorithms these identities can serve, preferred first: all certificates, then the plain keys meant to be shown. */
export function hostKeyChoices(identities: readonly HostIdentity[]): HostKeyChoice[] {
  const choices = new Map<string, HostKeyChoice>()
  const add = (identity: HostIdentity, blobType: PublicKeyAlgorithm['blobType'], blob: Buffer): void => {
    for (const signature of identity.signer.algorithms) {
      const name = publicKeyAlgorithmName(blobType, signature)
      const algorithm = resolvePublicKeyAlgorithm(name)
      if (algorithm?.blobType !== blobType || choices.has(name)) continue
      choices.set(name, { name, algorithm, identity, blob })
    }
  }
  for (const identity of identities) {
    if (identity.certificate !== undefined) add(identity, identity.certificate.algorithm, identity.certificate.blob)
  }
  for (const identity of identities) {
    // An identity without a certificate has nothing but its plain key to show.
    if (identity.offerPlain === true || identity.certificate === undefined)
      add(identity, identity.signer.publicKey.type, identity.signer.publicKey.blob)
  }
  return [...choices.values()]
}
