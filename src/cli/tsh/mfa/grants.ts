/** The certificate of a proof that covers several nodes, kept beside the login's own. */

import { rmSync } from 'node:fs'
import { coversNode, type MfaNode } from '../../../access/session-mfa.ts'
import { mfaVerifiedBy } from '../../../api/session-mfa.ts'
import type { Certificate } from '../../../ssh/certificate/types.ts'
import { certificateOfLine, validBefore } from '../keys.ts'
import type { ActiveLogin } from '../login-state.ts'
import { loginPaths } from '../profile.ts'
import { readPrivate, tshHome, writePrivate } from '../store.ts'

const pathOf = (login: ActiveLogin): string =>
  loginPaths(tshHome(), login.profile.proxyHost, login.profile.user).mfaCertificate

export function saveGrant(login: ActiveLogin, certificate: string): void {
  writePrivate(pathOf(login), `${certificate.trim()}\n`)
}

/** One that still lives and is for this node. */
export function grantFor(login: ActiveLogin, node: MfaNode, now: Date): Certificate | undefined {
  if (login.fromFile) return undefined
  const path = pathOf(login)
  const text = readPrivate(path)
  if (text === undefined) return undefined
  const certificate = certificateOfLine(text, path)
  if (validBefore(certificate) <= now || !certificate.publicKey.blob.equals(login.key.publicKey.blob)) {
    rmSync(path, { force: true })
    return undefined
  }
  const proof = mfaVerifiedBy(certificate)
  return proof !== undefined && coversNode(proof.targets, node) ? certificate : undefined
}
