/** How a user proves who they are, as it is stored, and as backups carry it. */

import { z } from 'zod'
import { isoTime } from './model.ts'

const fields = { id: z.uuid(), name: z.string().min(1).max(64), addedAt: isoTime, lastUsed: isoTime.optional() }
const base64url = z.string().regex(/^[A-Za-z0-9_-]+$/, { error: 'is not Base64url' })

/** Base32. */
export const totpSecret = z
  .string()
  .max(256)
  .regex(/^[A-Z2-7]{16,}=*$/, { error: 'is not a secret of one-time codes in Base32' })

export const storedDevice = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('totp'), ...fields, secret: totpSecret }),
  z.strictObject({
    kind: z.literal('webauthn'),
    ...fields,
    credentialId: base64url.max(2048),
    /** In COSE form. */
    publicKey: base64url.max(4096),
    /** Of signatures; 0 for ever from keys that do not count. */
    counter: z.number().int().nonnegative(),
    rpId: z.string().min(1).max(255),
    transports: z.array(z.string().max(32)).max(16),
  }),
])
export type StoredDevice = z.infer<typeof storedDevice>

/** Devices of one user. */
export const maxDevices = 16

/** SHA-256 in hexadecimal of a code that is left. */
export const recoveryCodeHash = z.string().regex(/^[0-9a-f]{64}$/, { error: 'is not the hash of a recovery code' })
