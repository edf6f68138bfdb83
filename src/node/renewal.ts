/** Keeps the node's host certificate good: renewed long before its end, and when the host authority was replaced. */

import type { ApiClient } from '../api/client.ts'
import type { ClusterState } from '../api/cluster-state.ts'
import { type MachineIdentity, saveIdentity } from '../api/identity.ts'
import { formatKeyLine, parseCertificateLine, parseKeyLine } from '../api/lines.ts'
import { renewHost } from '../api/routes.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { NotFound } from '../errors/errors.ts'
import { messageOf } from '../errors/system.ts'
import { equalKeys } from '../ssh/keys/public-key.ts'

export interface RenewalOptions {
  readonly client: ApiClient
  readonly state: ClusterState
  /** `identity.json` of the node. */
  readonly path: string
  identity(): MachineIdentity
  replace(identity: MachineIdentity): void
  readonly hostname: string
  readonly env: Env
  readonly logger: Logger
  readonly signal: AbortSignal
}

const checkMs = 60_000

/** Runs until the signal. */
export async function runRenewal(options: RenewalOptions): Promise<void> {
  const { env, logger, signal } = options
  try {
    for (;;) {
      await env.sleep(checkMs, signal)
      if (!isDue(options.identity(), options.state, env.now())) continue
      await renew(options).catch((error: unknown) => {
        logger.warn('the host certificate could not be renewed', { reason: messageOf(error) })
      })
    }
  } catch {
    // The node is closing.
  }
}

/** A third of the lifetime is left, or its authority is not trusted any more. */
export function isDue({ certificate }: MachineIdentity, state: ClusterState, now: Date): boolean {
  const { validAfter, validBefore, signatureKey } = certificate
  const seconds = BigInt(Math.floor(now.getTime() / 1000))
  if (validBefore - seconds < (validBefore - validAfter) / 3n) return true
  const { hostAuthorities } = state
  return hostAuthorities.length > 0 && !hostAuthorities.some((key) => equalKeys(key, signatureKey))
}

/** One renewal, now. */
export async function renew(options: RenewalOptions): Promise<void> {
  const old = options.identity()
  const { key, uuid, clusterName, role } = old
  const answer = await options.client.call(
    renewHost,
    {
      body: {
        hostname: options.hostname,
        publicKey: formatKeyLine(key.publicKey),
        advertisedNames: namesOf(old, options.hostname),
      },
    },
    options.signal,
  )
  const line = answer.certificates.find((entry) => entry.role === 'node')?.certificate
  if (line === undefined) throw new NotFound('the auth service sent no certificate for a node')
  const keys = (lists: typeof answer.hostAuthorities) =>
    lists.flatMap((authority) => authority.keys.map((text) => parseKeyLine(text, 'authority')))
  const identity: MachineIdentity = {
    role,
    uuid,
    clusterName,
    key,
    certificate: parseCertificateLine(line),
    hostAuthorities: keys(answer.hostAuthorities),
    userAuthorities: keys(answer.userAuthorities),
  }
  await saveIdentity(options.path, identity)
  options.replace(identity)
  options.logger.info('the host certificate was renewed')
}

/** The names it has now: a renewal gives no others. Auth adds uuid and host name, alone and with the cluster, itself. */
function namesOf({ certificate, uuid, clusterName }: MachineIdentity, hostname: string): string[] {
  const own = [uuid, hostname.toLowerCase()]
  return certificate.principals.filter(
    (name) => !own.includes(name.toLowerCase()) && !name.toLowerCase().endsWith(`.${clusterName.toLowerCase()}`),
  )
}
