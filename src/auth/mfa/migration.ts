/** The one secret that earlier releases kept for a user becomes a device. Each record changes whole or not at all, and twice is as good as once. */

import { createHash } from 'node:crypto'
import type { Backend } from '../../backend/contract.ts'
import { isCompareFailed } from '../../errors/errors.ts'
import type { Credentials, StoredDevice, Tables } from '../records.ts'

/** How the first device of an account is called when nobody named it. */
export const firstDeviceName = 'otp'

/** The record as this release has it. The id comes from the secret, so that whoever migrates gets the same one. */
export function migrateCredentials(credentials: Credentials, addedAt: string): Credentials {
  const { otpSecret, ...rest } = credentials
  if (otpSecret === undefined) return credentials
  if (rest.devices.some((device) => device.kind === 'totp' && device.secret === otpSecret)) return rest
  const device: StoredDevice = {
    kind: 'totp',
    id: uuidOf(otpSecret),
    name: firstDeviceName,
    addedAt,
    secret: otpSecret,
  }
  return { ...rest, devices: [device, ...rest.devices] }
}

/** RFC 9562, version 8: any content. */
function uuidOf(text: string): string {
  const hex = createHash('sha256').update(`device ${text}`).digest('hex')
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`
}

/** At each start. A record that somebody else changes meanwhile is theirs to have migrated. */
export async function migrateDevices(backend: Backend, tables: Tables): Promise<number> {
  let changed = 0
  for await (const found of tables.credentials.all()) {
    if (found.value.otpSecret === undefined) continue
    const user = await tables.users.find(found.id)
    const next = migrateCredentials(found.value, user?.value.created ?? new Date(0).toISOString())
    try {
      await backend.compareAndSwap(tables.credentials.item(found.id, next), found.revision)
      changed++
    } catch (error) {
      if (!isCompareFailed(error)) throw error
    }
  }
  return changed
}
