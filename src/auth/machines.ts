/** Machines join with a token and renew their certificates. A certificate names its own machine and no other. */

import { isIP } from 'node:net'
import type { Caller } from '../api/caller.ts'
import { formatCertificateLine, parseKeyLine } from '../api/lines.ts'
import { machineRoleOf } from '../api/machine-roles.ts'
import type { HostCredentials, Presence, ServerRole } from '../api/model.ts'
import { splitAddress } from '../api/server-index.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { isUuid, nameProblem } from '../common/names.ts'
import { AccessDenied, AlreadyExists, BadParameter, isCompareFailed } from '../errors/errors.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import type { Authorities } from './authorities.ts'
import { type Issuer, isAddress } from './certificates.ts'
import type { Hub } from './hub.ts'
import { type PresenceService, serverRoleOf } from './presence.ts'
import type { Tables } from './records.ts'
import type { Tokens } from './tokens.ts'

export class Machines {
  readonly #options: MachinesOptions

  constructor(options: MachinesOptions) {
    this.#options = options
  }

  /** Uses up the token before any certificate is made: of two machines with one token, one joins. */
  async join(
    caller: Caller,
    request: {
      readonly uuid: string
      readonly hostname: string
      readonly keys: readonly { readonly role: ServerRole; readonly publicKey: string }[]
      readonly advertisedNames: readonly string[]
    },
  ): Promise<HostCredentials> {
    const { backend, tables, tokens, env, ownUuid } = this.#options
    const { token } = caller
    if (token === undefined) throw new AccessDenied('joining needs a token')
    const uuid = checkUuid(request.uuid)
    const roles = request.keys.map(({ role }) => role)
    const keys = request.keys.map(({ role, publicKey }) => ({ role, key: machineKey(publicKey) }))
    if (new Set(roles).size !== roles.length) throw new BadParameter('keys', 'a role appears twice')
    const grant = await tokens.grant(token, roles)
    if (roles.includes('auth')) {
      throw new BadParameter('keys', 'a second auth server needs a store that both share; this version has none')
    }
    const names = this.#checkNames({ uuid, roles, address: caller.address }, request.hostname, request.advertisedNames)

    // The roles of one machine may join one by one, as long as it is this very machine.
    const sameMachine = uuid === ownUuid && caller.sameHost === true
    const known = await tables.hosts.find(uuid)
    if ((known !== undefined || uuid === ownUuid) && !sameMachine) {
      throw new AlreadyExists(`the cluster knows a machine with the uuid ${uuid} already`)
    }
    const record = {
      hostname: request.hostname,
      roles: [...new Set([...(known?.value.roles ?? []), ...roles])],
      joined: env.now().toISOString(),
    }
    try {
      const guard = known === undefined ? tables.hosts.absent(uuid) : tables.hosts.unchanged(known)
      await backend.commit([...grant.use, guard, tables.hosts.put(uuid, record)])
    } catch (error) {
      if (isCompareFailed(error))
        throw new AccessDenied('the token was used by another machine just now', { cause: error })
      throw error
    }
    return this.#issue(uuid, keys, names, caller.address)
  }

  /** A new certificate for the machine that asks, with the names it has and, at most, new addresses of its own. */
  async renew(
    caller: Caller,
    request: { readonly hostname: string; readonly publicKey: string; readonly advertisedNames: readonly string[] },
  ): Promise<HostCredentials> {
    const role = serverRoleOf(caller)
    const asks = { uuid: caller.name, roles: [role], address: caller.address }
    const wanted = this.#checkNames(asks, request.hostname, request.advertisedNames)
    const held = (caller.names ?? []).map((name) => name.toLowerCase())
    const isHeld = (name: string) => held.includes(name.toLowerCase())
    if (!isHeld(request.hostname)) {
      const name = JSON.stringify(request.hostname)
      throw new AccessDenied(
        `the certificate of ${caller.name} does not hold the name ${name}; join again with a token to change it`,
      )
    }
    const names = wanted.filter((name) => isAddress(name) || isHeld(name))
    if (names.length < wanted.length) {
      const dropped = wanted.filter((name) => !names.includes(name))
      this.#options.logger.warn('names were left out of a renewed certificate', { uuid: caller.name, names: dropped })
    }
    return this.#issue(caller.name, [{ role, key: machineKey(request.publicKey) }], names, caller.address)
  }

  async #issue(
    uuid: string,
    keys: readonly { readonly role: ServerRole; readonly key: PublicKey }[],
    names: readonly string[],
    address: string,
  ): Promise<HostCredentials> {
    const { issuer, authorities } = this.#options
    const certificates: HostCredentials['certificates'] = []
    for (const { role, key } of keys) {
      const request = { uuid, role: machineRoleOf[role], publicKey: key, names, address }
      certificates.push({ role, certificate: formatCertificateLine(await issuer.machine(request)) })
    }
    return {
      uuid,
      clusterName: authorities.clusterName,
      certificates,
      hostAuthorities: [authorities.public('host')],
      userAuthorities: [authorities.public('user')],
    }
  }

  /**
   * The names for a certificate. Throws when one is malformed or a pattern, and when the machine's own name is that of a server
   * that is there; an advertised name that belongs to such a server is left out.
   */
  #checkNames(asks: Asks, hostname: string, advertised: readonly string[]): readonly string[] {
    const suffix = `.${this.#options.authorities.clusterName}`
    const own = checkHostname(hostname)
    const names = advertised.filter((name) => {
      if (isAddress(name)) return checkAddress(name) && (isLoopback(name) || this.#reachedAs(name, asks) === undefined)
      const bare = bareName(checkAdvertised(name), suffix)
      if (isUuid(bare) && bare !== asks.uuid)
        throw new AccessDenied(`${JSON.stringify(name)} is the name of another machine`)
      return bare === 'localhost' || (this.#ownerOf(bare, asks) ?? this.#reachedAs(bare, asks)) === undefined
    })
    const owner = this.#ownerOf(bareName(own, suffix), asks) ?? this.#reachedAs(bareName(own, suffix), asks)
    if (owner !== undefined) {
      throw new AccessDenied(
        `a ${owner.role} named ${JSON.stringify(own)} is there already (${owner.uuid}); choose another --nodename, or stop that one and wait two minutes`,
      )
    }
    return [...new Set([own, ...names])]
  }

  /** The other server that has this name and was heard of just now. */
  #ownerOf(name: string, asks: Asks): Presence | undefined {
    const { hub, env } = this.#options
    const now = env.now().getTime()
    return asks.roles.flatMap((role) => hub.snapshot.servers.byHostname(role, name, now)).find(this.#isOther(asks))
  }

  /**
   * The other server that clients dial under this name or address. Of any role: a node that is certified under the name of the
   * proxy could pass for it. Proxies share a name among themselves, behind a load balancer.
   */
  #reachedAs(name: string, asks: Asks): Presence | undefined {
    const { hub, env } = this.#options
    const now = env.now().getTime()
    const roles = asks.roles.includes('proxy') ? (['node'] as const) : (['proxy', 'node'] as const)
    return roles.flatMap((role) => hub.snapshot.servers.byAddress(role, name, undefined, now)).find(this.#isOther(asks))
  }

  /** One at the same address is this machine's own past. */
  #isOther(asks: Asks): (server: Presence) => boolean {
    const { presence } = this.#options
    return ({ role, uuid, address }) =>
      uuid !== asks.uuid && presence.isThere(role, uuid) && splitAddress(address).host !== asks.address
  }
}

/** The machine that wants a certificate. */
interface Asks {
  readonly uuid: string
  readonly roles: readonly ServerRole[]
  readonly address: string
}

const isLoopback = (address: string): boolean => address.startsWith('127.') || address === '::1'

const bareName = (name: string, suffix: string): string =>
  (name.endsWith(suffix) ? name.slice(0, -suffix.length) : name).toLowerCase()

function checkHostname(name: string): string {
  const problem = nameProblem('node name', name)
  if (problem !== undefined) throw new BadParameter('hostname', problem)
  return name
}

/** Patterns such as `*.example.com` are not names: they would be good for every machine. */
function checkAdvertised(name: string): string {
  const problem = nameProblem('node name', name)
  if (problem !== undefined) throw new BadParameter('advertisedNames', problem)
  return name
}

function checkAddress(name: string): true {
  if (isIP(name) !== 0) return true
  throw new BadParameter('advertisedNames', `${JSON.stringify(name)} is not an address`)
}

export interface MachinesOptions {
  readonly backend: Backend
  readonly tables: Tables
  readonly tokens: Tokens
  readonly issuer: Issuer
  readonly authorities: Authorities
  readonly hub: Hub
  readonly presence: PresenceService
  readonly env: Env
  readonly logger: Logger
  /** Uuid of the machine that auth runs on. */
  readonly ownUuid: string
}

function checkUuid(uuid: string): string {
  if (isUuid(uuid)) return uuid
  throw new BadParameter('uuid', `${JSON.stringify(uuid)} is not a uuid in lower case`)
}

function machineKey(line: string): PublicKey {
  const key = parseKeyLine(line)
  if (key.type === 'ssh-ed25519') return key
  throw new BadParameter('publicKey', `machines have ssh-ed25519 keys, this one is ${key.type}`)
}
