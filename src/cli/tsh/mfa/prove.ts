/** Asks the person for a second factor: a code at the terminal, or a security key in the browser. */

import type { Callback, CeremonyStart, FactorChoice, Proof } from '../../../api/mfa-model.ts'
import { AccessDenied, BadParameter } from '../../../errors/errors.ts'
import { askFor } from '../../common/prompt.ts'
import type { MfaSettings } from '../login-state.ts'
import { browserCeremony } from './browser.ts'

export interface ProveOptions {
  readonly choice: FactorChoice
  readonly settings: MfaSettings
  /** For a key: begins the ceremony. */
  start(callback: Callback): Promise<CeremonyStart>
  /** A recovery code will do. */
  readonly recovery: boolean
}

/** Throws AccessDenied when the user has nothing to prove. */
export async function prove({ choice, settings, start, recovery }: ProveOptions): Promise<Proof> {
  const codes = recovery && choice.recoveryCode
  const otp = (choice.otp && settings.mode !== 'webauthn') || (codes && !choice.webauthn)
  const webauthn = choice.webauthn && settings.mode !== 'otp'
  if (otp) {
    const what = choice.otp ? 'OTP token' : 'recovery code'
    const question = webauthn ? `Enter your ${what}, or nothing to use a security key:\n` : `Enter your ${what}:\n`
    const proof = await askFor(question, { hidden: false, optional: webauthn }, (answer) =>
      answer.trim() === '' ? undefined : proofOfText(answer, codes),
    )
    if (proof !== undefined) return proof
    if (!webauthn) throw new BadParameter('otp', 'no code was given')
  }
  if (webauthn) return { ceremony: await browserCeremony(settings, start) }
  if (!choice.otp && !choice.webauthn && !choice.recoveryCode) {
    throw new AccessDenied('you have no second factor; add one with: tsh mfa add')
  }
  throw new BadParameter('--mfa-mode', `--mfa-mode: you have no second factor of the kind ${settings.mode}`)
}

/** Undefined for nothing, where that is an answer. Throws BadParameter for what cannot be a one-time code. */
export function readCode(text: string, optional: boolean): string | undefined {
  const plain = text.replaceAll(/\s/g, '')
  if (plain === '' && optional) return undefined
  if (!/^\d{6,8}$/.test(plain)) throw new BadParameter('otp', 'a one-time code has six digits')
  return plain
}

/** Digits are a code; anything longer is a recovery code. */
export function proofOfText(text: string, recovery: boolean): Proof {
  const plain = text.replaceAll(/[\s-]/g, '')
  if (/^\d{6,8}$/.test(plain)) return { otp: plain }
  if (recovery && /^[0-9A-Za-z]{16}$/.test(plain)) return { recoveryCode: plain }
  throw new BadParameter(
    'otp',
    recovery ? 'not a one-time code of six digits, nor a recovery code' : 'a one-time code has six digits',
  )
}
