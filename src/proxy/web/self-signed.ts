/**
 * The certificate that a proxy makes for itself at its first start, so that HTTPS works before anybody has bought one.
 * Written out in DER by hand: it is one fixed shape (RFC 5280), and a certificate library would be the slowest thing a proxy loads.
 */

import { generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import { isIP, isIPv6 } from 'node:net'

export interface SelfSigned {
  /** PEM, PKCS #8. */
  readonly key: string
  /** PEM. */
  readonly certificate: string
}

/** 825 days: the longest lifetime that clients of every kind accept from a certificate they were told to trust. */
export const selfSignedDays = 825

/**
 * A self-signed ECDSA P-256 server certificate for these DNS names and IP addresses, valid from an hour before `now`.
 * Every browser knows P-256; Ed25519 they do not. Throws RangeError when no name is given.
 */
export function makeSelfSigned(names: readonly string[], now: Date): SelfSigned {
  if (names.length === 0) throw new RangeError('a certificate needs a name')
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const subject = commonName('Teleport proxy')
  const notBefore = new Date(now.getTime() - 3_600_000)
  const notAfter = new Date(now.getTime() + selfSignedDays * 86_400_000)
  const body = sequence(
    tagged(0xa0, integer(Buffer.of(2))),
    integer(positiveSerial()),
    ecdsaWithSha256,
    subject,
    sequence(time(notBefore), time(notAfter)),
    subject,
    spki(publicKey),
    tagged(
      0xa3,
      sequence(
        extension(oid(2, 5, 29, 19), true, sequence()), // basicConstraints: not an authority
        extension(oid(2, 5, 29, 15), true, bitString(Buffer.of(0x80), 7)), // keyUsage: digitalSignature
        extension(oid(2, 5, 29, 37), false, sequence(oid(1, 3, 6, 1, 5, 5, 7, 3, 1))), // serverAuth
        extension(oid(2, 5, 29, 17), false, sequence(...names.map(generalName))),
      ),
    ),
  )
  const certificate = sequence(body, ecdsaWithSha256, bitString(sign('sha256', body, privateKey), 0))
  return {
    key: String(privateKey.export({ type: 'pkcs8', format: 'pem' })),
    certificate: pem('CERTIFICATE', certificate),
  }
}

function der(tag: number, content: Buffer): Buffer {
  const { length } = content
  if (length < 0x80) return Buffer.concat([Buffer.of(tag, length), content])
  if (length < 0x100) return Buffer.concat([Buffer.of(tag, 0x81, length), content])
  return Buffer.concat([Buffer.of(tag, 0x82, length >> 8, length & 0xff), content])
}

const tagged = (tag: number, ...parts: readonly Buffer[]): Buffer => der(tag, Buffer.concat(parts))
const sequence = (...parts: readonly Buffer[]): Buffer => tagged(0x30, ...parts)
const integer = (bytes: Buffer): Buffer => der(0x02, bytes)
const bitString = (bytes: Buffer, unusedBits: number): Buffer => tagged(0x03, Buffer.of(unusedBits), bytes)
const spki = (key: KeyObject): Buffer => key.export({ type: 'spki', format: 'der' })

function oid(first: number, second: number, ...rest: readonly number[]): Buffer {
  const bytes = [first * 40 + second]
  for (const part of rest) {
    const groups = [part & 0x7f]
    for (let left = part >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80)
    bytes.push(...groups)
  }
  return der(0x06, Buffer.from(bytes))
}

const ecdsaWithSha256 = sequence(oid(1, 2, 840, 10045, 4, 3, 2))

/** 127 random bits with the top one set: positive, and never with a leading zero that DER forbids. */
function positiveSerial(): Buffer {
  const bytes = randomBytes(16)
  bytes[0] = ((bytes[0] ?? 0) & 0x3f) | 0x40
  return bytes
}

const commonName = (name: string): Buffer =>
  sequence(tagged(0x31, sequence(oid(2, 5, 4, 3), der(0x0c, Buffer.from(name)))))

/** GeneralizedTime from 2050 on, UTCTime before (RFC 5280 section 4.1.2.5). */
function time(date: Date): Buffer {
  const digits = date.toISOString().replace(/[-:T]|\.\d+/g, '')
  return date.getUTCFullYear() < 2050
    ? der(0x17, Buffer.from(digits.slice(2), 'latin1'))
    : der(0x18, Buffer.from(digits, 'latin1'))
}

const extension = (id: Buffer, critical: boolean, value: Buffer): Buffer =>
  sequence(id, ...(critical ? [der(0x01, Buffer.of(0xff))] : []), der(0x04, value))

const generalName = (name: string): Buffer =>
  isIP(name) === 0 ? der(0x82, Buffer.from(name, 'latin1')) : der(0x87, addressBytes(name))

/** An IP address as network bytes. */
function addressBytes(address: string): Buffer {
  if (!isIPv6(address)) return Buffer.from(address.split('.').map(Number))
  const plain = new URL(`http://[${address}]`).hostname.slice(1, -1)
  const [head = '', tail] = plain.split('::')
  const left = head === '' ? [] : head.split(':')
  const right = tail === undefined || tail === '' ? [] : tail.split(':')
  const middle = new Array<string>(8 - left.length - right.length).fill('0')
  const bytes = Buffer.alloc(16)
  for (const [index, group] of [...left, ...middle, ...right].entries()) {
    bytes.writeUInt16BE(Number.parseInt(group, 16), index * 2)
  }
  return bytes
}

function pem(label: string, bytes: Buffer): string {
  const lines = bytes.toString('base64').match(/.{1,64}/g) ?? []
  return [`-----BEGIN ${label}-----`, ...lines, `-----END ${label}-----`, ''].join('\n')
}
