/** The line with which a proxy says on whose behalf it connects (docs/protocol.md): made by the proxy, believed only when verified. */

import type { Env } from '../common/env.ts'
import { ConnectionProblem } from '../errors/errors.ts'
import type { PeerAddress } from '../ssh/server-types.ts'
import type { ClusterState } from './cluster-state.ts'
import type { MachineIdentity } from './identity.ts'

export const preamblePrefix = 'TELEPORT-PROXY-V1'

/** The whole line with its CRLF, for `SshClientOptions.preamble` or to be written before a spliced stream. */
export async function signPreamble(
  _identity: MachineIdentity,
  _client: PeerAddress,
  _target: string,
  _env?: Env,
): Promise<string> {
  throw new ConnectionProblem('no preamble yet')
}

export interface PreambleVerifier {
  /** For `SshServerOptions.preamble`. */
  readonly prefix: string
  /** The true client. Throws AccessDenied with the reason. */
  verify(text: string, peer: PeerAddress): Promise<PeerAddress>
}

/** `target` is the own uuid, or `auth`. */
export function preambleVerifier(_options: {
  readonly target: string
  readonly state: Pick<ClusterState, 'clusterName' | 'hostAuthorities'>
  readonly env?: Env
}): PreambleVerifier {
  throw new ConnectionProblem('no preamble yet')
}
