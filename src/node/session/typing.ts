/** Who may type, and what those are told who may not. */

import type { Party } from './party.ts'
import type { Supervision } from './supervision.ts'

const interrupt = 0x03
const endOfInput = 0x04

export const mayType = (party: Party, { isPaused, isWaiting }: Supervision): boolean =>
  party.mode === 'peer' && !party.gone && !isPaused && !isWaiting

/** Does the owner want to wait no longer? */
export const givesUp = (party: Party, { isWaiting }: Supervision, data: Buffer): boolean =>
  party.isOwner && isWaiting && (data.includes(interrupt) || data.includes(endOfInput))

/** Once for each party, and for peers once for each pause. */
export function tellReadOnly(party: Party, { isWaiting }: Supervision): void {
  if (party.toldReadOnly || isWaiting) return
  party.toldReadOnly = true
  const why = party.mode === 'peer' ? 'the session is paused' : `you are here as ${party.mode}`
  party.tell(`[teleport] ${why}: what you type goes nowhere`)
}
