/**
 * Whom to trust after the cluster has replaced its authorities. The proxy is asked over HTTPS, which is where a login got its
 * authorities from: what is learned here is as good as a new login, and where HTTPS is not trusted nothing is learned. Every session
 * loads this file, so it loads the API only when there is something to ask.
 */

import { UnknownAuthority } from '../../api/host-check.ts'
import { AccessDenied } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { equalKeys } from '../../ssh/keys/public-key.ts'
import type { PublicKey } from '../../ssh/keys/types.ts'
import { splitHostPort } from './address.ts'
import type { ClusterAuthorities } from './fetch-authorities.ts'
import { publicKeyLine } from './keys.ts'
import type { ActiveLogin } from './login-state.ts'
import { saveHostAuthorities } from './profile.ts'
import { tshHome } from './store.ts'
import type { WebTarget } from './web-client.ts'

const fetchAuthorities = async (target: WebTarget, cluster: string): Promise<ClusterAuthorities> =>
  (await import('./fetch-authorities.ts')).fetchAuthorities(target, cluster)

const fetchFor = (login: ActiveLogin): Promise<ClusterAuthorities> => {
  const { profile, insecure } = login
  return fetchAuthorities({ ...splitHostPort(profile.webProxyAddress, 'web_proxy_addr'), insecure }, profile.cluster)
}

/** Uses these from now on, and keeps them where the login is kept. */
export function trustHosts(login: ActiveLogin, host: readonly PublicKey[]): void {
  login.hostAuthorities = host
  if (!login.fromFile) saveHostAuthorities(tshHome(), login.profile, host.map(publicKeyLine))
}

/**
 * Runs `connect`, and once more with what the proxy says now when the other side shows a certificate of an authority that this login
 * does not know. Throws AccessDenied when it stays unknown.
 */
export async function withFreshAuthorities<T>(login: ActiveLogin, connect: (again: boolean) => Promise<T>): Promise<T> {
  try {
    return await connect(false)
  } catch (error) {
    if (!(error instanceof UnknownAuthority)) throw error
    const { host } = await fetchFor(login).catch((reason: unknown) => {
      const remedy = `if the cluster has a new host authority, log in again: tsh login --proxy=${login.profile.proxyHost}`
      throw new AccessDenied(`${error.message}; ${remedy} (${messageOf(reason)})`, { cause: error })
    })
    if (!host.some((key) => equalKeys(key, error.authority))) throw error
    trustHosts(login, host)
    return await connect(true)
  }
}

/** Why a proxy or node refused a certificate that has not expired, where the cluster's authorities are the reason; else the error as it is. */
export async function explainRefusedLogin(login: ActiveLogin, error: unknown): Promise<unknown> {
  const { certificate, profile } = login
  const known = await fetchFor(login).catch(() => undefined)
  if (known === undefined || known.user.some((key) => equalKeys(key, certificate.signatureKey))) return error
  const { user, proxyHost } = profile
  return new AccessDenied(
    `the certificate of ${user} is of a user authority that the cluster has replaced; log in again: tsh login --proxy=${proxyHost} --user=${user}`,
    { cause: error },
  )
}

/** Whether there is no reason to log in again, as far as the authorities go. Learns those of hosts on the way. */
export async function isCurrent(login: ActiveLogin, target: WebTarget): Promise<boolean> {
  const known = await fetchAuthorities(target, login.profile.cluster).catch(() => undefined)
  // A proxy that does not answer is no reason to take a login away.
  if (known === undefined) return true
  const [signing] = known.user
  if (signing !== undefined && !equalKeys(signing, login.certificate.signatureKey)) return false
  login.hostAuthorities = known.host
  return true
}
