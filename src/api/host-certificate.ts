/** What a machine's host certificate says (docs/protocol.md), and whether to believe it. */

import type { Certificate } from '../ssh/certificate/types.ts'
import { verifyCertificate } from '../ssh/certificate/verify.ts'
import type { PublicKey } from '../ssh/keys/types.ts'

export const authorityExtension = 'x-teleport-authority'
export const roleExtension = 'x-teleport-role'

export interface MachinePolicy {
  readonly hostAuthorities: readonly PublicKey[]
  readonly clusterName: string
  /** Roles that are accepted here. */
  readonly roles: readonly string[]
  readonly now: Date
}

export type MachineVerdict =
  | { readonly ok: true; readonly uuid: string; readonly role: string }
  | {
      readonly ok: false
      readonly reason: string
      /** Perhaps the host authority was replaced, and one of the two has not heard of it. */
      readonly unknownAuthority?: boolean
    }

/** Judges the certificate itself; proof that the machine has its key is the caller's other half. */
export function verifyMachine(certificate: Certificate, policy: MachinePolicy): MachineVerdict {
  const verdict = verifyCertificate(certificate, {
    type: 'host',
    authorities: policy.hostAuthorities,
    now: policy.now,
    principal: undefined,
    knownExtensions: [authorityExtension, roleExtension],
  })
  if (!verdict.ok) {
    return { ok: false, reason: verdict.reason, unknownAuthority: verdict.refusal === 'unknown-authority' }
  }
  const cluster = certificate.extensions.get(authorityExtension)?.toString('utf8')
  if (cluster !== policy.clusterName) {
    return { ok: false, reason: `the host certificate belongs to the cluster ${JSON.stringify(cluster ?? '')}` }
  }
  const role = certificate.extensions.get(roleExtension)?.toString('utf8') ?? ''
  if (!policy.roles.includes(role)) {
    return {
      ok: false,
      reason: `the host certificate has the role ${JSON.stringify(role)}, not ${policy.roles.join(' or ')}`,
    }
  }
  const uuid = certificate.keyId.slice(0, 36)
  if (certificate.keyId !== `${uuid}.${cluster}` || !/^[0-9a-f-]{36}$/.test(uuid)) {
    return { ok: false, reason: 'the key id of the host certificate is not <uuid>.<cluster>' }
  }
  return { ok: true, uuid, role }
}
