/**
 * Public key blobs (RFC 4253 section 6.6, RFC 5656, RFC 8709, PROTOCOL.u2f) and their `node:crypto` counterparts.
 * A blob that parses is a key we are willing to verify with: sizes, exponent and curve membership are checked here, once.
 */

import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { BadParameter } from '../../errors/errors.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { curveOf, isKeyType } from './algorithms.ts'
import type { KeyType, PublicKey } from './types.ts'

/** Bits. Below, a modulus is weak (SECURITY V13). */
export const minRsaBits = 2048
/** Bits. Above, one verification costs a server milliseconds that anybody can ask for (golang.org/x/crypto stops here too). */
export const maxRsaBits = 8192
/** Bits. OpenSSL's own bound for large moduli: a longer exponent only makes verification slow. */
const maxRsaExponentBits = 64
const maxApplicationBytes = 1024
const ed25519SpkiPrefix = Buffer.from('302a300506032b6570032100', 'hex')

/** Bytes; the largest blob any accepted key can have is far below. */
const maxBlobBytes = 16_384

/** The key-specific part of a blob, after the type name (and, in a certificate, after the nonce). */
interface KeyBody {
  readonly spki: () => KeyObject
  readonly bits?: number
  readonly application?: string
}

const keyObjects = new WeakMap<PublicKey, KeyObject>()

/** Reads one plain public key. Throws WireError for anything else, trailing bytes included. */
export function parsePublicKey(blob: Buffer): PublicKey {
  if (blob.length > maxBlobBytes) throw new WireError(`public key of ${blob.length} bytes`)
  const reader = new WireReader(blob)
  const name = reader.ascii(128)
  if (!isKeyType(name)) throw new WireError(`unsupported key type ${name}`)
  const key = readKeyBody(reader, name)
  reader.end()
  return key
}

/** Reads the fields that follow the type name, as they stand in a key and in a certificate. Copies what it keeps. */
export function readKeyBody(reader: WireReader, type: KeyType): PublicKey {
  const body = new WireWriter(64).string(type)
  const { spki, ...rest } = bodyReaders(type)(reader, body, type)
  const key: PublicKey = { type, blob: body.take(), ...rest }
  // An ECDSA point that is not on its curve fails here and not at the first signature.
  if (curveOf(type) !== undefined) keyObjects.set(key, importKey(spki))
  return key
}

/** The key for `node:crypto`; of a security key, the key inside. Made once per PublicKey. */
export function toKeyObject(key: PublicKey): KeyObject {
  const known = keyObjects.get(key)
  if (known !== undefined) return known
  const reader = new WireReader(key.blob)
  reader.string()
  const made = importKey(bodyReaders(key.type)(reader, new WireWriter(64), key.type).spki)
  keyObjects.set(key, made)
  return made
}

/** The SSH form of a public or private `node:crypto` key. Throws BadParameter for kinds and sizes that SSH or we do not accept. */
export function publicKeyFromKeyObject(keyObject: KeyObject): PublicKey {
  const publicHalf = keyObject.type === 'private' ? createPublicKey(keyObject) : keyObject
  const blob = encodeKeyObject(publicHalf)
  try {
    return parsePublicKey(blob)
  } catch (error) {
    if (error instanceof WireError) throw new BadParameter('key', `unusable key: ${error.message}`, { cause: error })
    throw error
  }
}

/** Same key, bit for bit. */
export const equalKeys = (a: PublicKey, b: PublicKey): boolean => a.blob.equals(b.blob)

/** `SHA256:…` as `ssh-keygen -l` prints it. Of a certificate, pass its `publicKey`. */
export const fingerprintSha256 = (key: PublicKey): string =>
  `SHA256:${createHash('sha256').update(key.blob).digest('base64').replace(/=+$/, '')}`

/** The pin that joining machines compare: `sha256:` and the hex SHA-256 of the key's SubjectPublicKeyInfo (DER). */
export const caPin = (key: PublicKey): string =>
  `sha256:${createHash('sha256')
    .update(toKeyObject(key).export({ type: 'spki', format: 'der' }))
    .digest('hex')}`

type BodyReader = (reader: WireReader, copy: WireWriter, type: KeyType) => KeyBody

function bodyReaders(type: KeyType): BodyReader {
  switch (type) {
    case 'ssh-ed25519':
    case 'sk-ssh-ed25519@openssh.com':
      return readEd25519
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      return readEcdsa
    case 'ssh-rsa':
      return readRsa
  }
}

function readEd25519(reader: WireReader, copy: WireWriter, type: KeyType): KeyBody {
  const point = reader.string(32)
  if (point.length !== 32) throw new WireError(`ed25519 key of ${point.length} bytes`)
  copy.string(point)
  const der = Buffer.concat([ed25519SpkiPrefix, point])
  return {
    spki: () => createPublicKey({ key: der, format: 'der', type: 'spki' }),
    ...readApplication(reader, copy, type),
  }
}

function readEcdsa(reader: WireReader, copy: WireWriter, type: KeyType): KeyBody {
  const curve = curveOf(type)
  const name = reader.ascii(32)
  if (curve === undefined || name !== curve.name) throw new WireError(`curve ${name} in a key of type ${type}`)
  const point = reader.string(2 * curve.size + 1)
  if (point.length !== 2 * curve.size + 1 || point[0] !== 4) throw new WireError('ECDSA point is not uncompressed')
  copy.string(name).string(point)
  const der = Buffer.concat([Buffer.from(curve.spkiPrefix, 'hex'), point])
  return {
    spki: () => createPublicKey({ key: der, format: 'der', type: 'spki' }),
    ...readApplication(reader, copy, type),
  }
}

function readRsa(reader: WireReader, copy: WireWriter): KeyBody {
  const exponent = reader.mpint(maxRsaExponentBits)
  const modulus = reader.mpint(maxRsaBits)
  const bits = bitLength(modulus)
  if (bits < minRsaBits) throw new WireError(`RSA key of ${bits} bits, at least ${minRsaBits} required`)
  if (bits > maxRsaBits) throw new WireError(`RSA key of ${bits} bits, at most ${maxRsaBits} allowed`)
  if (bitLength(exponent) > maxRsaExponentBits) throw new WireError('RSA exponent is too large')
  if (!isOdd(exponent) || bitLength(exponent) < 2) throw new WireError('RSA exponent must be odd and at least 3')
  if (!isOdd(modulus)) throw new WireError('RSA modulus is even')
  copy.mpint(exponent).mpint(modulus)
  const jwk = { kty: 'RSA', n: modulus.toString('base64url'), e: exponent.toString('base64url') }
  return { spki: () => createPublicKey({ key: jwk, format: 'jwk' }), bits }
}

function readApplication(reader: WireReader, copy: WireWriter, type: KeyType): { application?: string } {
  if (!type.startsWith('sk-')) return {}
  const application = reader.text(maxApplicationBytes)
  copy.string(application)
  return { application }
}

function importKey(make: () => KeyObject): KeyObject {
  try {
    return make()
  } catch (error) {
    throw new WireError('the key material is not a valid key', { cause: error })
  }
}

function encodeKeyObject(key: KeyObject): Buffer {
  switch (key.asymmetricKeyType) {
    case 'ed25519':
      return new WireWriter(64)
        .string('ssh-ed25519')
        .string(part(key.export({ format: 'jwk' }), 'x'))
        .take()
    case 'rsa': {
      const jwk = key.export({ format: 'jwk' })
      return new WireWriter(600).string('ssh-rsa').mpint(part(jwk, 'e')).mpint(part(jwk, 'n')).take()
    }
    case 'ec': {
      const jwk = key.export({ format: 'jwk' })
      const name = curveNames[jwk.crv ?? '']
      if (name === undefined) throw new BadParameter('key', `the curve ${jwk.crv} is not one that SSH uses`)
      const point = Buffer.concat([Buffer.of(4), part(jwk, 'x'), part(jwk, 'y')])
      return new WireWriter(200).string(`ecdsa-sha2-${name}`).string(name).string(point).take()
    }
    default:
      throw new BadParameter('key', `keys of type ${key.asymmetricKeyType ?? 'secret'} are not supported`)
  }
}

const curveNames: Readonly<Record<string, string>> = { 'P-256': 'nistp256', 'P-384': 'nistp384', 'P-521': 'nistp521' }

type JwkNumber = 'n' | 'e' | 'x' | 'y' | 'd' | 'p' | 'q' | 'qi'

/** One base64url number of a JWK. */
export function part(jwk: { readonly [K in JwkNumber]?: unknown }, name: JwkNumber): Buffer {
  const value = jwk[name]
  if (typeof value !== 'string') throw new BadParameter('key', `the key has no ${name}`)
  return Buffer.from(value, 'base64url')
}

const isOdd = (magnitude: Buffer): boolean => ((magnitude.at(-1) ?? 0) & 1) === 1

/** Bits of a magnitude without leading zero bytes. */
function bitLength(magnitude: Buffer): number {
  const first = magnitude[0]
  return first === undefined ? 0 : magnitude.length * 8 - Math.clz32(first) + 24
}
