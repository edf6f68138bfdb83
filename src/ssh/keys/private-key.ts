/** Private keys in memory: made, wrapped around a `node:crypto` key, and used to sign. */

import { createPrivateKey, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { type Env, realEnv } from '../../common/env.ts'
import { BadParameter } from '../../errors/errors.ts'
import { algorithmsOfKeyType, curveOf } from './algorithms.ts'
import { publicKeyFromKeyObject } from './public-key.ts'
import { encodeSignature } from './signature.ts'
import type { PrivateKey, PublicKey, SignatureAlgorithm } from './types.ts'

const ed25519Pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

class MemoryKey implements PrivateKey {
  readonly publicKey: PublicKey
  readonly comment: string
  readonly algorithms: readonly SignatureAlgorithm[]
  readonly #key: KeyObject

  constructor(key: KeyObject, comment: string) {
    this.#key = key
    this.publicKey = publicKeyFromKeyObject(key)
    this.comment = comment
    this.algorithms = algorithmsOfKeyType[this.publicKey.type]
  }

  signSync(data: Buffer, algorithm?: SignatureAlgorithm): Buffer {
    const chosen = this.#choose(algorithm)
    return encodeSignature(chosen, sign(hashOf(chosen), data, { key: this.#key, dsaEncoding: 'ieee-p1363' }))
  }

  async sign(data: Buffer, algorithm?: SignatureAlgorithm): Promise<Buffer> {
    // Elliptic signatures cost less than a trip to the thread pool; an RSA one would hold up everything else for milliseconds.
    if (this.publicKey.type !== 'ssh-rsa') return this.signSync(data, algorithm)
    const chosen = this.#choose(algorithm)
    const { promise, resolve, reject } = Promise.withResolvers<Buffer>()
    sign(hashOf(chosen), data, this.#key, (error, raw) => (error === null ? resolve(raw) : reject(error)))
    return encodeSignature(chosen, await promise)
  }

  #choose(algorithm: SignatureAlgorithm | undefined): SignatureAlgorithm {
    const chosen = algorithm ?? this.algorithms[0]
    if (chosen === undefined || !this.algorithms.includes(chosen)) {
      throw new BadParameter('algorithm', `a key of type ${this.publicKey.type} cannot sign with ${algorithm}`)
    }
    return chosen
  }

  static keyObjectOf(key: MemoryKey): KeyObject {
    return key.#key
  }
}

/** A private key around a `node:crypto` key. Throws BadParameter for kinds and sizes that are not accepted. */
export function privateKeyFromKeyObject(key: KeyObject, comment = ''): PrivateKey {
  if (key.type !== 'private') throw new BadParameter('key', 'a private key is needed here, this is a public one')
  return new MemoryKey(key, comment)
}

/** The `node:crypto` key inside. Throws BadParameter for keys that are not held in memory by this module. */
export function keyObjectOf(key: PrivateKey): KeyObject {
  if (key instanceof MemoryKey) return MemoryKey.keyObjectOf(key)
  throw new BadParameter('key', 'this private key cannot be exported')
}

/** A new Ed25519 key; its seed comes from `env`. */
export function generateEd25519(env: Env = realEnv, comment = ''): PrivateKey {
  const der = Buffer.concat([ed25519Pkcs8Prefix, env.randomBytes(32)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  der.fill(0)
  return new MemoryKey(key, comment)
}

/** A new ECDSA key on one of the three NIST curves. */
export function generateEcdsa(curve: 'nistp256' | 'nistp384' | 'nistp521' = 'nistp256', comment = ''): PrivateKey {
  const namedCurve = { nistp256: 'P-256', nistp384: 'P-384', nistp521: 'P-521' }[curve]
  return new MemoryKey(generateKeyPairSync('ec', { namedCurve }).privateKey, comment)
}

/** A new RSA key. Takes a noticeable part of a second and blocks meanwhile. */
export function generateRsa(bits: 2048 | 3072 | 4096 = 3072, comment = ''): PrivateKey {
  return new MemoryKey(generateKeyPairSync('rsa', { modulusLength: bits }).privateKey, comment)
}

function hashOf(algorithm: SignatureAlgorithm): string | null {
  switch (algorithm) {
    case 'rsa-sha2-256':
      return 'sha256'
    case 'rsa-sha2-512':
      return 'sha512'
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return curveOf(algorithm)?.hash ?? null
    case 'ssh-ed25519':
      return null
    case 'sk-ssh-ed25519@openssh.com':
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      throw new BadParameter('algorithm', 'security keys sign in hardware, through an agent')
  }
}
