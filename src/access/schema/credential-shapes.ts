/**
 * The shapes of what proves who somebody is, for what is stored, for the API of backups, and for the YAML of a backup: in one place, so
 * that none of them lets through what another refuses. Each is bounded, since whoever logs in costs what they say.
 */

import { z } from 'zod'

/** Devices, and recovery codes that are left, of one user. */
export const maxDevices = 16
export const maxRecoveryCodes = 64

const text = (max: number, pattern: RegExp, error: string) => z.string().max(max).regex(pattern, { error })

/** PHC string. */
export const passwordHash = text(
  512,
  /^\$argon2id\$v=19\$m=\d{1,6},t=\d{1,2},p=\d\$[A-Za-z0-9+/]{16,128}\$[A-Za-z0-9+/]{16,128}$/,
  'must be the hash of a password as Argon2id makes it',
)
/** Base32. */
export const totpSecret = text(256, /^[A-Z2-7]{16,}=*$/, 'must be a secret of one-time codes in Base32')
/** SHA-256 in hexadecimal of a code that is left. */
export const recoveryCodeHash = text(64, /^[0-9a-f]{64}$/, 'must be the hash of a recovery code')

export const deviceId = z.uuid({ error: 'must be a uuid' })
export const deviceName = z.string().min(1).max(64)
export const deviceTime = z.iso.datetime({ error: 'must be a time such as 2026-01-31T12:00:00Z' })

const base64url = (max: number) => text(max, /^[A-Za-z0-9_-]+$/, 'must be Base64url')
export const credentialId = base64url(2048)
/** In COSE form. */
export const keyOfDevice = base64url(4096)
/** Of signatures; 0 for ever from keys that do not count. */
export const signatureCounter = z.number().int().nonnegative()
export const rpId = z.string().min(1).max(255)
export const transports = z.array(z.string().max(32)).max(16)
