/** Identities of proxy and node: from the auth service on this machine, or from another one with a token. */

import { hostname } from 'node:os'
import { join } from 'node:path'
import { connectAuth, joinCluster } from '../api/connect.ts'
import { loadIdentity, type MachineIdentity, saveIdentity } from '../api/identity.ts'
import type { ServerRole } from '../api/model.ts'
import { createToken } from '../api/routes.ts'
import { formatAddress, isWildcardHost, reachable } from '../common/address.ts'
import type { Env } from '../common/env.ts'
import { checkPrivateDir, type Owner } from '../common/files.ts'
import type { Logger } from '../common/log.ts'
import type { Config } from '../config/types.ts'
import { isConnectionProblem, isNotFound, MissingParameter } from '../errors/errors.ts'
import { equalKeys } from '../ssh/keys/public-key.ts'
import type { PublicKey } from '../ssh/keys/types.ts'

export interface JoinContext {
  readonly config: Config
  readonly uuid: string
  /** Whose the data of auth and proxy is. */
  readonly owner: Owner | undefined
  readonly env: Env
  readonly logger: Logger
  readonly signal: AbortSignal
}

/** Milliseconds. */
const firstDelay = 1_000
const longestDelay = 60_000

const adminPath = (config: Config): string => join(config.dataDir, 'auth', 'admin.json')
const identityPath = (config: Config, role: ServerRole): string => join(config.dataDir, role, 'identity.json')

/**
 * Which of the roles have no identity yet, or, beside the auth service, one of a host authority that it does not trust any more. Throws
 * when a file is there but not usable.
 */
export async function rolesToJoin(
  { config, owner }: Pick<JoinContext, 'config' | 'owner'>,
  roles: readonly ServerRole[],
): Promise<readonly ServerRole[]> {
  const trusted = config.auth.enabled ? await trustedHere(config, owner) : undefined
  const missing = await Promise.all(
    roles
      .filter((role) => role !== 'auth')
      .map(async (role) => {
        try {
          const keeper = role === 'node' ? undefined : owner
          const { certificate } = await loadIdentity(identityPath(config, role), keeper)
          await checkPrivateDir(join(config.dataDir, role), keeper)
          const good = trusted?.some((key) => equalKeys(key, certificate.signatureKey)) ?? true
          return good ? [] : [role]
        } catch (error) {
          if (isNotFound(error)) return [role]
          throw error
        }
      }),
  )
  return missing.flat()
}

/** The host authorities of the auth service on this machine, as it left them; undefined before its first start. */
async function trustedHere(config: Config, owner: Owner | undefined): Promise<readonly PublicKey[] | undefined> {
  try {
    return (await loadIdentity(adminPath(config), owner)).hostAuthorities
  } catch {
    // Auth itself says what is wrong with it.
    return undefined
  }
}

/** Everything that clients may call this machine; goes into its host certificates. */
export function advertisedNames(config: Config, roles: readonly ServerRole[]): readonly string[] {
  const { proxy, ssh, advertise } = config
  const names = [hostname(), ...(advertise === undefined ? [] : [advertise.host])]
  if (roles.includes('proxy')) {
    names.push('localhost', '127.0.0.1', '::1', proxy.listenAddr.host, proxy.webListenAddr.host)
    names.push(...[...proxy.publicAddrs, ...proxy.sshPublicAddrs].map(({ host }) => host))
  }
  if (roles.includes('node')) names.push(ssh.listenAddr.host, ...ssh.publicAddrs.map(({ host }) => host))
  const lower = names.map((name) => name.toLowerCase())
  return [...new Set(lower)].filter((name) => name !== '' && !isWildcardHost(name))
}

/** With the auth service of this machine, already running: no token leaves the process. */
export async function joinLocally(context: JoinContext, roles: readonly ServerRole[]): Promise<void> {
  const { config, env, logger, owner } = context
  const admin = await loadIdentity(adminPath(config), owner)
  const addresses = [formatAddress(reachable(config.auth.listenAddr))]
  const api = connectAuth({ addresses, identity: () => admin, env, logger })
  try {
    const { token, caPins } = await api.call(createToken, { body: { roles: [...roles], ttlSeconds: 60 } })
    await join1(context, roles, {
      addresses,
      token: token.token,
      caPin: caPins,
    })
  } finally {
    await api.close()
  }
}

/**
 * With a token from elsewhere. Waits, ever longer, while no auth server answers; a refusal (token, pin) is thrown at once, since
 * asking again would not change it.
 */
export async function joinRemotely(context: JoinContext, roles: readonly ServerRole[]): Promise<void> {
  const { config, env, logger, signal } = context
  const { authToken } = config
  const list = roles.join(',')
  if (authToken === undefined) {
    throw new MissingParameter(
      'auth_token',
      `this machine has not joined a cluster yet; give it a token with --token, auth_token or TELEPORT_SSH_TOKEN (made by: tctl nodes add --roles=${list})`,
    )
  }
  const addresses = config.authServers.map(formatAddress)
  for (let delay = firstDelay; ; delay = Math.min(delay * 2, longestDelay)) {
    try {
      return await join1(context, roles, { addresses, token: authToken, caPin: config.caPins })
    } catch (error) {
      if (!isConnectionProblem(error)) throw error
      logger.warn(`cannot join the cluster: ${error.message}; trying again in ${delay / 1000} s`)
      await env.sleep(delay, signal)
    }
  }
}

interface JoinWith {
  readonly addresses: readonly string[]
  readonly token: string
  readonly caPin: readonly string[]
}

/** One call for all roles, since a token may be good for one use only. */
async function join1(context: JoinContext, roles: readonly ServerRole[], how: JoinWith): Promise<void> {
  const { config, uuid, env, logger, signal } = context
  const identities: readonly MachineIdentity[] = await joinCluster({
    ...how,
    uuid,
    hostname: config.nodename,
    roles,
    advertisedNames: advertisedNames(config, roles),
    env,
    logger,
    signal,
  })
  await Promise.all(
    roles.map(async (role, index) => {
      const identity = identities[index]
      if (identity === undefined)
        throw new MissingParameter('identity', `the auth service gave no certificate for ${role}`)
      await saveIdentity(identityPath(config, role), identity, role === 'node' ? undefined : context.owner)
    }),
  )
}
