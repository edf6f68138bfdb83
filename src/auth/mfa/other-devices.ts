/**
 * Second factors of others, for those who may change the user: what somebody lost can be removed without a reset. They need no proof
 * of a factor, as for a reset; and they see nothing that proves anything.
 */

import type { Caller } from '../../api/caller.ts'
import type { MfaDevice } from '../../api/mfa-model.ts'
import { quote } from '../../common/text.ts'
import { NotFound } from '../../errors/errors.ts'
import type { Audit } from '../audit.ts'
import type { Tables } from '../records.ts'
import type { Users } from '../users.ts'
import { toRecord } from './devices.ts'
import type { Factors } from './factors.ts'

export interface OtherDevicesOptions {
  readonly tables: Tables
  readonly audit: Audit
  readonly users: Users
  readonly factors: Factors
}

export class OtherDevices {
  readonly #options: OtherDevicesOptions

  constructor(options: OtherDevicesOptions) {
    this.#options = options
  }

  /** Throws AccessDenied, NotFound. */
  async list(caller: Caller, name: string): Promise<{ items: MfaDevice[]; recoveryCodes: number }> {
    const { users, tables } = this.#options
    await users.permitUpdate(caller, name)
    const credentials = (await tables.credentials.find(name))?.value
    return {
      items: (credentials?.devices ?? []).map(toRecord),
      recoveryCodes: credentials?.recoveryCodes.length ?? 0,
    }
  }

  /**
   * The last one too, even where the cluster requires one: a device in the wrong hands must not be kept for want of another. Its user
   * then gets in with a recovery code, or is reset. Throws AccessDenied, NotFound.
   */
  async remove(caller: Caller, name: string, id: string): Promise<MfaDevice> {
    const { users, tables, audit, factors } = this.#options
    await users.permitUpdate(caller, name)
    const devices = (await tables.credentials.find(name))?.value.devices ?? []
    const device = devices.find((each) => each.id === id)
    if (device === undefined) throw new NotFound(`user ${quote(name)} has no such device; it may be removed already`)
    await audit.emit({
      event: 'mfa.delete',
      user: caller.name,
      name,
      mfa_device_name: device.name,
      mfa_device_uuid: device.id,
      mfa_device_type: device.kind,
      'addr.remote': caller.address,
    })
    await factors.change(name, (credentials) => ({
      ...credentials,
      devices: credentials.devices.filter((each) => each.id !== id),
    }))
    return toRecord(device)
  }
}
