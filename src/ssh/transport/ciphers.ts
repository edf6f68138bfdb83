/**
 * Packet protection: how one packet is sealed and opened. Nothing of a packet is used before its integrity was checked, the
 * length alone excepted, which is bounded by the reader.
 */

import {
  type Cipheriv,
  createCipheriv,
  createDecipheriv,
  createHmac,
  createMac,
  createSecretKey,
  type Decipheriv,
  type KeyObject,
  timingSafeEqual,
} from 'node:crypto'
import { isAead } from './algorithms.ts'
import { type DirectionKeys, macSpecs } from './cipher-specs.ts'
import { DisconnectReason } from './messages.ts'
import { ProtocolProblem } from './problem.ts'
import type { CipherAlgorithm, MacAlgorithm } from './types.ts'

/** A sealed packet in the order of the wire. `header` may share memory with the input; `body` is fresh. */
export interface Sealed {
  readonly header: Buffer
  readonly body: Buffer
  readonly tag: Buffer
}

export interface Sealer {
  /** What the padding aligns to, bytes. */
  readonly blockSize: number
  /** Bytes of the length field that count for the alignment: 4 without encryption, else 0. */
  readonly alignedHeader: 0 | 4
  /** `packet` is `uint32 length, byte padding length, payload, padding`. */
  seal(packet: Buffer, sequence: number): Sealed
}

export interface Opener {
  readonly blockSize: number
  readonly alignedHeader: 0 | 4
  readonly tagSize: number
  /** The packet length of a header of 4 bytes. Not authenticated yet. */
  length(header: Buffer, sequence: number): number
  /** `packet` is header, body and tag. Returns `byte padding length, payload, padding`. Throws ProtocolProblem. */
  open(packet: Buffer, sequence: number): Buffer
}

const HEADER = 4
const EMPTY = Buffer.alloc(0)
const AEAD_OPTIONS = { authTagLength: 16 } as const

function corrupt(): never {
  throw new ProtocolProblem(
    DisconnectReason.MAC_ERROR,
    'a packet failed its integrity check: the data was changed on its way',
  )
}

const readHeader = (header: Buffer): number => header.readUInt32BE(0)

export const plainSealer: Sealer = {
  blockSize: 8,
  alignedHeader: HEADER,
  seal: (packet) => ({ header: packet.subarray(0, HEADER), body: Buffer.from(packet.subarray(HEADER)), tag: EMPTY }),
}

export const plainOpener: Opener = {
  blockSize: 8,
  alignedHeader: HEADER,
  tagSize: 0,
  length: readHeader,
  // Copied, because a payload is its handler's to keep and the packet may lie in a buffer that is used again.
  open: (packet) => Buffer.from(packet.subarray(HEADER)),
}

/** RFC 5647 section 7.1: the last 8 bytes of the nonce count packets. */
class GcmNonce {
  readonly bytes: Buffer
  constructor(iv: Buffer) {
    this.bytes = Buffer.from(iv)
  }
  increment(): void {
    for (let index = 11; index >= 4; index--) {
      const next = ((this.bytes[index] ?? 0) + 1) & 0xff
      this.bytes[index] = next
      if (next !== 0) return
    }
  }
}

type GcmName = 'aes-256-gcm' | 'aes-128-gcm'

function gcmSealer(name: GcmName, keys: DirectionKeys): Sealer {
  const nonce = new GcmNonce(keys.iv)
  const key = createSecretKey(keys.key)
  return {
    blockSize: 16,
    alignedHeader: 0,
    seal(packet) {
      const cipher = createCipheriv(name, key, nonce.bytes, AEAD_OPTIONS)
      nonce.increment()
      const header = packet.subarray(0, HEADER)
      cipher.setAAD(header)
      const body = cipher.update(packet.subarray(HEADER))
      cipher.final()
      return { header, body, tag: cipher.getAuthTag() }
    },
  }
}

function gcmOpener(name: GcmName, keys: DirectionKeys): Opener {
  const nonce = new GcmNonce(keys.iv)
  const key = createSecretKey(keys.key)
  return {
    blockSize: 16,
    alignedHeader: 0,
    tagSize: 16,
    length: readHeader,
    open(packet) {
      const decipher = createDecipheriv(name, key, nonce.bytes, AEAD_OPTIONS)
      nonce.increment()
      const end = packet.length - 16
      decipher.setAAD(packet.subarray(0, HEADER))
      decipher.setAuthTag(packet.subarray(end))
      const body = decipher.update(packet.subarray(HEADER, end))
      try {
        decipher.final()
      } catch {
        corrupt()
      }
      return body
    },
  }
}

const ZERO_BLOCK = Buffer.alloc(64)

/** OpenSSH PROTOCOL.chacha20poly1305: two keys; the sequence number is the nonce; block 0 of the main key gives the Poly1305 key. */
class ChaChaPoly {
  readonly #main: KeyObject
  readonly #header: KeyObject
  /** OpenSSL's layout: 8 bytes block counter, 8 bytes nonce. */
  readonly #nonce = Buffer.alloc(16)

  constructor(keys: DirectionKeys) {
    this.#main = createSecretKey(keys.key.subarray(0, 32))
    this.#header = createSecretKey(keys.key.subarray(32, 64))
  }

  header(bytes: Buffer, sequence: number): Buffer {
    this.#nonce.writeUInt32BE(sequence, 12)
    return createCipheriv('chacha20', this.#header, this.#nonce).update(bytes)
  }

  /** The stream for the body, positioned at block 1, and the authenticator's key. */
  body(sequence: number): { readonly stream: Cipheriv; readonly polyKey: Buffer } {
    this.#nonce.writeUInt32BE(sequence, 12)
    const stream = createCipheriv('chacha20', this.#main, this.#nonce)
    return { polyKey: stream.update(ZERO_BLOCK).subarray(0, 32), stream }
  }
}

function chachaSealer(keys: DirectionKeys): Sealer {
  const chacha = new ChaChaPoly(keys)
  return {
    blockSize: 8,
    alignedHeader: 0,
    seal(packet, sequence) {
      const header = chacha.header(packet.subarray(0, HEADER), sequence)
      const { stream, polyKey } = chacha.body(sequence)
      const body = stream.update(packet.subarray(HEADER))
      return { header, body, tag: createMac('poly1305', polyKey).update(header).update(body).final() }
    },
  }
}

function chachaOpener(keys: DirectionKeys): Opener {
  const chacha = new ChaChaPoly(keys)
  return {
    blockSize: 8,
    alignedHeader: 0,
    tagSize: 16,
    length: (header, sequence) => readHeader(chacha.header(header, sequence)),
    open(packet, sequence) {
      const { stream, polyKey } = chacha.body(sequence)
      const end = packet.length - 16
      const tag = createMac('poly1305', polyKey).update(packet.subarray(0, end)).final()
      if (!timingSafeEqual(tag, packet.subarray(end))) corrupt()
      return stream.update(packet.subarray(HEADER, end))
    },
  }
}

function hmac(mac: MacAlgorithm, keys: DirectionKeys): (sequence: number, ...parts: Buffer[]) => Buffer {
  const key = createSecretKey(keys.macKey)
  const prefix = Buffer.alloc(4)
  return (sequence, ...parts) => {
    prefix.writeUInt32BE(sequence)
    const digest = createHmac(macSpecs[mac].hash, key).update(prefix)
    for (const part of parts) digest.update(part)
    return digest.digest()
  }
}

type CtrName = 'aes-256-ctr' | 'aes-192-ctr' | 'aes-128-ctr'

function ctrSealer(name: CtrName, mac: MacAlgorithm, keys: DirectionKeys): Sealer {
  const stream: Cipheriv = createCipheriv(name, keys.key, keys.iv)
  const authenticate = hmac(mac, keys)
  return {
    blockSize: 16,
    alignedHeader: 0,
    seal(packet, sequence) {
      const header = packet.subarray(0, HEADER)
      const body = stream.update(packet.subarray(HEADER))
      return { header, body, tag: authenticate(sequence, header, body) }
    },
  }
}

function ctrOpener(name: CtrName, mac: MacAlgorithm, keys: DirectionKeys): Opener {
  const stream: Decipheriv = createDecipheriv(name, keys.key, keys.iv)
  const authenticate = hmac(mac, keys)
  const tagSize = macSpecs[mac].keySize
  return {
    blockSize: 16,
    alignedHeader: 0,
    tagSize,
    length: readHeader,
    open(packet, sequence) {
      const end = packet.length - tagSize
      const tag = authenticate(sequence, packet.subarray(0, end))
      if (!timingSafeEqual(tag, packet.subarray(end))) corrupt()
      return stream.update(packet.subarray(HEADER, end))
    },
  }
}

const gcmNames: Readonly<Partial<Record<CipherAlgorithm, GcmName>>> = {
  'aes256-gcm@openssh.com': 'aes-256-gcm',
  'aes128-gcm@openssh.com': 'aes-128-gcm',
}
const ctrNames: Readonly<Partial<Record<CipherAlgorithm, CtrName>>> = {
  'aes256-ctr': 'aes-256-ctr',
  'aes192-ctr': 'aes-192-ctr',
  'aes128-ctr': 'aes-128-ctr',
}

function needMac(cipher: CipherAlgorithm, mac: MacAlgorithm | undefined): MacAlgorithm {
  if (mac === undefined || isAead(cipher)) throw new Error(`cipher ${cipher} without the MAC it needs`)
  return mac
}

export function createSealer(cipher: CipherAlgorithm, mac: MacAlgorithm | undefined, keys: DirectionKeys): Sealer {
  const gcm = gcmNames[cipher]
  if (gcm !== undefined) return gcmSealer(gcm, keys)
  const ctr = ctrNames[cipher]
  if (ctr !== undefined) return ctrSealer(ctr, needMac(cipher, mac), keys)
  return chachaSealer(keys)
}

export function createOpener(cipher: CipherAlgorithm, mac: MacAlgorithm | undefined, keys: DirectionKeys): Opener {
  const gcm = gcmNames[cipher]
  if (gcm !== undefined) return gcmOpener(gcm, keys)
  const ctr = ctrNames[cipher]
  if (ctr !== undefined) return ctrOpener(ctr, needMac(cipher, mac), keys)
  return chachaOpener(keys)
}
