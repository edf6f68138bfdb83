/**
 * Signature blobs. Algorithm confusion (SECURITY V11) ends here: the algorithm the peer advertised, the type of the key and the
 * algorithm named in the signature must all agree before any mathematics happens. SHA-1 has no name here.
 */

import { createHash, verify } from 'node:crypto'
import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { type Curve, curveOf, isSignatureAlgorithm, keyTypeOfAlgorithm } from './algorithms.ts'
import { toKeyObject } from './public-key.ts'
import type { PublicKey, SignatureAlgorithm, VerifyOptions } from './types.ts'

/** Bytes; an RSA signature of the largest key is 1 KiB. */
const maxSignatureBytes = 2048

/** Flags of a security-key signature (PROTOCOL.u2f). */
const userPresent = 0x01
const userVerified = 0x04

/**
 * True when `signatureBlob` (`string algorithm, string signature`) is a signature of `data` by `publicKey` with exactly
 * `algorithm`. A malformed blob is a false signature; this function does not throw.
 */
export function verifySignature(
  publicKey: PublicKey,
  data: Buffer,
  signatureBlob: Buffer,
  algorithm: SignatureAlgorithm,
  options: VerifyOptions = {},
): boolean {
  if (keyTypeOfAlgorithm[algorithm] !== publicKey.type) return false
  try {
    return verifyStrictly(publicKey, data, signatureBlob, algorithm, options)
  } catch (error) {
    if (error instanceof WireError) return false
    throw error
  }
}

/** The algorithm named in a signature blob. Throws WireError when it is not one we accept. */
export function signatureAlgorithmOf(signatureBlob: Buffer): SignatureAlgorithm {
  if (signatureBlob.length > maxSignatureBytes) throw new WireError(`signature of ${signatureBlob.length} bytes`)
  const name = new WireReader(signatureBlob).ascii(128)
  if (!isSignatureAlgorithm(name)) throw new WireError(`unsupported signature algorithm ${name}`)
  return name
}

/** Wraps what `node:crypto` produced (ECDSA as IEEE P1363) into a signature blob. */
export function encodeSignature(algorithm: SignatureAlgorithm, raw: Buffer): Buffer {
  const writer = new WireWriter(raw.length + 64).string(algorithm)
  if (curveOf(keyTypeOfAlgorithm[algorithm]) === undefined) return writer.string(raw).take()
  const half = raw.length / 2
  const pair = new WireWriter(raw.length + 10).mpint(raw.subarray(0, half)).mpint(raw.subarray(half))
  return writer.string(pair.take()).take()
}

function verifyStrictly(
  publicKey: PublicKey,
  data: Buffer,
  blob: Buffer,
  algorithm: SignatureAlgorithm,
  options: VerifyOptions,
): boolean {
  if (signatureAlgorithmOf(blob) !== algorithm) return false
  const reader = new WireReader(blob)
  reader.string()
  const signature = reader.string()
  const key = toKeyObject(publicKey)
  switch (algorithm) {
    case 'ssh-ed25519':
      reader.end()
      return signature.length === 64 && verify(null, data, key, signature)
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      reader.end()
      return verifyEcdsa(publicKey, data, signature)
    case 'rsa-sha2-256':
    case 'rsa-sha2-512': {
      reader.end()
      const size = Math.ceil((publicKey.bits ?? 0) / 8)
      if (signature.length === 0 || signature.length > size) return false
      // Some signers drop leading zero bytes; OpenSSH puts them back before it verifies, so do we.
      const padded = Buffer.alloc(size)
      signature.copy(padded, size - signature.length)
      return verify(algorithm === 'rsa-sha2-256' ? 'sha256' : 'sha512', data, key, padded)
    }
    case 'sk-ssh-ed25519@openssh.com': {
      const covered = readSecurityKeyData(reader, publicKey, data, options)
      return covered !== undefined && signature.length === 64 && verify(null, covered, key, signature)
    }
    case 'sk-ecdsa-sha2-nistp256@openssh.com': {
      const covered = readSecurityKeyData(reader, publicKey, data, options)
      return covered !== undefined && verifyEcdsa(publicKey, covered, signature)
    }
  }
}

function verifyEcdsa(publicKey: PublicKey, data: Buffer, signature: Buffer): boolean {
  const curve = curveOf(publicKey.type)
  if (curve === undefined) return false
  const reader = new WireReader(signature)
  const raw = Buffer.alloc(2 * curve.size)
  copyNumber(reader, curve, raw, curve.size)
  copyNumber(reader, curve, raw, 2 * curve.size)
  reader.end()
  return verify(curve.hash, data, { key: toKeyObject(publicKey), dsaEncoding: 'ieee-p1363' }, raw)
}

/** Right-aligns one of r and s so that it ends at `end`. */
function copyNumber(reader: WireReader, curve: Curve, into: Buffer, end: number): void {
  const number = reader.mpint(curve.size * 8)
  if (number.length > curve.size) throw new WireError('ECDSA signature number is too large')
  number.copy(into, end - number.length)
}

/** Reads flags and counter and gives the bytes a security key signs, or nothing when a demanded flag is missing. */
function readSecurityKeyData(
  reader: WireReader,
  publicKey: PublicKey,
  data: Buffer,
  options: VerifyOptions,
): Buffer | undefined {
  const flags = reader.byte()
  const counter = reader.uint32()
  reader.end()
  if (options.noTouchRequired !== true && (flags & userPresent) === 0) return undefined
  if (options.verifyRequired === true && (flags & userVerified) === 0) return undefined
  return new WireWriter(72)
    .bytes(
      createHash('sha256')
        .update(publicKey.application ?? '')
        .digest(),
    )
    .byte(flags)
    .uint32(counter)
    .bytes(createHash('sha256').update(data).digest())
    .take()
}
