/** Which devices count under which setting. Pure. */

import type { FactorChoice, MfaAction } from '../../api/mfa-model.ts'
import type { SecondFactor } from '../../api/model.ts'
import type { Credentials, StoredDevice } from '../records.ts'

export interface FactorSettings {
  readonly secondFactor: SecondFactor
  /** Security keys are switched off whatever `secondFactor` says. */
  readonly keysEnabled: boolean
}

export function accepts({ secondFactor, keysEnabled }: FactorSettings, kind: StoredDevice['kind']): boolean {
  if (kind === 'webauthn' && !keysEnabled) return false
  switch (secondFactor) {
    case 'off':
      return false
    case 'otp':
      return kind === 'totp'
    case 'webauthn':
      return kind === 'webauthn'
    case 'on':
    case 'optional':
      return true
  }
}

/** Devices that can be used now. */
export const usable = (settings: FactorSettings, devices: readonly StoredDevice[]): readonly StoredDevice[] =>
  devices.filter((device) => accepts(settings, device.kind))

export function choiceOf(settings: FactorSettings, credentials: Credentials | undefined): FactorChoice {
  const devices = usable(settings, credentials?.devices ?? [])
  return {
    otp: devices.some(({ kind }) => kind === 'totp'),
    webauthn: devices.some(({ kind }) => kind === 'webauthn'),
    recoveryCode: settings.secondFactor !== 'off' && (credentials?.recoveryCodes.length ?? 0) > 0,
  }
}

/** Must this user prove a second factor to log in? Who has lost every device still has to: with a recovery code, or after a reset. */
export function isNeeded(settings: FactorSettings, credentials: Credentials | undefined): boolean {
  switch (settings.secondFactor) {
    case 'off':
      return false
    case 'optional':
      return usable(settings, credentials?.devices ?? []).length > 0
    case 'otp':
    case 'webauthn':
    case 'on':
      return true
  }
}

/** Every user has to have a device. */
export const isRequired = ({ secondFactor }: FactorSettings): boolean =>
  secondFactor !== 'off' && secondFactor !== 'optional'

/** A recovery code brings somebody back to their account; sessions are for those who have a device. */
export const takesRecoveryCode = (kind: MfaAction['kind'] | 'web_login'): boolean =>
  kind !== 'session' && kind !== 'grant'

/** What somebody without a factor has to do. */
export function whyNone({ secondFactor }: FactorSettings): string {
  return secondFactor === 'off'
    ? 'second factors are switched off in this cluster'
    : 'no second factor is enrolled; reset the user'
}
