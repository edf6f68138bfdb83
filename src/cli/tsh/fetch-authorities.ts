/**
 * Asks the proxy whom the cluster trusts now. Apart from `trust.ts`, and in the short ways of `tsh ssh` and `tsh scp` a bundle of its own:
 * it needs the API and HTTPS, which an ordinary session never does.
 */

import { webAuthorities } from '../../api/web.ts'
import { AccessDenied } from '../../errors/errors.ts'
import type { PublicKey } from '../../ssh/keys/types.ts'
import { publicKeyOfLine } from './keys.ts'
import { callWeb, type WebTarget } from './web-client.ts'

export interface ClusterAuthorities {
  readonly host: readonly PublicKey[]
  /** The one that signs new certificates first. */
  readonly user: readonly PublicKey[]
}

/** What the cluster trusts now. Throws ConnectionProblem, AccessDenied for another cluster. */
export async function fetchAuthorities(target: WebTarget, cluster: string): Promise<ClusterAuthorities> {
  const answer = await callWeb(target, webAuthorities)
  if (answer.clusterName !== cluster) {
    throw new AccessDenied(`this proxy serves the cluster ${answer.clusterName}, not ${cluster}; log in again`)
  }
  const keys = (lines: readonly string[]) => lines.map((line) => publicKeyOfLine(line, 'authority'))
  return { host: keys(answer.host), user: keys(answer.user) }
}
