/** Issues certificates. Every one is in the audit log before anybody has it. */

import { allLogins, permissions, pinsSourceAddress, sessionTtlSeconds } from '../access/decide.ts'
import { plainAddress } from '../access/forward-rules.ts'
import { requestStrategy } from '../access/requests.ts'
import { mayNeedSessionMfa } from '../access/session-mfa.ts'
import type { Role } from '../access/types.ts'
import {
  clusterExtension,
  requestsExtension,
  rolesExtension,
  sinceExtension,
  traitsExtension,
  whyShutOut,
} from '../api/authenticate-user.ts'
import { backdateMs } from '../api/clock-skew.ts'
import type { ClusterState } from '../api/cluster-state.ts'
import { authorityExtension, roleExtension } from '../api/host-certificate.ts'
import type { MachineRole } from '../api/identity.ts'
import { formatCertificateLine } from '../api/lines.ts'
import { loginExpiresExtension, mfaVerifiedExtension, sessionMfaHint } from '../api/mfa-names.ts'
import type { UserCredentials } from '../api/model.ts'
import type { Env } from '../common/env.ts'
import { AccessDenied } from '../errors/errors.ts'
import { issueCertificate } from '../ssh/certificate/issue.ts'
import type { Certificate, CertificateTemplate } from '../ssh/certificate/types.ts'
import { fingerprintSha256 } from '../ssh/keys/public-key.ts'
import type { PrivateKey, PublicKey } from '../ssh/keys/types.ts'
import type { Audit } from './audit.ts'
import type { Authorities } from './authorities.ts'
import type { StoredUser } from './records.ts'

/** Seconds. */
const defaultUserTtl = 23 * 3600
/** Host certificates live until the authority is rotated. */
const hostYears = 10

export interface UserRequest {
  readonly user: StoredUser
  /** Definitions of the user's roles. */
  readonly roles: readonly Role[]
  readonly publicKey: PublicKey
  readonly ttlSeconds: number | undefined
  /** The certificate ends no later than this. */
  readonly notAfter?: Date | undefined
  /** Approved requests through which it has roles. */
  readonly accessRequests?: readonly string[]
  /** For the audit log: address of the client, and who asked when it was not the user. */
  readonly address?: string
  readonly requestedBy?: string
  /** A second factor was proved for these nodes: the certificate holds from `address` alone, and sessions until the login's end. */
  readonly mfa?: {
    readonly device: string
    readonly name: string
    readonly targets: readonly string[]
    readonly loginExpires: Date
  }
}

type LockState = Pick<ClusterState, 'locks' | 'staleMs' | 'config'>

export class Issuer {
  readonly #authorities: Authorities
  readonly #audit: Audit
  readonly #env: Env

  readonly #state: LockState

  constructor(options: {
    readonly authorities: Authorities
    readonly audit: Audit
    /** Whoever is locked gets no certificate, whoever asks for it. */
    readonly state: LockState
    readonly env: Env
  }) {
    this.#authorities = options.authorities
    this.#audit = options.audit
    this.#state = options.state
    this.#env = options.env
  }

  /** Never more than the roles give: principals, permissions and lifetime are computed here, not asked for. */
  async user(request: UserRequest): Promise<UserCredentials> {
    const { user, roles, publicKey } = request
    if (roles.length === 0) throw new AccessDenied(`user ${JSON.stringify(user.name)} has no roles; give it one`)
    const { clusterName } = this.#authorities
    const now = this.#env.now()
    const shutOut = whyShutOut(this.#state, { user: user.name, roles, login: undefined, now })
    if (shutOut !== undefined) throw new AccessDenied(`access denied: ${shutOut}`)
    const wanted = now.getTime() + sessionTtlSeconds(roles, request.ttlSeconds, defaultUserTtl) * 1000
    const validBefore = new Date(Math.min(wanted, request.notAfter?.getTime() ?? wanted))
    if (validBefore <= now) throw new AccessDenied('the certificate that was shown has expired; log in again')
    const { accessRequests: active = [] } = request
    const { mode, prompt } = requestStrategy(roles)
    const logins = allLogins({ roles, traits: user.traits })
    const roleNames = roles.map((role) => role.metadata.name)
    const certificate = await issueCertificate(
      {
        publicKey,
        type: 'user',
        keyId: user.name,
        // A certificate without principals would be taken by some verifiers for anybody's.
        principals: logins.length > 0 ? logins : [`-teleport-nologin-${this.#env.randomUuid()}`],
        validAfter: new Date(now.getTime() - backdateMs),
        validBefore,
        ...pinned(roles, request.address, request.mfa !== undefined),
        extensions: {
          ...permits(roles),
          [rolesExtension]: JSON.stringify(roleNames),
          [traitsExtension]: JSON.stringify(user.traits),
          [clusterExtension]: clusterName,
          [sinceExtension]: user.created,
          ...(active.length === 0 ? {} : { [requestsExtension]: JSON.stringify({ access_requests: active }) }),
          ...(mayNeedSessionMfa(roles, this.#state.config.requireSessionMfa) ? { [sessionMfaHint]: '' } : {}),
          ...mfaExtensions(request.mfa),
        },
      },
      this.#authorities.user,
      this.#env,
    )
    await this.#audit.emit({
      event: 'cert.create',
      cert_type: 'user',
      user: user.name,
      identity: {
        ...described(certificate),
        roles: roleNames,
        logins: [...logins],
        ...(active.length === 0 ? {} : { access_requests: [...active] }),
        ...(request.requestedBy === undefined ? {} : { requested_by: request.requestedBy }),
        ...(request.mfa === undefined
          ? {}
          : { mfa_device_uuid: request.mfa.device, mfa_targets: [...request.mfa.targets] }),
      },
      ...(request.address === undefined ? {} : { 'addr.remote': request.address }),
    })
    return {
      certificate: formatCertificateLine(certificate),
      clusterName,
      hostAuthorities: [this.#authorities.public('host')],
      roles: roleNames,
      logins: [...logins],
      validBefore: validBefore.toISOString(),
      ...(mode === 'optional' || active.length > 0 ? {} : { accessRequest: { mode, prompt } }),
    }
  }

  /** For a machine of ours. `names` are host names and addresses besides uuid; each plain name also gets `.<cluster>`. */
  async machine(request: {
    readonly uuid: string
    readonly role: MachineRole
    readonly publicKey: PublicKey
    readonly names: readonly string[]
    readonly address?: string
    /** Default: the one that signs now. */
    readonly authority?: PrivateKey
  }): Promise<Certificate> {
    const { uuid, role, publicKey } = request
    const { clusterName } = this.#authorities
    const names = [uuid, ...request.names]
    const plain = names.filter((name) => !isAddress(name) && !name.endsWith(`.${clusterName}`))
    return this.#host(
      {
        publicKey,
        keyId: `${uuid}.${clusterName}`,
        principals: [...new Set([...names, ...plain.map((name) => `${name}.${clusterName}`)])],
        extensions: { [authorityExtension]: clusterName, [roleExtension]: role },
        lifetimeMs: hostYears * 365 * 86_400_000,
      },
      { server_id: uuid, role },
      request,
    )
  }

  /** For an OpenSSH server. Without our extensions, so that it opens nothing on our own ports. */
  openssh(request: {
    readonly principals: readonly string[]
    readonly publicKey: PublicKey
    readonly ttlSeconds: number | undefined
    readonly requestedBy: string
  }): Promise<Certificate> {
    const { principals, publicKey, requestedBy } = request
    const maxSeconds = hostYears * 365 * 86_400
    const lifetimeMs = Math.max(60, Math.min(request.ttlSeconds ?? maxSeconds, maxSeconds)) * 1000
    const keyId = `${principals[0]}.${this.#authorities.clusterName}`
    const template = { publicKey, keyId, principals: [...new Set(principals)], extensions: {}, lifetimeMs }
    return this.#host(template, { requested_by: requestedBy })
  }

  async #host(
    template: {
      readonly publicKey: PublicKey
      readonly keyId: string
      readonly principals: readonly string[]
      readonly extensions: Readonly<Record<string, string>>
      readonly lifetimeMs: number
    },
    about: Readonly<Record<string, unknown>>,
    { address, authority }: { readonly address?: string; readonly authority?: PrivateKey } = {},
  ): Promise<Certificate> {
    const now = this.#env.now().getTime()
    const { lifetimeMs, ...rest } = template
    const certificate = await issueCertificate(
      { ...rest, type: 'host', validAfter: new Date(now - backdateMs), validBefore: new Date(now + lifetimeMs) },
      authority ?? this.#authorities.host,
      this.#env,
    )
    await this.#audit.emit({
      event: 'cert.create',
      cert_type: 'host',
      identity: { ...described(certificate), ...about },
      ...(address === undefined ? {} : { 'addr.remote': address }),
    })
    return certificate
  }
}

/** The address without which the certificate is worth nothing. Throws AccessDenied when the roles want one and there is none. */
function pinned(
  roles: readonly Role[],
  address: string | undefined,
  always: boolean,
): Pick<CertificateTemplate, 'criticalOptions'> {
  if (!always && !pinsSourceAddress(roles)) return {}
  if (address === undefined) {
    throw new AccessDenied(
      'a role of the user binds certificates to the address of the client (pin_source_ip), which is known at a login only; let the user run tsh login',
    )
  }
  const client = plainAddress(address)
  return { criticalOptions: { 'source-address': `${client}/${client.includes(':') ? 128 : 32}` } }
}

function mfaExtensions(mfa: UserRequest['mfa']): Record<string, string> {
  if (mfa === undefined) return {}
  return {
    [mfaVerifiedExtension]: JSON.stringify({ device: mfa.device, name: mfa.name, targets: mfa.targets }),
    [loginExpiresExtension]: mfa.loginExpires.toISOString(),
  }
}

function permits(roles: readonly Role[]): Record<string, string> {
  const allowed = permissions(roles)
  return {
    ...(allowed.pty ? { 'permit-pty': '' } : {}),
    ...(allowed.portForwarding ? { 'permit-port-forwarding': '' } : {}),
    ...(allowed.agentForwarding ? { 'permit-agent-forwarding': '' } : {}),
    ...(allowed.x11Forwarding ? { 'permit-X11-forwarding': '' } : {}),
  }
}

const described = (certificate: Certificate) => ({
  key_id: certificate.keyId,
  serial: certificate.serial.toString(),
  fingerprint: fingerprintSha256(certificate.publicKey),
  principals: [...certificate.principals],
  expires: new Date(Number(certificate.validBefore) * 1000).toISOString(),
})

export const isAddress = (name: string): boolean => /^[0-9.]+$/.test(name) || name.includes(':')
