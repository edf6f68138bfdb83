/** What a user certificate says about second factors, and whether that is enough for a session. Node and `tsh` read the same. */

import { z } from 'zod'
import { coversNode, type MfaNode, needsSessionMfa } from '../access/session-mfa.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import type { UserIdentity } from './authenticate-user.ts'
import { mfaVerifiedExtension, sessionMfaRefusal } from './mfa-names.ts'

const verified = z.strictObject({ device: z.string(), name: z.string(), targets: z.array(z.string()).max(64) })
export type MfaVerified = z.infer<typeof verified>

/** Undefined without a proof, and for one that cannot be read. */
export function mfaVerifiedBy(certificate: Certificate): MfaVerified | undefined {
  const content = certificate.extensions.get(mfaVerifiedExtension)
  if (content === undefined) return undefined
  try {
    return verified.parse(JSON.parse(content.toString('utf8')))
  } catch {
    return undefined
  }
}

/** Why this user may not open a session here without a proof; undefined when they may. `node`: undefined when only joining. */
export function missingSessionMfa(
  identity: Pick<UserIdentity, 'roles' | 'traits' | 'certificate'>,
  node: MfaNode,
  cluster: boolean,
  joining = false,
): string | undefined {
  const { roles, traits, certificate } = identity
  const nodeLabels = joining ? undefined : node.labels
  if (!needsSessionMfa({ roles, traits, nodeLabels, cluster })) return undefined
  const proof = mfaVerifiedBy(certificate)
  if (proof !== undefined && coversNode(proof.targets, node)) return undefined
  return `${sessionMfaRefusal} on ${node.hostname}: use tsh ssh, or for other programs first: tsh mfa grant --hosts=${node.hostname}`
}
