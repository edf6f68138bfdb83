/** The exchange hash and the keys that follow from it (RFC 4253 sections 7.2 and 8). */

import { createHash } from 'node:crypto'
import { WireWriter } from '../wire/writer.ts'
import { cipherSpecs, type DirectionKeys, macSpecs } from './cipher-specs.ts'
import type { EncodedSecret, KexMethod } from './kex-methods.ts'
import type { CipherAlgorithm, MacAlgorithm } from './types.ts'

export interface ExchangeFacts {
  readonly clientVersion: string
  readonly serverVersion: string
  /** Whole payloads, as sent. */
  readonly clientKexInit: Buffer
  readonly serverKexInit: Buffer
  readonly hostKeyBlob: Buffer
  readonly clientValue: Buffer
  readonly serverValue: Buffer
  readonly secret: EncodedSecret
}

export function exchangeHash(method: KexMethod, facts: ExchangeFacts): Buffer {
  const writer = new WireWriter(8192)
    .string(facts.clientVersion)
    .string(facts.serverVersion)
    .string(facts.clientKexInit)
    .string(facts.serverKexInit)
    .string(facts.hostKeyBlob)
  if (method.mpintValues) writer.mpint(facts.clientValue).mpint(facts.serverValue)
  else writer.string(facts.clientValue).string(facts.serverValue)
  return createHash(method.hash).update(writer.bytes(facts.secret).take()).digest()
}

/** Keys for one direction. Letters as in RFC 4253 section 7.2: A, C, E client to server; B, D, F server to client. */
export function deriveKeys(
  method: KexMethod,
  secret: EncodedSecret,
  hash: Buffer,
  sessionId: Buffer,
  direction: 'toServer' | 'toClient',
  cipher: CipherAlgorithm,
  mac: MacAlgorithm | undefined,
): DirectionKeys {
  const [ivLetter, keyLetter, macLetter] = direction === 'toServer' ? ['A', 'C', 'E'] : ['B', 'D', 'F']
  const expand = (letter: string | undefined, size: number): Buffer => {
    let output = Buffer.alloc(0)
    while (output.length < size) {
      const digest = createHash(method.hash).update(secret).update(hash)
      if (output.length === 0) digest.update(letter ?? '').update(sessionId)
      else digest.update(output)
      output = Buffer.concat([output, digest.digest()])
    }
    return output.subarray(0, size)
  }
  const spec = cipherSpecs[cipher]
  return {
    iv: expand(ivLetter, spec.ivSize),
    key: expand(keyLetter, spec.keySize),
    macKey: expand(macLetter, mac === undefined ? 0 : macSpecs[mac].keySize),
  }
}
