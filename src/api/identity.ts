/** The identity of one role of a machine: key, host certificate, and the authorities it trusts; kept in one file (docs/protocol.md). */

import { ConnectionProblem } from '../errors/errors.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import type { PrivateKey, PublicKey } from '../ssh/keys/types.ts'

/** Values of the extension `x-teleport-role`. */
export type MachineRole = 'Auth' | 'Proxy' | 'Node' | 'Admin'

export interface MachineIdentity {
  readonly role: MachineRole
  readonly uuid: string
  readonly clusterName: string
  readonly key: PrivateKey
  readonly certificate: Certificate
  readonly hostAuthorities: readonly PublicKey[]
  readonly userAuthorities: readonly PublicKey[]
}

/**
 * Reads `identity.json`. Throws NotFound when there is none, AccessDenied when others may read it or it is a link (the message
 * names the file and the remedy), BadParameter when its content is not what `saveIdentity` writes.
 */
export async function loadIdentity(path: string): Promise<MachineIdentity> {
  throw new ConnectionProblem(`cannot read ${path} yet`)
}

/** Writes `identity.json` (0600, replaced atomically); makes the directory (0700) when it is missing. */
export async function saveIdentity(path: string, _identity: MachineIdentity): Promise<void> {
  throw new ConnectionProblem(`cannot write ${path} yet`)
}
