/** Machines join with a token and renew their certificates. A certificate names its own machine and no other. */

import type { Caller } from '../api/caller.ts'
import { formatCertificateLine, parseKeyLine } from '../api/lines.ts'
import { machineRoleOf } from '../api/machine-roles.ts'
import type { HostCredentials, ServerRole } from '../api/model.ts'
import type { Backend } from '../backend/contract.ts'
import type { Env } from '../common/env.ts'
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
    const names = this.#checkNames(uuid, roles, request.hostname, request.advertisedNames)

    // The roles of one machine may join one by one, as long as it is this very machine.
    const sameMachine = uuid === ownUuid && isLoopback(caller.address)
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
    const names = this.#checkNames(caller.name, [role], request.hostname, request.advertisedNames)
    const held = (caller.names ?? []).map((name) => name.toLowerCase())
    const foreign = names.filter((name) => !isAddress(name) && !held.includes(name.toLowerCase()))
    if (foreign.length > 0) {
      throw new AccessDenied(
        `the certificate of ${caller.name} does not hold ${foreign.map((name) => JSON.stringify(name)).join(', ')}; join again with a token to change names`,
      )
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

  /** The names for a certificate. Throws when one is malformed, a pattern, or the name of a server that is there. */
  #checkNames(
    uuid: string,
    roles: readonly ServerRole[],
    hostname: string,
    advertised: readonly string[],
  ): readonly string[] {
    const { hub, presence, authorities, env } = this.#options
    const suffix = `.${authorities.clusterName}`
    const names = [...new Set([hostname, ...advertised])]
    for (const name of names) {
      if (isAddress(name) && name !== hostname) {
        if (/^[0-9a-fA-F:.]+$/.test(name)) continue
        throw new BadParameter('advertisedNames', `${JSON.stringify(name)} is not an address`)
      }
      const problem = nameProblem('node name', name)
      if (problem !== undefined) throw new BadParameter(name === hostname ? 'hostname' : 'advertisedNames', problem)
      const bare = name.endsWith(suffix) ? name.slice(0, -suffix.length) : name
      if (isUuid(bare.toLowerCase()) && bare.toLowerCase() !== uuid) {
        throw new AccessDenied(`${JSON.stringify(name)} is the name of another machine`)
      }
      if (bare.toLowerCase() === 'localhost' && name !== hostname) continue
      for (const role of roles) {
        const others = hub.snapshot.servers.byHostname(role, bare, env.now().getTime())
        const other = others.find((server) => server.uuid !== uuid && presence.isThere(role, server.uuid))
        if (other !== undefined) {
          throw new AccessDenied(
            `a ${role} named ${JSON.stringify(bare)} is there already (${other.uuid}); choose another --nodename, or stop that one and wait two minutes`,
          )
        }
      }
    }
    return names
  }
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

export const isLoopback = (address: string): boolean => /^(127\.|::1$|::ffff:127\.)/.test(address)
