/** Certificates that prove a second factor: of one minute for a session on one node, or of some minutes for a list of nodes. */

import { canSeeNode } from '../../access/decide.ts'
import { canJoinOthers } from '../../access/join.ts'
import { grantTtlMs, mayNeedSessionMfa, needsSessionMfa } from '../../access/session-mfa.ts'
import type { Caller } from '../../api/caller.ts'
import { parseKeyLine } from '../../api/lines.ts'
import type { MfaAction, Proof } from '../../api/mfa-model.ts'
import { loginExpiresExtension } from '../../api/mfa-names.ts'
import type { Presence, UserCredentials } from '../../api/model.ts'
import { describeDuration } from '../../common/durations.ts'
import type { Env } from '../../common/env.ts'
import { AccessDenied, BadParameter, NotFound } from '../../errors/errors.ts'
import type { Audit } from '../audit.ts'
import type { Issuer } from '../certificates.ts'
import type { Hub } from '../hub.ts'
import type { Tables } from '../records.ts'
import type { Users } from '../users.ts'
import type { Factors, ProvenBy } from './factors.ts'
import { choiceOf } from './policy.ts'
import type { Prover } from './prover.ts'

/** Seconds. */
const sessionTtl = 60

export interface SessionCertificatesOptions {
  readonly tables: Tables
  readonly hub: Hub
  readonly users: Users
  readonly issuer: Issuer
  readonly factors: Factors
  readonly prover: Prover
  readonly audit: Audit
  readonly env: Env
}

type Action<K extends MfaAction['kind']> = Extract<MfaAction, { kind: K }>

export class SessionCertificates {
  readonly #options: SessionCertificatesOptions

  constructor(options: SessionCertificatesOptions) {
    this.#options = options
  }

  async check(caller: Caller, host: string, joining: boolean) {
    const { tables, factors, hub } = this.#options
    const user = userOf(caller)
    const choice = choiceOf(factors.settings, (await tables.credentials.find(caller.name))?.value)
    const nodes = this.#nodes(caller, host)
    const [node] = nodes
    // What cannot be resolved is for the proxy to explain.
    if (node === undefined || nodes.length > 1) {
      return { required: mayNeedSessionMfa(user.roles, hub.config.requireSessionMfa) && nodes.length > 0, choice }
    }
    const { roles, traits } = user
    const cluster = hub.config.requireSessionMfa
    const required = needsSessionMfa({ roles, traits, nodeLabels: joining ? undefined : node.labels, cluster })
    const { uuid, hostname, labels } = node
    return { required, choice, ...(required ? { node: { uuid, hostname, labels } } : {}) }
  }

  async session(caller: Caller, action: Action<'session'>, proof: Proof): Promise<UserCredentials> {
    const publicKey = parseKeyLine(action.publicKey)
    const nodes = this.#nodes(caller, action.host)
    const [node] = nodes
    if (node === undefined) throw new NotFound(`there is no node ${JSON.stringify(action.host)} that you may reach`)
    if (nodes.length > 1)
      throw new BadParameter('host', `${nodes.length} nodes match ${JSON.stringify(action.host)}; name one`)
    const by = await this.#options.prover.require(caller, action, proof)
    return await this.#issue(caller, publicKey, by, [node.uuid], sessionTtl)
  }

  /** Before anybody is asked for a proof. The key that would be certified. Throws AccessDenied, BadParameter. */
  checkGrant(caller: Caller, action: Action<'grant'>) {
    const { roles, certificate } = userOf(caller)
    const publicKey = parseKeyLine(action.publicKey)
    const limit = grantTtlMs(roles) / 1000
    if (limit === 0) {
      throw new AccessDenied(
        'access denied: your roles do not let one proof open sessions on several servers (session_mfa_grant_ttl)',
      )
    }
    if (action.ttlSeconds > limit || action.ttlSeconds < sessionTtl) {
      throw new BadParameter('ttl', `your roles allow 1 minute to ${describeDuration(limit * 1000)}`)
    }
    // A proof for some servers does not make another for more.
    if (certificate.extensions.has(loginExpiresExtension)) {
      throw new AccessDenied('access denied: use the certificate of your login')
    }
    return publicKey
  }

  async grant(caller: Caller, action: Action<'grant'>, proof: Proof): Promise<UserCredentials> {
    const { audit, prover, env } = this.#options
    const publicKey = this.checkGrant(caller, action)
    const by = await prover.require(caller, action, proof)
    const expires = new Date(env.now().getTime() + action.ttlSeconds * 1000).toISOString()
    if (by.device === undefined) throw new AccessDenied('access denied: no second factor')
    await audit.emit({
      event: 'session_mfa.grant',
      user: caller.name,
      hosts: [...action.hosts],
      expires,
      mfa_device_name: by.device.name,
      mfa_device_uuid: by.device.id,
      mfa_device_type: by.device.kind,
      'addr.remote': caller.address,
    })
    return await this.#issue(caller, publicKey, by, action.hosts, action.ttlSeconds)
  }

  /** No more than the certificate that asks: its roles, and not beyond its end. Good from the caller's address alone. */
  async #issue(
    caller: Caller,
    publicKey: ReturnType<typeof parseKeyLine>,
    by: ProvenBy,
    targets: readonly string[],
    ttlSeconds: number,
  ): Promise<UserCredentials> {
    const { users, issuer } = this.#options
    const { roles, expires } = userOf(caller)
    if (by.device === undefined) throw new AccessDenied('access denied: no second factor')
    return await issuer.user({
      user: (await users.get(caller.name)).value,
      roles,
      publicKey,
      ttlSeconds,
      notAfter: expires,
      address: caller.address,
      mfa: { device: by.device.id, name: by.device.name, targets: [...targets], loginExpires: expires },
    })
  }

  /** Nodes that the user may see, by what they are called: as the proxy finds them. */
  #nodes(caller: Caller, host: string): readonly Presence[] {
    const { hub, env } = this.#options
    const user = userOf(caller)
    const { clusterName, snapshot } = hub
    const nowMs = env.now().getTime()
    const plain = host.toLowerCase().endsWith(`.${clusterName.toLowerCase()}`)
      ? host.slice(0, -clusterName.length - 1)
      : host
    const equals = host.indexOf('=')
    const byUuid = snapshot.servers.byUuid('node', plain.toLowerCase(), nowMs)
    const found =
      byUuid !== undefined
        ? [byUuid]
        : equals > 0
          ? snapshot.servers.byLabel('node', host.slice(0, equals), host.slice(equals + 1), nowMs)
          : snapshot.servers.byHostname('node', plain, nowMs)
    const named = found.length > 0 ? found : snapshot.servers.byAddress('node', host, undefined, nowMs)
    // As at the proxy: whoever may join sessions of others reaches every node by its uuid.
    return named.filter((node) => canSeeNode(user, node.labels) || (node === byUuid && canJoinOthers(user.roles)))
  }
}

function userOf(caller: Caller) {
  if (caller.user === undefined) throw new AccessDenied('only users open sessions')
  return caller.user
}
