/** The binary inside `-----BEGIN OPENSSH PRIVATE KEY-----` (OpenSSH PROTOCOL.key), and the private fields agents exchange. */

import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from 'node:crypto'
import { BadParameter } from '../../errors/errors.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { curveOf, isKeyType } from './algorithms.ts'
import { parsePublicKey, part, publicKeyFromKeyObject } from './public-key.ts'
import type { KeyType, PublicKey } from './types.ts'

const magic = Buffer.from('openssh-key-v1\0')
const maxCommentBytes = 4096
const ed25519Pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex')

/** Throws WireError for a damaged file, BadParameter for an encrypted one or a kind of key that is not supported. */
export function decodeOpenSshKey(bytes: Buffer): { readonly key: KeyObject; readonly comment: string } {
  const reader = new WireReader(bytes)
  if (!reader.bytes(magic.length).equals(magic)) throw new WireError('it does not start with openssh-key-v1')
  const cipher = reader.ascii()
  if (cipher !== 'none') {
    const advice = "decrypt a copy of it with: ssh-keygen -p -N '' -f FILE"
    throw new BadParameter('passphrase', `encrypted OpenSSH private keys (${cipher}) are not supported; ${advice}`)
  }
  if (reader.ascii() !== 'none' || reader.string().length !== 0)
    throw new WireError('a key derivation without a cipher')
  if (reader.uint32() !== 1) throw new WireError('exactly one key per file is supported')
  const publicBlob = reader.string()
  const section = new WireReader(reader.string())
  reader.end()
  const check = section.uint32()
  if (section.uint32() !== check) throw new WireError('the check numbers differ')
  const key = readPrivateFields(section, section.ascii(128))
  const comment = section.text(maxCommentBytes)
  // OpenSSH pads to 8 bytes, PuTTY to 16 and by a whole block where none is needed.
  if (section.remaining > 16) throw new WireError('too much padding')
  for (let expected = 1; section.remaining > 0; expected++)
    if (section.byte() !== expected) throw new WireError('bad padding')
  if (!publicKeyFromKeyObject(key).blob.equals(publicBlob))
    throw new WireError('public and private half do not belong together')
  return { key, comment }
}

/** The inverse of `decodeOpenSshKey`; `check` is four random bytes. */
export function encodeOpenSshKey(key: KeyObject, publicKey: PublicKey, comment: string, check: Buffer): Buffer {
  const section = new WireWriter(2048).bytes(check).bytes(check).string(publicKey.type)
  writePrivateFields(section, key, publicKey)
  const padded = section.string(comment).take()
  const padding = Buffer.from(Array.from({ length: (8 - (padded.length % 8)) % 8 }, (_, index) => index + 1))
  return new WireWriter(4096)
    .bytes(magic)
    .string('none')
    .string('none')
    .string('')
    .uint32(1)
    .string(publicKey.blob)
    .string(Buffer.concat([padded, padding]))
    .take()
}

/**
 * Reads the fields after the type name, in key files and in agent messages. With `certified`, the public half of a certificate, the fields
 * are those that follow a certificate: what it contains already is left out. Throws WireError when they are not a key of that type,
 * BadParameter for types that are not supported.
 */
export function readPrivateFields(reader: WireReader, type: string, certified?: PublicKey): KeyObject {
  if (!isKeyType(type)) throw new BadParameter('key', `private keys of type ${type} are not supported`)
  switch (type) {
    case 'ssh-ed25519':
      return readEd25519(reader)
    case 'ecdsa-sha2-nistp256':
    case 'ecdsa-sha2-nistp384':
    case 'ecdsa-sha2-nistp521':
      return readEcdsa(certified === undefined ? reader : fieldsOf(certified), reader, type)
    case 'ssh-rsa':
      return readRsa(reader, certified)
    case 'sk-ssh-ed25519@openssh.com':
    case 'sk-ecdsa-sha2-nistp256@openssh.com':
      throw new BadParameter('key', 'security keys sign in hardware; use them through ssh-agent')
  }
}

/** The inverse of `readPrivateFields`; `certified` says that the fields follow a certificate. */
export function writePrivateFields(writer: WireWriter, key: KeyObject, publicKey: PublicKey, certified = false): void {
  const jwk = key.export({ format: 'jwk' })
  const curve = curveOf(publicKey.type)
  if (publicKey.type === 'ssh-rsa') {
    if (!certified) writer.mpint(part(jwk, 'n')).mpint(part(jwk, 'e'))
    writer.mpint(part(jwk, 'd'))
    writer.mpint(part(jwk, 'qi')).mpint(part(jwk, 'p')).mpint(part(jwk, 'q'))
  } else if (curve === undefined) {
    const point = part(jwk, 'x')
    writer.string(point).string(Buffer.concat([part(jwk, 'd'), point]))
  } else {
    const point = Buffer.concat([Buffer.of(4), part(jwk, 'x'), part(jwk, 'y')])
    if (!certified) writer.string(curve.name).string(point)
    writer.mpint(part(jwk, 'd'))
  }
}

function readEd25519(reader: WireReader): KeyObject {
  const point = reader.string(32)
  const secret = reader.string(64)
  if (secret.length !== 64 || !secret.subarray(32).equals(point))
    throw new WireError('inconsistent ed25519 private key')
  const der = Buffer.concat([ed25519Pkcs8Prefix, secret.subarray(0, 32)])
  const key = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
  if (!part(key.export({ format: 'jwk' }), 'x').equals(point)) throw new WireError('inconsistent ed25519 private key')
  return key
}

/** `open` gives curve and point, `reader` the private number. */
function readEcdsa(open: WireReader, reader: WireReader, type: KeyType): KeyObject {
  const curve = curveOf(type)
  const name = open.ascii(32)
  const point = open.string(200)
  // Through the public parser first: it knows what a point must look like.
  parsePublicKey(new WireWriter(200).string(type).string(name).string(point).take())
  const size = curve?.size ?? 0
  const secret = reader.mpint(size * 8)
  if (curve === undefined || secret.length > size) throw new WireError('ECDSA private number is too large')
  const d = Buffer.concat([Buffer.alloc(size - secret.length), secret])
  return importJwk({
    kty: 'EC',
    crv: curve.jwk,
    x: point.toString('base64url', 1, 1 + size),
    y: point.toString('base64url', 1 + size),
    d: d.toString('base64url'),
  })
}

function readRsa(reader: WireReader, certified: PublicKey | undefined): KeyObject {
  const open = certified === undefined ? undefined : fieldsOf(certified)
  // A public blob says e before n, a private key n before e.
  const first = number(open ?? reader)
  const second = number(open ?? reader)
  const [n, e] = open === undefined ? [first, second] : [second, first]
  const [d, qi, p, q] = [number(reader), number(reader), number(reader), number(reader)]
  parsePublicKey(new WireWriter(1100).string('ssh-rsa').mpint(e).mpint(n).take())
  const [dn, pn, qn] = [bigint(d), bigint(p), bigint(q)]
  if (pn < 3n || qn < 3n || pn * qn !== bigint(n)) throw new WireError('inconsistent RSA private key')
  return importJwk({
    kty: 'RSA',
    n: n.toString('base64url'),
    e: e.toString('base64url'),
    d: d.toString('base64url'),
    p: p.toString('base64url'),
    q: q.toString('base64url'),
    dp: magnitude(dn % (pn - 1n)).toString('base64url'),
    dq: magnitude(dn % (qn - 1n)).toString('base64url'),
    qi: qi.toString('base64url'),
  })
}

/** OpenSSL does not compare the halves of such a key; one signature made and verified does. */
function importJwk(jwk: Record<string, string>): KeyObject {
  const probe = Buffer.from('probe')
  try {
    const key = createPrivateKey({ key: jwk, format: 'jwk' })
    if (verify('sha512', probe, createPublicKey(key), sign('sha512', probe, key))) return key
  } catch (error) {
    throw new WireError('the private key material is not a valid key', { cause: error })
  }
  throw new WireError('public and private half do not belong together')
}

/** The fields of a public key, behind its type name. */
function fieldsOf(key: PublicKey): WireReader {
  const reader = new WireReader(key.blob)
  reader.string()
  return reader
}

const number = (reader: WireReader): Buffer => reader.mpint(8192)
const bigint = (bytes: Buffer): bigint => (bytes.length === 0 ? 0n : BigInt(`0x${bytes.toString('hex')}`))
const magnitude = (value: bigint): Buffer => {
  const hex = value.toString(16)
  return Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex')
}
