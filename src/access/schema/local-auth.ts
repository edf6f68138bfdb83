/** `spec.local_auth` of a user in a backup: how the user proves who they are. */

import { z } from 'zod'
import { oneOf, strictObject, yamlString, yamlStrings } from '../../common/yaml.ts'
import type { LocalAuth, LocalDevice } from '../types.ts'

/** What logging in costs stands in it, so it is bounded. */
const ARGON2 = /^\$argon2id\$v=19\$m=\d{1,6},t=\d{1,2},p=\d\$[A-Za-z0-9+/]{16,128}\$[A-Za-z0-9+/]{16,128}$/
const NO_HASH = 'must be the hash of a password as Argon2id makes it'
const MAX_DEVICES = 16

const matching = (pattern: RegExp, message: string) => yamlString.refine((text) => pattern.test(text), { message })

const totpSecret = matching(/^[A-Z2-7]{16,256}=*$/, 'must be a secret in Base32')
const base64url = matching(/^[A-Za-z0-9_-]{1,4096}$/, 'must be Base64url')
const time = matching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z$/, 'must be a time such as 2026-01-31T12:00:00Z')

const device = strictObject({
  type: oneOf(['totp', 'webauthn']),
  id: matching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/, 'must be a uuid'),
  name: yamlString.refine((text) => text.length > 0 && text.length <= 64, { message: 'must have 1 to 64 characters' }),
  added_at: time,
  last_used: time.optional(),
  totp_secret: totpSecret.optional(),
  credential_id: base64url.optional(),
  public_key: base64url.optional(),
  counter: z.number().int().nonnegative().optional(),
  rp_id: yamlString.optional(),
  transports: yamlStrings.optional(),
}).transform((input, context): LocalDevice => {
  const { id, name, added_at, last_used } = input
  const common = { id, name, added_at, ...(last_used === undefined ? {} : { last_used }) }
  const missing = (key: string) => {
    context.addIssue({ code: 'custom', path: [key], message: `is missing; a device of the type ${input.type} has one` })
    return z.NEVER
  }
  if (input.type === 'totp') {
    return input.totp_secret === undefined
      ? missing('totp_secret')
      : { type: 'totp', ...common, totp_secret: input.totp_secret }
  }
  const { credential_id, public_key, counter = 0, rp_id, transports = [] } = input
  if (credential_id === undefined) return missing('credential_id')
  if (public_key === undefined) return missing('public_key')
  if (rp_id === undefined) return missing('rp_id')
  return { type: 'webauthn', ...common, credential_id, public_key, counter, rp_id, transports }
})

export const localAuth = strictObject({
  password_hash: matching(ARGON2, NO_HASH).optional(),
  totp_secret: totpSecret.optional(),
  mfa: z.array(device).max(MAX_DEVICES).optional(),
  recovery_codes: z
    .array(matching(/^[0-9a-f]{64}$/, 'must be the hash of a recovery code'))
    .max(64)
    .optional(),
}).transform(
  ({ password_hash, totp_secret, mfa, recovery_codes }): LocalAuth => ({
    ...(password_hash === undefined ? {} : { password_hash }),
    ...(totp_secret === undefined ? {} : { totp_secret }),
    ...(mfa === undefined ? {} : { mfa }),
    ...(recovery_codes === undefined ? {} : { recovery_codes }),
  }),
)
