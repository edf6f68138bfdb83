/** Each role behind one face, for role processes and for tests that start a role in their own process. */

import { join } from 'node:path'
import { loadIdentity } from '../api/identity.ts'
import type { ServerRole } from '../api/model.ts'
import { formatAddress } from '../common/address.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import type { Config } from '../config/types.ts'
import { authSettings } from './auth-settings.ts'
import type { Listening } from './messages.ts'

export interface StartRoleOptions {
  readonly config: Config
  readonly version: string
  readonly env: Env
  readonly logger: Logger
}

export interface RunningRole {
  readonly listening: readonly Listening[]
  /** What whoever starts it should know. */
  readonly notes: readonly string[]
  /** With `drainMs`, connections have so long to end by themselves. */
  close(drainMs?: number): Promise<void>
}

/** Starts one role in this process. Loads the code of that role alone. Throws the role's own errors. */
export function startRole(role: ServerRole, options: StartRoleOptions): Promise<RunningRole> {
  switch (role) {
    case 'auth':
      return startAuthRole(options)
    case 'proxy':
      return startProxyRole(options)
    case 'node':
      return startNodeRole(options)
  }
}

const addressText = (address: { readonly address: string; readonly port: number }): string =>
  formatAddress({ host: address.address, port: address.port })

async function startAuthRole({ config, env, logger }: StartRoleOptions): Promise<RunningRole> {
  const { startAuth } = await import('../auth/server.ts')
  const service = await startAuth({
    dataDir: config.dataDir,
    listen: config.auth.listenAddr,
    clusterName: config.auth.clusterName,
    settings: authSettings(config),
    ...(config.bootstrap === undefined ? {} : { bootstrap: config.bootstrap }),
    // Only where the file names a place; the usual one is beside the identity.
    ...(config.storage.path === join(config.dataDir, 'auth') ? {} : { storage: config.storage.path }),
    env,
    logger,
  })
  return {
    listening: [{ what: 'API', address: addressText(service.address) }],
    notes: [`cluster ${service.clusterName}`, ...service.caPins.map((pin) => `CA pin ${pin}`)],
    close: (drainMs) => service.close(drainMs),
  }
}

async function startProxyRole(options: StartRoleOptions): Promise<RunningRole> {
  const { startProxy } = await import('../proxy/start.ts')
  const service = await startProxy(options)
  return {
    listening: [
      { what: 'SSH', address: formatAddress(service.sshAddress) },
      { what: 'HTTPS', address: formatAddress(service.webAddress) },
    ],
    notes: [],
    close: (drainMs) => service.close(drainMs),
  }
}

async function startNodeRole({ config, version, env, logger }: StartRoleOptions): Promise<RunningRole> {
  const dataDir = join(config.dataDir, 'node')
  const [{ startNode }, identity] = await Promise.all([
    import('../node/server.ts'),
    loadIdentity(join(dataDir, 'identity.json')),
  ])
  const { ssh, advertise, limits } = config
  const service = await startNode({
    identity,
    dataDir,
    authServers: config.authServers.map(formatAddress),
    listen: ssh.listenAddr,
    hostname: config.nodename,
    ...(advertise === undefined ? {} : { advertise }),
    publicAddresses: ssh.publicAddrs.map(formatAddress),
    labels: ssh.labels,
    commands: ssh.commands,
    permitUserEnvironment: ssh.permitUserEnv,
    x11: ssh.x11,
    maxConnections: limits.maxConnections,
    maxUsers: limits.maxUsers,
    version,
    env,
    logger,
  })
  return {
    listening: [{ what: 'SSH', address: addressText(service.address) }],
    notes: service.notes,
    close: (drainMs) => service.close(drainMs),
  }
}
