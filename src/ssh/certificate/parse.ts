/**
 * Reads certificates (OpenSSH PROTOCOL.certkeys). Parsing proves nothing about who signed: that is `verifyCertificate`.
 * The authority's key is judged by its type name before anything of it is read, so certificates cannot nest (SECURITY V12).
 */

import { isKeyType } from '../keys/algorithms.ts'
import { parsePublicKey, readKeyBody } from '../keys/public-key.ts'
import { signatureAlgorithmOf } from '../keys/signature.ts'
import type { PublicKey } from '../keys/types.ts'
import { WireError, WireReader } from '../wire/reader.ts'
import { isCertificateAlgorithm, plainKeyType } from './algorithms.ts'
import type { Certificate, CertificateType } from './types.ts'

/** Bytes. */
export const maxCertificateBytes = 262_144
/** Bytes. */
export const maxKeyIdBytes = 65_536
/** As OpenSSH. */
export const maxPrincipals = 256
const maxPrincipalBytes = 4096
const maxOptions = 256
const maxOptionNameBytes = 1024
const maxOptionBytes = 65_536

/** Flags of OpenSSH: the name says everything, so a content is a forgery or a mistake (OpenSSH refuses it as corrupt). */
const flagExtensions = new Set([
  'no-touch-required',
  'permit-X11-forwarding',
  'permit-agent-forwarding',
  'permit-port-forwarding',
  'permit-pty',
  'permit-user-rc',
])
const flagCriticalOptions = new Set(['verify-required'])

/**
 * Reads one certificate and keeps a copy of it. Throws WireError for anything that is not exactly one: trailing bytes, options that
 * repeat (OpenSSH does not demand an order of them, neither do we), texts with a NUL, unknown types, and all limits above.
 */
export function parseCertificate(bytes: Buffer): Certificate {
  if (bytes.length > maxCertificateBytes) throw new WireError(`certificate of ${bytes.length} bytes`)
  const blob = Buffer.from(bytes)
  const reader = new WireReader(blob)
  const algorithm = reader.ascii(128)
  if (!isCertificateAlgorithm(algorithm)) throw new WireError(`${algorithm} is not a certificate type`)
  const keyType = plainKeyType(algorithm)
  reader.string(maxOptionBytes) // nonce: random bytes that only make the signed text unpredictable
  const publicKey = readKeyBody(reader, keyType)
  const serial = reader.uint64()
  const type = typeName(reader.uint32())
  const keyId = cleanText(reader, maxKeyIdBytes, 'key id')
  const principals = readPrincipals(reader.string())
  const validAfter = reader.uint64()
  const validBefore = reader.uint64()
  const criticalOptions = readOptions(reader.string(), flagCriticalOptions)
  const extensions = readOptions(reader.string(), flagExtensions)
  reader.string(maxOptionBytes) // reserved: ignored, as PROTOCOL.certkeys says
  const signatureKey = readAuthority(reader.string())
  const signature = reader.string()
  reader.end()
  const signatureAlgorithm = signatureAlgorithmOf(signature)
  return {
    algorithm,
    keyType,
    publicKey,
    type,
    serial,
    keyId,
    principals,
    validAfter,
    validBefore,
    criticalOptions,
    extensions,
    signatureKey,
    signatureAlgorithm,
    signature,
    blob,
  }
}

function typeName(type: number): CertificateType {
  if (type === 1) return 'user'
  if (type === 2) return 'host'
  throw new WireError(`unknown certificate type ${type}`)
}

function readPrincipals(section: Buffer): string[] {
  const reader = new WireReader(section)
  const principals: string[] = []
  while (reader.remaining > 0) {
    if (principals.length === maxPrincipals) throw new WireError(`more than ${maxPrincipals} principals`)
    principals.push(cleanText(reader, maxPrincipalBytes, 'principal'))
  }
  return principals
}

function readOptions(section: Buffer, flags: ReadonlySet<string>): Map<string, Buffer> {
  const reader = new WireReader(section)
  const options = new Map<string, Buffer>()
  while (reader.remaining > 0) {
    if (options.size === maxOptions) throw new WireError(`more than ${maxOptions} options`)
    const name = reader.ascii(maxOptionNameBytes)
    if (options.has(name)) throw new WireError(`the option ${name} appears twice`)
    const content = innerString(reader.string(maxOptionBytes))
    if (content.length > 0 && flags.has(name)) throw new WireError(`the flag ${name} has a content`)
    options.set(name, content)
  }
  return options
}

/** Flags have no content at all; everything else wraps one string. */
function innerString(content: Buffer): Buffer {
  if (content.length === 0) return content
  const reader = new WireReader(content)
  const inner = reader.string()
  reader.end()
  return inner
}

function readAuthority(blob: Buffer): PublicKey {
  const type = new WireReader(blob).ascii(128)
  if (!isKeyType(type)) throw new WireError(`a key of type ${type} cannot be an authority`)
  return parsePublicKey(blob)
}

/** A NUL would end the text early for readers written in C, so two readers could see two names. */
function cleanText(reader: WireReader, max: number, what: string): string {
  const text = reader.text(max)
  if (text.includes('\0')) throw new WireError(`NUL in a ${what}`)
  return text
}
