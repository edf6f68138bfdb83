/** The request that hands a private key to an agent (draft-miller-ssh-agent section 4.2), written and read. */

import { BadParameter } from '../../errors/errors.ts'
import { isCertificateAlgorithm, plainKeyType } from '../certificate/algorithms.ts'
import { parseCertificate } from '../certificate/parse.ts'
import { readPrivateFields, writePrivateFields } from '../keys/openssh-private-key.ts'
import { keyObjectOf, privateKeyFromKeyObject } from '../keys/private-key.ts'
import { equalKeys } from '../keys/public-key.ts'
import { WireError, type WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { agentMessage, constrainLifetime } from './messages.ts'
import type { NewIdentity } from './types.ts'

const maxCommentBytes = 4096

/** Throws BadParameter when the certificate is not for this key, or when the key cannot be exported. */
export function encodeAddIdentity({ key, certificate, comment, lifetimeSeconds }: NewIdentity): Buffer {
  const writer = new WireWriter(2048)
  writer.byte(lifetimeSeconds === undefined ? agentMessage.addIdentity : agentMessage.addIdentityConstrained)
  if (certificate === undefined) {
    writer.string(key.publicKey.type)
  } else {
    if (!equalKeys(certificate.publicKey, key.publicKey)) {
      throw new BadParameter('certificate', 'the certificate is for another key')
    }
    writer.string(certificate.algorithm).string(certificate.blob)
  }
  writePrivateFields(writer, keyObjectOf(key), key.publicKey, certificate !== undefined)
  writer.string(comment ?? key.comment)
  if (lifetimeSeconds !== undefined) writer.byte(constrainLifetime).uint32(lifetimeSeconds)
  return writer.take()
}

/**
 * Reads the request behind its message number. Throws WireError or BadParameter. Constraints other than a lifetime (confirmation,
 * destinations) are refused: keeping a key without enforcing them would be a lie.
 */
export function decodeAddIdentity(reader: WireReader, constrained: boolean): NewIdentity {
  const type = reader.ascii(128)
  const certificate = isCertificateAlgorithm(type) ? parseCertificate(reader.string()) : undefined
  if (certificate !== undefined && certificate.algorithm !== type) throw new WireError('certificate of another type')
  const plain = isCertificateAlgorithm(type) ? plainKeyType(type) : type
  const keyObject = readPrivateFields(reader, plain, certificate?.publicKey)
  const comment = reader.text(maxCommentBytes)
  const lifetimeSeconds = constrained ? readConstraints(reader) : undefined
  reader.end()
  const key = privateKeyFromKeyObject(keyObject, comment)
  if (certificate !== undefined && !equalKeys(certificate.publicKey, key.publicKey)) {
    throw new WireError('the certificate is for another key')
  }
  return { key, certificate, comment, lifetimeSeconds }
}

function readConstraints(reader: WireReader): number | undefined {
  let lifetime: number | undefined
  while (reader.remaining > 0) {
    const kind = reader.byte()
    if (kind !== constrainLifetime) throw new BadParameter('constraint', `the constraint ${kind} is not supported`)
    if (lifetime !== undefined) throw new WireError('two lifetimes')
    lifetime = reader.uint32()
    if (lifetime === 0) throw new BadParameter('constraint', 'a lifetime of 0 seconds')
  }
  return lifetime
}
