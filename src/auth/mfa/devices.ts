/** A user's own second factors: listed, enrolled, removed; recovery codes. Everything but listing needs a proof of one. */

import { maxDevices } from '../../access/schema/credential-shapes.ts'
import type { Caller } from '../../api/caller.ts'
import {
  bindingOf,
  type Callback,
  type CeremonyProof,
  type MfaAction,
  type MfaDevice,
  type Proof,
} from '../../api/mfa-model.ts'
import type { Backend } from '../../backend/contract.ts'
import type { Env } from '../../common/env.ts'
import {
  AccessDenied,
  AlreadyExists,
  BadParameter,
  isCompareFailed,
  LimitExceeded,
  NotFound,
} from '../../errors/errors.ts'
import type { Audit } from '../audit.ts'
import type { OneTimePasswords } from '../otp.ts'
import type { Passwords } from '../passwords.ts'
import type { Credentials, StoredDevice, Tables } from '../records.ts'
import type { Users } from '../users.ts'
import type { Ceremonies } from './ceremonies.ts'
import type { Challenges } from './challenges.ts'
import type { Factors } from './factors.ts'
import { accepts, choiceOf, isRequired, usable, whyNone } from './policy.ts'
import type { Prover } from './prover.ts'
import { hashesOf, newRecoveryCodes } from './recovery-codes.ts'

/** Wrong codes for an app that is being enrolled, before one has to begin again. */
const enrolmentTries = 5

type AddDevice = Extract<MfaAction, { kind: 'add_device' }>

export interface DevicesOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly audit: Audit
  readonly users: Users
  readonly passwords: Passwords
  readonly otp: OneTimePasswords
  readonly challenges: Challenges
  readonly ceremonies: Ceremonies
  readonly factors: Factors
  readonly prover: Prover
  readonly clusterName: string
  readonly env: Env
}

export class Devices {
  readonly #options: DevicesOptions

  constructor(options: DevicesOptions) {
    this.#options = options
  }

  async list(caller: Caller) {
    const { tables, factors } = this.#options
    const credentials = (await tables.credentials.find(caller.name))?.value
    const items = (credentials?.devices ?? []).map(toRecord)
    const choice = choiceOf(factors.settings, credentials)
    return { items, choice, recoveryCodes: credentials?.recoveryCodes.length ?? 0 }
  }

  /** The secret of an app, or a ceremony for a key. Throws AccessDenied without a good proof. */
  async begin(
    caller: Caller,
    ask: { action: AddDevice; proof: Proof; password?: string | undefined; callback?: Callback | undefined },
  ) {
    const { users, factors, challenges, ceremonies, otp, clusterName, tables } = this.#options
    const { action, callback } = ask
    if (!accepts(factors.settings, action.device)) {
      throw new BadParameter('device', `this cluster takes no ${action.device} devices (second_factor)`)
    }
    const user = await users.get(caller.name)
    checkRoom((await tables.credentials.find(caller.name))?.value, action.name)
    await this.#proveFirst(caller, ask)
    if (action.device === 'webauthn') {
      if (callback === undefined)
        throw new BadParameter('callback', 'a security key is enrolled in a browser: callback')
      const { address } = caller
      return { ceremony: await ceremonies.start({ user: user.value, action, type: 'create', callback, address }) }
    }
    const secret = await otp.newSecret()
    const binding = bindingOf(action)
    const bytes = await challenges.create({ user: caller.name, binding, type: 'totp', secret })
    return {
      totp: { registration: bytes.toString('base64url'), ...(await otp.enrolment(secret, caller.name, clusterName)) },
    }
  }

  /** Somebody who has no factor at all proves the password instead: a certificate alone must not enrol a thief's device. */
  async #proveFirst(caller: Caller, ask: { action: AddDevice; proof: Proof; password?: string | undefined }) {
    const { tables, factors, prover, passwords } = this.#options
    const credentials = (await tables.credentials.find(caller.name))?.value
    const devices = usable(factors.settings, credentials?.devices ?? [])
    if (devices.length + (credentials?.recoveryCodes.length ?? 0) > 0) {
      await prover.require(caller, ask.action, ask.proof)
      return
    }
    await prover.guard(caller, ask.action, async () => {
      const right = await passwords.verify(credentials?.password, ask.password ?? '')
      return right ? { ok: true } : { ok: false, why: 'wrong password' }
    })
  }

  async add(
    caller: Caller,
    ask: {
      action: AddDevice
      totp?: { registration: string; code: string } | undefined
      ceremony?: CeremonyProof | undefined
    },
  ): Promise<{ device: MfaDevice; recoveryCodes?: string[] }> {
    const { factors, audit, ceremonies, env } = this.#options
    const { action, totp, ceremony } = ask
    const device =
      ceremony === undefined
        ? await this.#enrolledApp(caller, action, totp)
        : await ceremonies.redeem(caller.name, action, 'create', ceremony)
    if (device === undefined)
      throw new AccessDenied('the ceremony is unknown, used, not finished, or for something else')
    let codes: string[] | undefined
    // Before it is told, and told before it is done.
    checkRoom((await this.#options.tables.credentials.find(caller.name))?.value, action.name)
    await audit.emit({ event: 'mfa.add', ...told(caller, device) })
    const added = await factors.change(caller.name, (credentials) => {
      checkRoom(credentials, action.name)
      codes = credentials.recoveryCodes.length + credentials.devices.length === 0 ? newRecoveryCodes(env) : undefined
      return {
        ...credentials,
        devices: [...credentials.devices, device],
        ...(codes === undefined ? {} : { recoveryCodes: hashesOf(caller.name, codes) }),
      }
    })
    if (!added) throw new NotFound('this account has no password; ask an administrator to reset it')
    return { device: toRecord(device), ...(codes === undefined ? {} : { recoveryCodes: codes }) }
  }

  async #enrolledApp(caller: Caller, action: AddDevice, totp: { registration: string; code: string } | undefined) {
    const { backend, tables, challenges, otp, env } = this.#options
    if (totp === undefined) throw new BadParameter('totp', 'a code of the new device is needed')
    const begun = await challenges.find(totp.registration)
    const isOurs = begun?.value.user === caller.name && begun.value.binding === bindingOf(action)
    if (begun?.value.secret === undefined || !isOurs || begun.value.type !== 'totp') {
      throw new NotFound('this enrolment expired or was finished; begin again')
    }
    const { secret, tries, expires } = begun.value
    if (tries >= enrolmentTries) throw new LimitExceeded('too many wrong codes for this device; begin again')
    try {
      await backend.compareAndSwap(
        tables.challenges.item(begun.id, { ...begun.value, tries: tries + 1 }, new Date(expires)),
        begun.revision,
      )
    } catch (error) {
      if (isCompareFailed(error)) throw new LimitExceeded('this enrolment is being finished by another request')
      throw error
    }
    if (!(await otp.use(secret, totp.code))) {
      throw new BadParameter('otp', 'the code is not right; wait for the next one, and check the clock of the device')
    }
    await backend.deleteRange(tables.challenges.key(begun.id))
    const addedAt = env.now().toISOString()
    return { kind: 'totp', id: env.randomUuid(), name: action.name, addedAt, secret } as const
  }

  async remove(
    caller: Caller,
    action: Extract<MfaAction, { kind: 'remove_device' }>,
    proof: Proof,
  ): Promise<MfaDevice> {
    const { tables, factors, audit, prover } = this.#options
    // Said before the proof, which would be used up for nothing.
    const device = removable((await tables.credentials.find(caller.name))?.value, action.device, factors)
    await prover.require(caller, action, proof)
    await audit.emit({ event: 'mfa.delete', ...told(caller, device) })
    await factors.change(caller.name, (credentials) => {
      const { id } = removable(credentials, device.id, factors)
      return { ...credentials, devices: credentials.devices.filter((each) => each.id !== id) }
    })
    return toRecord(device)
  }

  async newCodes(caller: Caller, proof: Proof): Promise<string[]> {
    const { factors, audit, prover, env, tables } = this.#options
    const credentials = (await tables.credentials.find(caller.name))?.value
    if (usable(factors.settings, credentials?.devices ?? []).length === 0)
      throw new BadParameter('proof', whyNone(factors.settings))
    await prover.require(caller, { kind: 'recovery_codes' }, proof)
    const codes = newRecoveryCodes(env)
    await audit.emit({ event: 'recovery_code.generated', user: caller.name, 'addr.remote': caller.address })
    await factors.change(caller.name, (now) => ({ ...now, recoveryCodes: hashesOf(caller.name, codes) }))
    return codes
  }
}

export const toRecord = ({ id, name, kind, addedAt, lastUsed }: StoredDevice): MfaDevice => ({
  id,
  name,
  kind,
  addedAt,
  ...(lastUsed === undefined ? {} : { lastUsed }),
})

const told = (caller: Caller, device: Pick<StoredDevice, 'id' | 'name' | 'kind'>) => ({
  user: caller.name,
  mfa_device_name: device.name,
  mfa_device_uuid: device.id,
  mfa_device_type: device.kind,
  'addr.remote': caller.address,
})

/** Throws AlreadyExists for a name that is taken, LimitExceeded when there are too many. */
function checkRoom(credentials: Credentials | undefined, name: string): void {
  const devices = credentials?.devices ?? []
  if (devices.some((device) => device.name === name)) {
    throw new AlreadyExists(`you have a device ${JSON.stringify(name)} already; choose another name`)
  }
  if (devices.length >= maxDevices) throw new LimitExceeded(`you have ${maxDevices} devices; remove one first`)
}

/** The device with this id or name. Throws NotFound; BadParameter for the last one where one is required. */
function removable(credentials: Credentials | undefined, wanted: string, factors: Factors): StoredDevice {
  const devices = credentials?.devices ?? []
  const device = devices.find(({ id }) => id === wanted) ?? devices.find(({ name }) => name === wanted)
  if (device === undefined) throw new NotFound(`you have no device ${JSON.stringify(wanted)}; tsh mfa ls lists them`)
  const left = usable(factors.settings, devices).filter((each) => each.id !== device.id)
  if (isRequired(factors.settings) && left.length === 0) {
    throw new BadParameter('device', 'this is your last device and the cluster requires one; add another first')
  }
  return device
}

/** Of a key that the browser has just made. */
export function newKeyDevice(
  env: Env,
  name: string,
  key: Omit<Extract<StoredDevice, { kind: 'webauthn' }>, 'kind' | 'id' | 'name' | 'addedAt' | 'lastUsed'>,
): StoredDevice {
  return { kind: 'webauthn', id: env.randomUuid(), name, addedAt: env.now().toISOString(), ...key }
}
