/** Between the words of a user resource in a backup and those of the API. */

import type { LocalAuth, LocalDevice } from '../access/types.ts'
import type { StoredDevice } from './device-secrets.ts'
import { type CredentialSecrets, credentialSecrets } from './secret-routes.ts'

export const toLocalAuth = ({ password, otpSecret, devices, recoveryCodes }: CredentialSecrets): LocalAuth => ({
  ...(password === undefined ? {} : { password_hash: password }),
  ...(otpSecret === undefined ? {} : { totp_secret: otpSecret }),
  ...(devices === undefined ? {} : { mfa: devices.map(toLocalDevice) }),
  ...(recoveryCodes === undefined ? {} : { recovery_codes: recoveryCodes }),
})

/** Throws a ZodError only for what the schema of the resource let through by mistake. */
export const fromLocalAuth = ({ password_hash, totp_secret, mfa, recovery_codes }: LocalAuth): CredentialSecrets =>
  credentialSecrets.parse({
    ...(password_hash === undefined ? {} : { password: password_hash }),
    ...(totp_secret === undefined ? {} : { otpSecret: totp_secret }),
    ...(mfa === undefined ? {} : { devices: mfa.map(fromLocalDevice) }),
    ...(recovery_codes === undefined ? {} : { recoveryCodes: [...recovery_codes] }),
  })

function toLocalDevice(device: StoredDevice): LocalDevice {
  const { id, name, addedAt, lastUsed } = device
  const common = { id, name, added_at: addedAt, ...(lastUsed === undefined ? {} : { last_used: lastUsed }) }
  if (device.kind === 'totp') return { type: 'totp', ...common, totp_secret: device.secret }
  const { credentialId, publicKey, counter, rpId, transports } = device
  return {
    type: 'webauthn',
    ...common,
    credential_id: credentialId,
    public_key: publicKey,
    counter,
    rp_id: rpId,
    transports,
  }
}

function fromLocalDevice(device: LocalDevice): StoredDevice {
  const { id, name, added_at, last_used } = device
  const common = { id, name, addedAt: added_at, ...(last_used === undefined ? {} : { lastUsed: last_used }) }
  if (device.type === 'totp') return { kind: 'totp', ...common, secret: device.totp_secret }
  const { credential_id, public_key, counter, rp_id, transports } = device
  const key = { credentialId: credential_id, publicKey: public_key, counter, rpId: rp_id, transports: [...transports] }
  return { kind: 'webauthn', ...common, ...key }
}
