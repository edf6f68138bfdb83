/** A security key in software, for tests: what a browser would send, and what a thief or a wrong page would. */

import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from 'node:crypto'
import type { Assertion, Attestation } from '../../api/mfa-model.ts'

const base64url = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64url')
const sha256 = (data: Uint8Array | string): Buffer => createHash('sha256').update(data).digest()

/** The few kinds of CBOR that a key needs (RFC 8949): small integers, byte strings, texts, maps. */
function cbor(value: number | Uint8Array | string | ReadonlyMap<number | string, unknown>): Buffer {
  const head = (major: number, size: number): Buffer => {
    if (size < 24) return Buffer.from([(major << 5) | size])
    if (size < 256) return Buffer.from([(major << 5) | 24, size])
    return Buffer.from([(major << 5) | 25, size >> 8, size & 255])
  }
  if (typeof value === 'number') return value >= 0 ? head(0, value) : head(1, -1 - value)
  if (typeof value === 'string') return Buffer.concat([head(3, Buffer.byteLength(value)), Buffer.from(value)])
  if (value instanceof Uint8Array) return Buffer.concat([head(2, value.length), value])
  const entries = [...value].flatMap(([key, item]) => [cbor(key), cbor(item as Parameters<typeof cbor>[0])])
  return Buffer.concat([head(5, value.size), ...entries])
}

export interface Lie {
  readonly origin?: string
  readonly rpId?: string
  readonly counter?: number
  readonly challenge?: string
}

export class SoftKey {
  readonly credentialId: Buffer = randomBytes(32)
  counter = 0
  readonly #key: { readonly publicKey: KeyObject; readonly privateKey: KeyObject }
  readonly #origin: string

  constructor(origin: string) {
    this.#origin = origin
    this.#key = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  }

  #data(type: 'webauthn.create' | 'webauthn.get', challenge: string, lie: Lie): Buffer {
    const origin = lie.origin ?? this.#origin
    return Buffer.from(JSON.stringify({ type, challenge: lie.challenge ?? challenge, origin, crossOrigin: false }))
  }

  #authenticator(rpId: string, flags: number, lie: Lie): Buffer {
    const counter = Buffer.alloc(4)
    this.counter++
    counter.writeUInt32BE(lie.counter ?? this.counter)
    return Buffer.concat([sha256(lie.rpId ?? rpId), Buffer.from([flags]), counter])
  }

  create(options: { challenge: string; rp?: unknown }, lie: Lie = {}): Attestation {
    const rpId = (options.rp as { id: string }).id
    const { x = '', y = '' } = this.#key.publicKey.export({ format: 'jwk' })
    const cose = cbor(
      new Map<number, unknown>([
        [1, 2],
        [3, -7],
        [-1, 1],
        [-2, Buffer.from(x, 'base64url')],
        [-3, Buffer.from(y, 'base64url')],
      ]),
    )
    const size = Buffer.from([0, this.credentialId.length])
    // Present, and a new key is attached.
    const authData = Buffer.concat([
      this.#authenticator(rpId, 0x41, lie),
      Buffer.alloc(16),
      size,
      this.credentialId,
      cose,
    ])
    const object = cbor(
      new Map<string, unknown>([
        ['fmt', 'none'],
        ['attStmt', new Map()],
        ['authData', authData],
      ]),
    )
    return {
      id: base64url(this.credentialId),
      rawId: base64url(this.credentialId),
      type: 'public-key',
      response: {
        clientDataJSON: base64url(this.#data('webauthn.create', options.challenge, lie)),
        attestationObject: base64url(object),
        transports: ['usb'],
      },
    }
  }

  get(options: { challenge: string; rpId: string }, lie: Lie = {}): Assertion {
    const data = this.#data('webauthn.get', options.challenge, lie)
    const authData = this.#authenticator(options.rpId, 0x01, lie)
    const signature = sign('sha256', Buffer.concat([authData, sha256(data)]), this.#key.privateKey)
    return {
      id: base64url(this.credentialId),
      rawId: base64url(this.credentialId),
      type: 'public-key',
      response: {
        clientDataJSON: base64url(data),
        authenticatorData: base64url(authData),
        signature: base64url(signature),
      },
    }
  }
}
