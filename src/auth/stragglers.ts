/** Which machines have not followed a rotation yet: those that end with it would lock out, or that would not know whom to trust. Pure. */

import { parseKeyLine } from '../api/lines.ts'
import type { Authority, Presence } from '../api/model.ts'
import type { Straggler } from '../api/rotation-routes.ts'
import { fingerprintSha256 } from '../ssh/keys/public-key.ts'

/** For each authority that is being rotated. In `standby` nobody is waited for. */
export function stragglersOf(authorities: readonly Authority[], servers: readonly Presence[]): readonly Straggler[] {
  const rotating = authorities
    .filter(({ rotation }) => rotation !== undefined)
    .map(({ type, rotation, keys }) => ({ type, phase: rotation?.phase, keys: keys.map(fingerprintOf) }))
  if (rotating.length === 0) return []
  return servers.flatMap((server) => {
    const reason = rotating.map((authority) => whyBehind(authority, server)).find((found) => found !== undefined)
    const { uuid, role, hostname } = server
    return reason === undefined ? [] : [{ uuid, role, hostname, reason }]
  })
}

interface Rotating {
  readonly type: Authority['type']
  readonly phase: string | undefined
  /** Fingerprints, that of the key which signs first. */
  readonly keys: readonly string[]
}

function whyBehind({ type, phase, keys }: Rotating, { trusts, certifiedBy }: Presence): string | undefined {
  if (trusts === undefined || certifiedBy === undefined) return 'does not say which authorities it knows'
  if (!keys.every((key) => trusts.includes(key))) return `has not heard of the new ${type} authority`
  const mustRenew = type === 'host' && (phase === 'update_servers' || phase === 'rollback')
  if (mustRenew && certifiedBy !== keys[0]) return 'still has a certificate of the other host authority'
  return undefined
}

const fingerprintOf = (line: string): string => fingerprintSha256(parseKeyLine(line, 'authority'))
