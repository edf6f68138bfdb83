/** The key exchange methods: what each side sends, and the shared secret that comes of it. Bad points and trivial secrets are refused. */

import {
  createECDH,
  createHash,
  createPublicKey,
  decapsulate,
  diffieHellman,
  type ECDH,
  encapsulate,
  generateKeyPairSync,
  getDiffieHellman,
  type KeyObject,
} from 'node:crypto'
import { ConnectionProblem } from '../../errors/errors.ts'
import { WireWriter } from '../wire/writer.ts'
import type { KexAlgorithm } from './types.ts'

/** How the secret enters the exchange hash and the key derivation: already encoded as `mpint`, or as `string`. */
export type EncodedSecret = Buffer

export interface KexClient {
  /** Public value for the first message. */
  readonly init: Buffer
  /** From the server's public value. Throws ConnectionProblem. */
  finish(reply: Buffer): EncodedSecret
}

export interface KexMethod {
  readonly hash: 'sha256' | 'sha384' | 'sha512'
  /** Finite-field methods send their public values as `mpint`, the others as `string`. */
  readonly mpintValues: boolean
  client(): KexClient
  /** Throws ConnectionProblem for a public value that is not what it must be. */
  server(init: Buffer): { readonly reply: Buffer; readonly secret: EncodedSecret }
}

const X25519_SIZE = 32
const MLKEM_PUBLIC_SIZE = 1184
const MLKEM_CIPHERTEXT_SIZE = 1088

const asMpint = (secret: Buffer): EncodedSecret => new WireWriter(secret.length + 5).mpint(secret).take()
const asString = (secret: Buffer): EncodedSecret => new WireWriter(secret.length + 4).string(secret).take()

function refuse(cause: unknown): never {
  throw new ConnectionProblem('the peer sent an invalid key exchange value', { cause })
}

/** Runs OpenSSL on a value of the peer: whatever it dislikes becomes one error. */
function checked<T>(compute: () => T): T {
  try {
    return compute()
  } catch (error) {
    refuse(error)
  }
}

function exactly(value: Buffer, size: number): Buffer {
  if (value.length !== size) refuse(`${value.length} bytes instead of ${size}`)
  return value
}

// Generating takes 40 µs, a tenth of what a signature by an agent or one event-loop turn costs; a pool of keys made ahead
// saved nothing measurable and would keep ephemeral secrets in memory for longer than they are needed.
function x25519Pair(): { readonly privateKey: KeyObject; readonly raw: Buffer } {
  const pair = generateKeyPairSync('x25519')
  return { privateKey: pair.privateKey, raw: pair.publicKey.export({ format: 'raw-public' }) }
}

function x25519(privateKey: KeyObject, raw: Buffer): Buffer {
  exactly(raw, X25519_SIZE)
  const secret = checked(() =>
    diffieHellman({
      privateKey,
      publicKey: createPublicKey({ key: raw, format: 'raw-public', asymmetricKeyType: 'x25519' }),
    }),
  )
  // RFC 8731 section 3: abort on the all-zero value. OpenSSL does so by itself; this does not depend on it.
  if (secret.every((byte) => byte === 0)) refuse('all-zero shared secret')
  return secret
}

const curve25519: KexMethod = {
  hash: 'sha256',
  mpintValues: false,
  client() {
    const pair = x25519Pair()
    return { init: pair.raw, finish: (reply) => asMpint(x25519(pair.privateKey, reply)) }
  },
  server(init) {
    const pair = x25519Pair()
    return { reply: pair.raw, secret: asMpint(x25519(pair.privateKey, init)) }
  },
}

/** draft-ietf-sshm-mlkem-hybrid-kex: K = SHA-256(K_PQ || K_CL), encoded as a string. */
const hybridSecret = (quantum: Buffer, classical: Buffer): EncodedSecret =>
  asString(createHash('sha256').update(quantum).update(classical).digest())

const mlkem768x25519: KexMethod = {
  hash: 'sha256',
  mpintValues: false,
  client() {
    const kem = generateKeyPairSync('ml-kem-768')
    const pair = x25519Pair()
    return {
      init: Buffer.concat([kem.publicKey.export({ format: 'raw-public' }), pair.raw]),
      finish(reply) {
        exactly(reply, MLKEM_CIPHERTEXT_SIZE + X25519_SIZE)
        const quantum = checked(() => decapsulate(kem.privateKey, reply.subarray(0, MLKEM_CIPHERTEXT_SIZE)))
        return hybridSecret(quantum, x25519(pair.privateKey, reply.subarray(MLKEM_CIPHERTEXT_SIZE)))
      },
    }
  },
  server(init) {
    exactly(init, MLKEM_PUBLIC_SIZE + X25519_SIZE)
    const key = init.subarray(0, MLKEM_PUBLIC_SIZE)
    // OpenSSL makes the modulus check of FIPS 203 section 7.2 when it reads the key.
    const { sharedKey, ciphertext } = checked(() =>
      encapsulate(createPublicKey({ key, format: 'raw-public', asymmetricKeyType: 'ml-kem-768' })),
    )
    const pair = x25519Pair()
    const classical = x25519(pair.privateKey, init.subarray(MLKEM_PUBLIC_SIZE))
    return { reply: Buffer.concat([ciphertext, pair.raw]), secret: hybridSecret(sharedKey, classical) }
  },
}

/** RFC 8268; the values are magnitudes without leading zeros. */
function group(name: 'modp14' | 'modp16', hash: 'sha256' | 'sha512'): KexMethod {
  const compute = (exchange: ReturnType<typeof getDiffieHellman>, value: Buffer): EncodedSecret => {
    const secret = checked(() => {
      const prime = BigInt(`0x${exchange.getPrime('hex')}`)
      const theirs = BigInt(`0x${value.toString('hex') || '0'}`)
      if (theirs <= 1n || theirs >= prime - 1n) refuse('public value out of range')
      return exchange.computeSecret(value)
    })
    return asMpint(secret)
  }
  return {
    hash,
    mpintValues: true,
    client() {
      const exchange = getDiffieHellman(name)
      return { init: exchange.generateKeys(), finish: (reply) => compute(exchange, reply) }
    },
    server(init) {
      const exchange = getDiffieHellman(name)
      const reply = exchange.generateKeys()
      return { reply, secret: compute(exchange, init) }
    },
  }
}

function nistCurve(curve: 'prime256v1' | 'secp384r1', size: number, hash: 'sha256' | 'sha384'): KexMethod {
  const compute = (exchange: ECDH, point: Buffer): EncodedSecret => {
    // Only uncompressed points (RFC 5656 section 4); OpenSSL checks that the point is on the curve.
    if (point[0] !== 4) refuse('not an uncompressed point')
    exactly(point, 1 + 2 * size)
    return asMpint(checked(() => exchange.computeSecret(point)))
  }
  return {
    hash,
    mpintValues: false,
    client() {
      const exchange = createECDH(curve)
      return { init: exchange.generateKeys(), finish: (reply) => compute(exchange, reply) }
    },
    server(init) {
      const exchange = createECDH(curve)
      const reply = exchange.generateKeys()
      return { reply, secret: compute(exchange, init) }
    },
  }
}

export const kexMethods: Readonly<Record<KexAlgorithm, KexMethod>> = {
  'mlkem768x25519-sha256': mlkem768x25519,
  'curve25519-sha256': curve25519,
  'curve25519-sha256@libssh.org': curve25519,
  'diffie-hellman-group16-sha512': group('modp16', 'sha512'),
  'ecdh-sha2-nistp256': nistCurve('prime256v1', 32, 'sha256'),
  'ecdh-sha2-nistp384': nistCurve('secp384r1', 48, 'sha384'),
  'diffie-hellman-group14-sha256': group('modp14', 'sha256'),
}
