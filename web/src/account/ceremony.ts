/** A proof with a security key for one action of the account: the ceremony that `tsh` opens in a browser, without leaving the page. */

import type { CallInput } from '../../../src/api/web-calls.ts'
import { answerCeremony, auth, openCeremony, type routes, startPasswordCeremony } from '../api.ts'
import { askKey, createKey } from '../keys.ts'

export type Action = CallInput<typeof routes.startCeremony>['body']['action']
export interface CeremonyProof {
  readonly id: string
  readonly secret: string
  readonly code: string
}

/** Where a program would listen for the code. Nobody is sent there: this page reads the code and goes on. */
export function callback() {
  const random = crypto.getRandomValues(new Uint8Array(16))
  const state = [...random].map((byte) => byte.toString(16).padStart(2, '0')).join('')
  return { host: '127.0.0.1', port: 1, state } as const
}

/** The key's answer to a ceremony that was begun. Throws an Error with words for a person. */
export async function finishCeremony(
  begun: { readonly id: string; readonly secret: string },
  state: string,
): Promise<CeremonyProof> {
  const { get, create } = await openCeremony(begun.id)
  const answer =
    create === undefined
      ? { id: begun.id, assertion: await askKey(get ?? {}) }
      : { id: begun.id, attestation: await createKey(create) }
  const { redirect } = await answerCeremony(answer)
  const given = URL.parse(redirect)?.searchParams
  if (given?.get('state') !== state) throw new Error('an unexpected answer')
  return { id: begun.id, secret: begun.secret, code: given.get('code') ?? '' }
}

/** For another password, which begins with the present one. */
export async function provePassword(user: string, password: string): Promise<CeremonyProof> {
  const back = callback()
  return finishCeremony(await startPasswordCeremony({ user, password, callback: back }), back.state)
}

export async function proveWithKey(action: Action): Promise<CeremonyProof> {
  const back = callback()
  const begun = await auth<typeof routes.startCeremony>('POST /v1/mfa/ceremonies', { body: { action, callback: back } })
  return finishCeremony(begun, back.state)
}
