/** Private key files: OpenSSH's own format (PROTOCOL.key) and the PEM forms that OpenSSL reads. */

import { createPrivateKey, type KeyObject } from 'node:crypto'
import { type Env, realEnv } from '../../common/env.ts'
import { BadParameter } from '../../errors/errors.ts'
import { WireError } from '../wire/reader.ts'
import { decodeOpenSshKey, encodeOpenSshKey } from './openssh-private-key.ts'
import { keyObjectOf, privateKeyFromKeyObject } from './private-key.ts'
import type { PrivateKey } from './types.ts'

/** Bytes; an RSA key of 8192 bits in base64 is below 8 KiB. */
const maxFileBytes = 65_536
const openSshForm =
  /^-----BEGIN OPENSSH PRIVATE KEY-----\r?\n([A-Za-z0-9+/=\r\n]+)\r?\n-----END OPENSSH PRIVATE KEY-----\s*$/
const pemForm = /^-----BEGIN (?:RSA |EC |ENCRYPTED )?PRIVATE KEY-----\r?\n/

/**
 * Reads `-----BEGIN OPENSSH PRIVATE KEY-----` without a passphrase, and PKCS#1, SEC1 and PKCS#8 in PEM, there also with a passphrase.
 * Throws BadParameter for everything else; OpenSSH's encrypted form needs bcrypt-pbkdf, which `node:crypto` does not have.
 */
export function parsePrivateKey(text: string, passphrase?: string): PrivateKey {
  if (text.length > maxFileBytes) throw new BadParameter('key', 'this is too large to be a private key')
  const trimmed = text.trimStart()
  const base64 = openSshForm.exec(trimmed)?.[1]
  if (base64 !== undefined) {
    try {
      const { key, comment } = decodeOpenSshKey(Buffer.from(base64, 'base64'))
      return privateKeyFromKeyObject(key, comment)
    } catch (error) {
      if (error instanceof WireError)
        throw new BadParameter('key', `damaged private key: ${error.message}`, { cause: error })
      throw error
    }
  }
  if (pemForm.test(trimmed)) return privateKeyFromKeyObject(importPem(trimmed, passphrase))
  throw new BadParameter('key', 'this is not a private key in OpenSSH or PEM form')
}

/** `-----BEGIN OPENSSH PRIVATE KEY-----`, unencrypted, as ssh-keygen and all SSH programs read it. For files of mode 0600. */
export function formatPrivateKey(key: PrivateKey, env: Env = realEnv): string {
  const bytes = encodeOpenSshKey(keyObjectOf(key), key.publicKey, key.comment, env.randomBytes(4))
  const lines = bytes.toString('base64').match(/.{1,70}/g) ?? []
  return ['-----BEGIN OPENSSH PRIVATE KEY-----', ...lines, '-----END OPENSSH PRIVATE KEY-----', ''].join('\n')
}

function importPem(pem: string, passphrase: string | undefined): KeyObject {
  try {
    return createPrivateKey(passphrase === undefined ? pem : { key: pem, passphrase })
  } catch (error) {
    if (passphrase === undefined && pem.includes('ENCRYPTED')) {
      throw new BadParameter('passphrase', 'the private key is encrypted and needs its passphrase', { cause: error })
    }
    const advice =
      passphrase === undefined ? 'damaged, or of a kind that is not supported' : 'damaged, or the passphrase is wrong'
    throw new BadParameter('key', `the private key is ${advice}`, { cause: error })
  }
}
