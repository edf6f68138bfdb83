/** The host key of a connection: how a server proves it holds it, and how a client reads and checks the proof. */

import { resolvePublicKeyAlgorithm } from '../certificate/algorithms.ts'
import { parseCertificate } from '../certificate/parse.ts'
import { parsePublicKey } from '../keys/public-key.ts'
import { verifySignature } from '../keys/signature.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { DisconnectReason } from './messages.ts'
import { ProtocolProblem } from './problem.ts'
import type { PresentedHostKey } from './types.ts'

const MAX_HOST_KEY_BLOB = 64 * 1024

/**
 * What the server showed, once its signature over the exchange hash holds. The negotiated algorithm, the type in the blob and
 * the algorithm in the signature must agree. Says nothing about whether the key may be trusted. Throws ProtocolProblem.
 */
export function checkHostKey(negotiated: string, blob: Buffer, signature: Buffer, hash: Buffer): PresentedHostKey {
  const algorithm = resolvePublicKeyAlgorithm(negotiated)
  if (algorithm === undefined || blob.length > MAX_HOST_KEY_BLOB)
    refuse('the server sent a host key that was not agreed on')
  const declared = new WireReader(blob).ascii(128)
  if (declared !== algorithm.blobType)
    refuse(`the server sent a ${declared} host key although ${negotiated} was agreed on`)
  const presented = parse(blob, algorithm.certificate)
  if (!verifySignature(presented.publicKey, hash, signature, algorithm.signature)) {
    refuse('the server does not hold the host key it shows: its signature is wrong')
  }
  return { ...presented, signatureAlgorithm: algorithm.signature }
}

function parse(blob: Buffer, isCertificate: boolean): Omit<PresentedHostKey, 'signatureAlgorithm'> {
  try {
    if (!isCertificate) return { publicKey: parsePublicKey(blob) }
    const certificate = parseCertificate(blob)
    return { publicKey: certificate.publicKey, certificate }
  } catch (error) {
    if (error instanceof WireError) refuse(`the host key of the server is malformed: ${error.message}`)
    throw error
  }
}

function refuse(message: string): never {
  throw new ProtocolProblem(DisconnectReason.KEY_EXCHANGE_FAILED, message)
}
