/** Recovery codes: shown once, kept as hashes, each good for one use. Long enough that nobody guesses one, so a plain hash is enough. */

import type { Env } from '../../common/env.ts'
import { hashToken } from '../secrets.ts'

const recoveryCodeCount = 8
/** Characters of a code: 80 bits. */
const length = 16
/** Crockford's alphabet: no letter that looks like a digit. */
const alphabet = '0123456789abcdefghjkmnpqrstvwxyz'

/** `xxxx-xxxx-xxxx-xxxx`, each. */
export const newRecoveryCodes = (env: Env): string[] =>
  Array.from({ length: recoveryCodeCount }, () => {
    const text = [...env.randomBytes(length)].map((byte) => alphabet[byte & 31]).join('')
    return (text.match(/.{4}/g) ?? []).join('-')
  })

/** People leave out dashes, and write o for 0. Undefined for what is no code. */
function plain(code: string): string | undefined {
  const text = code.toLowerCase().replaceAll(/[\s-]/g, '').replaceAll('o', '0').replaceAll(/[il]/g, '1')
  return text.length === length && [...text].every((char) => alphabet.includes(char)) ? text : undefined
}

/** What is stored; bound to the user, so that equal hashes say nothing. Undefined for what is no code. */
export function hashRecoveryCode(user: string, code: string): string | undefined {
  const text = plain(code)
  return text === undefined ? undefined : hashToken(`recovery ${user} ${text}`)
}

/** For the store. */
export const hashesOf = (user: string, codes: readonly string[]): string[] =>
  codes.flatMap((code) => hashRecoveryCode(user, code) ?? [])
