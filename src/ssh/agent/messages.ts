/** Message numbers and framing of the agent protocol (draft-miller-ssh-agent sections 4 and 5), for both sides. */

import type { Readable } from 'node:stream'
import { isCertificateAlgorithm } from '../certificate/algorithms.ts'
import { parseCertificate } from '../certificate/parse.ts'
import { isKeyType } from '../keys/algorithms.ts'
import { parsePublicKey } from '../keys/public-key.ts'
import type { SignatureAlgorithm } from '../keys/types.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import type { AgentIdentity } from './types.ts'

/** Message numbers of the agent protocol, draft-ietf-sshm-ssh-agent section 6.1. */
export const agentMessage = {
  failure: 5,
  success: 6,
  requestIdentities: 11,
  identitiesAnswer: 12,
  signRequest: 13,
  signResponse: 14,
  addIdentity: 17,
  removeIdentity: 18,
  removeAllIdentities: 19,
  addIdentityConstrained: 25,
  extension: 27,
} as const

/** The constraint that holds a lifetime, in seconds (section 6.2). */
export const constrainLifetime = 1

/** Tells the agent which connection it is used on. Source: OpenSSH's PROTOCOL.agent. */
export const sessionBindExtension = 'session-bind@openssh.com'

/** Bytes, as OpenSSH's AGENT_MAX_LEN. */
export const maxAgentMessageBytes = 262_144

/** Flags of a signature request. */
export const signFlags: Readonly<Partial<Record<SignatureAlgorithm, number>>> = { 'rsa-sha2-256': 2, 'rsa-sha2-512': 4 }

/** A message as it goes over the stream: its length, then itself. */
export function frame(message: Buffer): Buffer {
  const framed = Buffer.allocUnsafe(message.length + 4)
  framed.writeUInt32BE(message.length)
  framed.set(message, 4)
  return framed
}

/** The messages of a stream, one by one. Throws WireError for an empty or oversized one, and when the stream ends inside one. */
export async function* readMessages(stream: Readable): AsyncGenerator<Buffer, void, undefined> {
  let parts: Buffer[] = []
  let size = 0
  let wanted = 4
  let inBody = false
  // The caller closes the stream; closing it here would hide the reason behind an AbortError.
  for await (const chunk of stream.iterator({ destroyOnReturn: false })) {
    if (!Buffer.isBuffer(chunk)) throw new WireError('an agent stream must carry bytes')
    parts.push(chunk)
    size += chunk.length
    while (size >= wanted) {
      const all = parts.length === 1 && parts[0] !== undefined ? parts[0] : Buffer.concat(parts, size)
      const head = all.subarray(0, wanted)
      parts = [all.subarray(wanted)]
      size -= wanted
      if (inBody) yield head
      wanted = inBody ? 4 : checkedLength(head)
      inBody = !inBody
    }
  }
  if (size > 0 || inBody) throw new WireError('the stream ended inside a message')
}

function checkedLength(head: Buffer): number {
  const length = head.readUInt32BE()
  if (length === 0 || length > maxAgentMessageBytes) throw new WireError(`agent message of ${length} bytes`)
  return length
}

/** Reads a blob that may be a key or a certificate. Gives undefined for types that are not supported; throws WireError for damaged ones. */
export function readIdentity(bytes: Buffer, comment: string): AgentIdentity | undefined {
  const type = new WireReader(bytes).ascii(128)
  if (isKeyType(type)) {
    const publicKey = parsePublicKey(bytes)
    return { blob: publicKey.blob, publicKey, certificate: undefined, comment }
  }
  if (!isCertificateAlgorithm(type)) return undefined
  const certificate = parseCertificate(bytes)
  return { blob: certificate.blob, publicKey: certificate.publicKey, certificate, comment }
}
