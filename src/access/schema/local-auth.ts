/** `spec.local_auth` of a user in a backup: how the user proves who they are. */

import { z } from 'zod'
import { oneOf, strictObject, yamlString, yamlStrings } from '../../common/yaml.ts'
import type { LocalAuth, LocalDevice } from '../types.ts'
import * as shapes from './credential-shapes.ts'

const totpSecret = yamlString.pipe(shapes.totpSecret)
const time = yamlString.pipe(shapes.deviceTime)

const device = strictObject({
  type: oneOf(['totp', 'webauthn']),
  id: yamlString.pipe(shapes.deviceId),
  name: yamlString.pipe(shapes.deviceName),
  added_at: time,
  last_used: time.optional(),
  totp_secret: totpSecret.optional(),
  credential_id: yamlString.pipe(shapes.credentialId).optional(),
  public_key: yamlString.pipe(shapes.keyOfDevice).optional(),
  counter: shapes.signatureCounter.optional(),
  rp_id: yamlString.pipe(shapes.rpId).optional(),
  transports: yamlStrings.pipe(shapes.transports).optional(),
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
  password_hash: yamlString.pipe(shapes.passwordHash).optional(),
  totp_secret: totpSecret.optional(),
  mfa: z.array(device).max(shapes.maxDevices).optional(),
  recovery_codes: z.array(yamlString.pipe(shapes.recoveryCodeHash)).max(shapes.maxRecoveryCodes).optional(),
}).transform(
  ({ password_hash, totp_secret, mfa, recovery_codes }): LocalAuth => ({
    ...(password_hash === undefined ? {} : { password_hash }),
    ...(totp_secret === undefined ? {} : { totp_secret }),
    ...(mfa === undefined ? {} : { mfa }),
    ...(recovery_codes === undefined ? {} : { recovery_codes }),
  }),
)
