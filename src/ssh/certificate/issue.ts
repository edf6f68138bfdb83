/** Makes certificates (OpenSSH PROTOCOL.certkeys). */

import type { Env } from '../../common/env.ts'
import { BadParameter } from '../../errors/errors.ts'
import type { PrivateKey, PublicKey, Signer } from '../keys/types.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import { certificateAlgorithmOf } from './algorithms.ts'
import { maxKeyIdBytes, maxPrincipals, parseCertificate } from './parse.ts'
import type { Certificate, CertificateTemplate } from './types.ts'

/** Signs with any signer, an agent included. Throws BadParameter for a template that would make a certificate we refuse. */
export async function issueCertificate(template: CertificateTemplate, signer: Signer, env: Env): Promise<Certificate> {
  const signed = encodeTemplate(template, signer.publicKey, env)
  return finish(signed, await signer.sign(signed))
}

/** The same with a key in memory, without a promise. */
export function issueCertificateSync(template: CertificateTemplate, key: PrivateKey, env: Env): Certificate {
  const signed = encodeTemplate(template, key.publicKey, env)
  return finish(signed, key.signSync(signed))
}

function finish(signed: Buffer, signature: Buffer): Certificate {
  return parseCertificate(new WireWriter(signed.length + signature.length + 4).bytes(signed).string(signature).take())
}

function encodeTemplate(template: CertificateTemplate, authority: PublicKey, env: Env): Buffer {
  checkTemplate(template)
  const { publicKey } = template
  const body = new WireReader(publicKey.blob)
  body.string()
  return new WireWriter(1024)
    .string(certificateAlgorithmOf(publicKey.type))
    .string(env.randomBytes(32))
    .bytes(body.rest())
    .uint64(template.serial ?? env.randomBytes(8).readBigUInt64BE())
    .uint32(template.type === 'user' ? 1 : 2)
    .string(template.keyId)
    .string(strings(template.principals))
    .uint64(seconds(template.validAfter))
    .uint64(seconds(template.validBefore))
    .string(options(template.criticalOptions ?? {}))
    .string(options(template.extensions ?? {}))
    .string('')
    .string(authority.blob)
    .take()
}

function checkTemplate(template: CertificateTemplate): void {
  const { keyId, principals, validAfter, validBefore } = template
  if (Buffer.byteLength(keyId) > maxKeyIdBytes || keyId.includes('\0')) {
    throw new BadParameter('keyId', `the key id must be at most ${maxKeyIdBytes} bytes without NUL`)
  }
  if (principals.length === 0) throw new BadParameter('principals', 'a certificate needs at least one principal')
  if (principals.length > maxPrincipals) {
    throw new BadParameter('principals', `${principals.length} principals, at most ${maxPrincipals} allowed`)
  }
  for (const principal of principals) {
    // A comma or a blank inside one name is read as several names by other verifiers (CVE-2026-35414).
    if (!/^[^\s,\p{Cc}]{1,255}$/u.test(principal)) {
      throw new BadParameter('principals', `${JSON.stringify(principal)} cannot be a principal`)
    }
  }
  if (!(validAfter.getTime() >= 0 && validBefore.getTime() > validAfter.getTime())) {
    throw new BadParameter('validBefore', 'the validity of a certificate must start before it ends')
  }
}

/** Whole seconds, rounded down: a certificate never outlives what was asked for. */
const seconds = (date: Date): bigint => BigInt(Math.floor(date.getTime() / 1000))

function strings(values: readonly string[]): Buffer {
  const writer = new WireWriter(256)
  for (const value of values) writer.string(value)
  return writer.take()
}

/** Names in byte order, as PROTOCOL.certkeys demands. */
function options(values: Readonly<Record<string, string>>): Buffer {
  const writer = new WireWriter(256)
  const sorted = Object.entries(values).sort(([a], [b]) => (a < b ? -1 : 1))
  for (const [name, value] of sorted) {
    if (!/^[\x21-\x7e]{1,1024}$/.test(name))
      throw new BadParameter('option', `${JSON.stringify(name)} cannot be an option`)
    writer.string(name).string(value === '' ? '' : strings([value]))
  }
  return writer.take()
}
