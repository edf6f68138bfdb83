/**
 * While the host authority is replaced, an auth server has a certificate of each. A client tells in its SSH version string which
 * authorities it knows, so that one that was away since before the rotation is shown a certificate that it can verify, and so that
 * joining works with the pin of either. It is a hint and no more: what the client accepts is what it verifies (docs/protocol.md).
 */

import { caPin } from '../ssh/keys/public-key.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import { sshIdent } from './auth-channel.ts'

/** Hexadecimal digits of each pin: enough to tell a few keys apart, and the version line stays short. */
const digits = 16
const maxHints = 4

const hintOfPin = (pin: string): string => pin.slice('sha256:'.length).slice(0, digits)

/** The version of a client that knows these. */
export const identOf = (authorities: readonly PublicKey[]): string =>
  identOfPins(authorities.map((authority) => caPin(authority)))

export const identOfPins = (pins: readonly string[]): string =>
  [sshIdent, ...pins.slice(0, maxHints).map(hintOfPin)].join('_')

/** Whether a client says that it knows the one authority and not the other. Without a word about either it is shown what everybody is. */
export function prefers(clientVersion: string, authority: PublicKey, other: PublicKey): boolean {
  const known = clientVersion.slice('SSH-2.0-'.length).split('_').slice(1)
  return known.includes(hintOfPin(caPin(authority))) && !known.includes(hintOfPin(caPin(other)))
}
