/** What makes a proxy the proxy and a node the node: host certificates only, no trust on first use. */

import { AccessDenied } from '../errors/errors.ts'
import type { Certificate } from '../ssh/certificate/types.ts'
import { verifyCertificate } from '../ssh/certificate/verify.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import type { PresentedHostKey } from '../ssh/transport/types.ts'

type Refusal = Extract<ReturnType<typeof verifyCertificate>, { ok: false }>

export interface HostCheck {
  readonly authorities: readonly PublicKey[]
  readonly cluster: string
  readonly now: Date
}

/** Good in itself, but of an authority that this login does not know: perhaps the cluster has a new one. */
export class UnknownAuthority extends AccessDenied {
  readonly authority: PublicKey
  constructor(message: string, authority: PublicKey) {
    super(message)
    this.authority = authority
  }
}

function certificateOf(presented: PresentedHostKey, what: string): Certificate {
  if (presented.certificate !== undefined) return presented.certificate
  throw new AccessDenied(
    `${what} showed a bare host key without a certificate; only certificates of the cluster are accepted`,
  )
}

function verify(certificate: Certificate, check: HostCheck, principal: string | undefined) {
  return verifyCertificate(certificate, { type: 'host', authorities: check.authorities, now: check.now, principal })
}

/**
 * Any proxy of the cluster: only the host authority makes the role `Proxy`, so one that was reached by an address it does not know
 * of is still the proxy, and no node can pass for one, whatever names its certificate holds.
 */
export function checkProxyHost(presented: PresentedHostKey, check: HostCheck, host: string): void {
  const certificate = certificateOf(presented, `the proxy ${host}`)
  const verdict = verify(certificate, check, undefined)
  if (!verdict.ok) throw refused(`the proxy ${host}`, certificate, verdict)
  const role = certificate.extensions.get('x-teleport-role')?.toString('utf8')
  const cluster = certificate.extensions.get('x-teleport-authority')?.toString('utf8')
  if (role !== 'Proxy' || cluster !== check.cluster) {
    throw new AccessDenied(`the proxy ${host} could not prove who it is: its certificate is not that of a proxy`)
  }
}

/** The node must be certified under the name that was asked for, alone or with the cluster's name. */
export function checkNodeHost(presented: PresentedHostKey, check: HostCheck, host: string): void {
  const certificate = certificateOf(presented, `the node ${host}`)
  const lower = host.toLowerCase()
  let refusal: Refusal | undefined
  for (const name of new Set([host, lower, `${lower}.${check.cluster}`])) {
    const verdict = verify(certificate, check, name)
    if (verdict.ok) return
    refusal = verdict
    if (verdict.refusal !== 'wrong-principal') break
  }
  throw refused(`the node ${host}`, certificate, refusal)
}

function refused(what: string, { signatureKey }: Certificate, refusal: Refusal | undefined): AccessDenied {
  const message = `${what} could not prove who it is: ${refusal?.reason ?? 'no name'}`
  return refusal?.refusal === 'unknown-authority'
    ? new UnknownAuthority(message, signatureKey)
    : new AccessDenied(message)
}
