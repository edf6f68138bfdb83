/** Second factors as they are stored, and as backups carry them. */

import { z } from 'zod'
import * as shapes from '../access/schema/credential-shapes.ts'

const fields = {
  id: shapes.deviceId,
  name: shapes.deviceName,
  addedAt: shapes.deviceTime,
  lastUsed: shapes.deviceTime.optional(),
}

export const storedDevice = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('totp'), ...fields, secret: shapes.totpSecret }),
  z.strictObject({
    kind: z.literal('webauthn'),
    ...fields,
    credentialId: shapes.credentialId,
    publicKey: shapes.keyOfDevice,
    counter: shapes.signatureCounter,
    rpId: shapes.rpId,
    transports: shapes.transports,
  }),
])
export type StoredDevice = z.infer<typeof storedDevice>
