/** USERAUTH_REQUEST on the wire (RFC 4252), and what a public key proof signs. */

import { resolvePublicKeyAlgorithm } from '../certificate/algorithms.ts'
import { parseCertificate } from '../certificate/parse.ts'
import type { Certificate } from '../certificate/types.ts'
import { parsePublicKey } from '../keys/public-key.ts'
import type { PublicKey, SignatureAlgorithm } from '../keys/types.ts'
import { Message } from '../transport/messages.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'

export const CONNECTION_SERVICE = 'ssh-connection'
export const USERAUTH_SERVICE = 'ssh-userauth'
/** OpenSSH PROTOCOL 3.1: the proof also names the host key, so that it is worth nothing on another server. */
export const HOSTBOUND = 'publickey-hostbound-v00@openssh.com'

const MAX_USER = 256
const MAX_PASSWORD = 4096
const MAX_KEY_BLOB = 256 * 1024
const MAX_SIGNATURE = 8192

export type ParsedRequest = { readonly user: string; readonly service: string } & (
  | { readonly method: 'none' }
  | { readonly method: 'password'; readonly password: string; readonly change: boolean }
  | PublicKeyRequest
  | { readonly method: 'unknown'; readonly name: string }
)

export interface PublicKeyRequest {
  readonly method: 'publickey'
  readonly algorithm: string
  readonly blob: Buffer
  /** Only in hostbound requests. */
  readonly hostKey: Buffer | undefined
  readonly signature: Buffer | undefined
  /** What the signature covers, apart from the session id: the request itself as it was sent. */
  readonly signedPart: Buffer
}

/** Reads the payload of a USERAUTH_REQUEST. Throws WireError. */
export function parseRequest(payload: Buffer): ParsedRequest {
  const reader = new WireReader(payload, 1)
  const user = reader.text(MAX_USER)
  const service = reader.ascii(64)
  const method = reader.ascii(64)
  // They would travel into logs and records.
  if (/\p{Cc}/u.test(user)) throw new WireError('control character in a user name')
  switch (method) {
    case 'none':
      reader.end()
      return { user, service, method }
    case 'password': {
      const change = reader.boolean()
      const password = reader.text(MAX_PASSWORD)
      if (change) reader.text(MAX_PASSWORD)
      reader.end()
      return { user, service, method, password, change }
    }
    case 'publickey':
    case HOSTBOUND:
      return { user, service, ...parsePublicKeyRequest(payload, reader, method === HOSTBOUND) }
    default:
      return { user, service, method: 'unknown', name: method }
  }
}

function parsePublicKeyRequest(payload: Buffer, reader: WireReader, hostbound: boolean): PublicKeyRequest {
  const signed = reader.boolean()
  const algorithm = reader.ascii(128)
  const blob = reader.string(MAX_KEY_BLOB)
  const hostKey = hostbound ? reader.string(MAX_KEY_BLOB) : undefined
  const signedPart = payload.subarray(0, reader.offset)
  const signature = signed ? reader.string(MAX_SIGNATURE) : undefined
  reader.end()
  return { method: 'publickey', algorithm, blob, hostKey, signature, signedPart }
}

export interface OfferedKey {
  readonly publicKey: PublicKey
  readonly certificate: Certificate | undefined
  readonly signatureAlgorithm: SignatureAlgorithm
}

/**
 * The key a request offers. Undefined unless the advertised algorithm is one we know and the blob is of exactly the type it
 * stands for; `verifySignature` then ties the signature to the same algorithm.
 */
export function offeredKey(request: PublicKeyRequest): OfferedKey | undefined {
  const algorithm = resolvePublicKeyAlgorithm(request.algorithm)
  if (algorithm === undefined) return undefined
  try {
    if (new WireReader(request.blob).ascii(128) !== algorithm.blobType) return undefined
    const signatureAlgorithm = algorithm.signature
    if (!algorithm.certificate) {
      return { publicKey: parsePublicKey(request.blob), certificate: undefined, signatureAlgorithm }
    }
    const certificate = parseCertificate(request.blob)
    return { publicKey: certificate.publicKey, certificate, signatureAlgorithm }
  } catch (error) {
    if (error instanceof WireError) return undefined
    throw error
  }
}

/** RFC 4252 section 7: the session id ties the proof to this connection. */
export function signedData(sessionId: Buffer, signedPart: Buffer): Buffer {
  return new WireWriter(sessionId.length + signedPart.length + 4).string(sessionId).bytes(signedPart).take()
}

/** The part of a public key request before the signature. `hostKey` makes it a hostbound one. */
export function publicKeyRequest(
  user: string,
  algorithm: string,
  blob: Buffer,
  hostKey: Buffer | undefined,
  signed: boolean,
): Buffer {
  const writer = new WireWriter(blob.length + 512)
    .byte(Message.USERAUTH_REQUEST)
    .string(user)
    .string(CONNECTION_SERVICE)
    .string(hostKey === undefined ? 'publickey' : HOSTBOUND)
    .boolean(signed)
    .string(algorithm)
    .string(blob)
  if (hostKey !== undefined) writer.string(hostKey)
  return writer.take()
}

export function passwordRequest(user: string, password: string): Buffer {
  return new WireWriter(256)
    .byte(Message.USERAUTH_REQUEST)
    .string(user)
    .string(CONNECTION_SERVICE)
    .string('password')
    .boolean(false)
    .string(password)
    .take()
}
