/** The proxy as the supervisor starts it: one object that listens on two ports until it is closed. */

import { hostname } from 'node:os'
import { join } from 'node:path'
import { AccessGuard } from '../api/access-guard.ts'
import { openClusterCache } from '../api/cache.ts'
import { connectAuth, joinCluster } from '../api/connect.ts'
import { runHeartbeat } from '../api/heartbeat.ts'
import { loadIdentity, type MachineIdentity, saveIdentity } from '../api/identity.ts'
import { keepIdentity } from '../api/keep-identity.ts'
import { formatKeyLine } from '../api/lines.ts'
import { emitEvents } from '../api/routes.ts'
import { openSpool } from '../audit/spool.ts'
import { type Address, formatAddress, isWildcardHost } from '../common/address.ts'
import { advertisedAddress } from '../common/advertised-address.ts'
import { type Env, realEnv } from '../common/env.ts'
import { ensurePrivateDir } from '../common/files.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import type { Config } from '../config/types.ts'
import { BadParameter, isNotFound, MissingParameter } from '../errors/errors.ts'
import type { AlgorithmPreferences } from '../ssh/transport/types.ts'
import { proxyAudit } from './audit.ts'
import { Clients } from './ssh/clients.ts'
import { createSshSide } from './ssh/server.ts'
import { loadAppFiles } from './web/app-files.ts'
import { loginBackend, nodeListing, sessionBackend, userCalls, userConnector } from './web/backend.ts'
import { loadKeyPairs } from './web/keypairs.ts'
import type { WebBackend } from './web/routes.ts'
import { loadPageScript } from './web/script.ts'
import { createWebServer } from './web/server.ts'
import { Terminals } from './web/terminals.ts'

export interface StartProxyOptions {
  readonly config: Config
  /** Of role Proxy, as `joinCluster` gave it. Absent: read from `data_dir/proxy`, or got by joining with the configured token. */
  readonly identity?: MachineIdentity
  /** Of this program, for clients and for listings. */
  readonly version: string
  readonly env?: Env
  readonly logger?: Logger
  /** Ends a start that is still waiting. */
  readonly signal?: AbortSignal
}

export interface ProxyService {
  readonly sshAddress: Address
  readonly webAddress: Address
  readonly uuid: string
  readonly clusterName: string
  /** Reads the HTTPS keys again; the old ones stay in use when that fails, and the reason is thrown. */
  reloadKeyPairs(): Promise<void>
  /** Stops listening. With `drainMs`, connections have that long to end by themselves. */
  close(drainMs?: number): Promise<void>
}

/** Milliseconds. */
const connectTimeout = 10_000

/**
 * Starts the role. It serves from what is on its disk when no auth server answers, and needs one only for its first start.
 * Throws the kinds of the configuration, of the files and of the listeners, each with the key or file to look at.
 */
export async function startProxy(options: StartProxyOptions): Promise<ProxyService> {
  const stack = new AsyncDisposableStack()
  try {
    return await start(options, stack)
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function start(options: StartProxyOptions, stack: AsyncDisposableStack): Promise<ProxyService> {
  const { config, env = realEnv, logger = silentLogger, version } = options
  const directory = join(config.dataDir, 'proxy')
  await ensurePrivateDir(directory)
  let identity = options.identity ?? (await identityOf(options, directory))
  const { clusterName, uuid } = identity
  const authServers = config.authServers.map(formatAddress)
  const ending = new AbortController()
  stack.defer(() => ending.abort())

  const auth = connectAuth({ addresses: authServers, identity: () => identity, env, logger })
  stack.defer(() => auth.close())
  const cache = openClusterCache({ client: auth, path: join(directory, 'cache.json'), clusterName, env, logger })
  stack.defer(() => cache.close())
  const spool = await openSpool({
    dir: join(directory, 'spool'),
    deliver: async (events, signal) => {
      await auth.call(emitEvents, { body: { events: events.map((event) => ({ ...event })) } }, signal)
    },
    env,
    log: logger,
  })
  stack.defer(() => spool.close())

  const keyPairs = () =>
    loadKeyPairs({ files: config.proxy.httpsKeypairs, directory, names: ownNames(config), env, logger })
  const pairs = await keyPairs()
  const info = {
    serverVersion: version,
    selfSigned: pairs.selfSigned,
    sshAddress: formatAddress(sshAddressOf(config)),
    tunnelAddress: formatAddress(config.proxy.tunnelPublicAddrs[0] ?? config.proxy.tunnelListenAddr),
    ...(config.proxy.webListenAddr.port === 0 && config.proxy.publicAddrs.length === 0
      ? {}
      : { webAddress: formatAddress(webAddressOf(config)) }),
  }
  const backend: WebBackend = {
    config: () => (cache.lastHeard === undefined ? undefined : cache.config),
    authorities: () => ({
      host: cache.hostAuthorities.map(formatKeyLine),
      user: cache.userAuthorities.map(formatKeyLine),
    }),
    ...loginBackend(auth),
    sessions: sessionBackend(auth),
    nodes: nodeListing(cache, env),
    callsOf: userCalls(cache, env),
    script: await loadPageScript(),
  }
  const { maxConnections, maxUsers } = config.limits
  const clientLimits = { maxConnections, maxUsers }
  const clients = new Clients(clientLimits)
  const targets = {
    state: cache,
    guard: new AccessGuard({
      onChange: (listener) => cache.onChange(listener),
      staleMs: () => cache.staleMs,
      env,
      logger,
      signal: ending.signal,
    }),
    identity: () => identity,
    authServers,
    env,
    connectTimeoutMs: connectTimeout,
  }
  const app = await loadAppFiles()
  if (app === undefined) logger.warn('the web page was not built; there is no login with a browser (npm run build)')
  const web = await createWebServer({
    backend,
    info: { ...info, hasApp: app !== undefined },
    keyPairs: pairs,
    env,
    logger,
    maxConnections,
    ...(app === undefined ? {} : { app }),
    terminals: (sessions) => new Terminals({ sessions, targets, clients, env, logger }),
    connectUser: userConnector(targets, logger),
  })
  const ssh = createSshSide({
    ...targets,
    logger,
    clients,
    serverVersion: version,
    algorithms: algorithmsOf(config),
    clientLimits,
    audit: proxyAudit({ spool, clusterName, serverId: uuid, serverHostname: config.nodename, env, logger }),
  })
  // Without anything to decide with, every certificate would be refused: the ports open when there is.
  await waitFor(cache.ready, options.signal)

  const { listenAddr, webListenAddr } = config.proxy
  const sshAddress = await ssh.listen(listenAddr.port, listenAddr.host, { reusePort: listenAddr.port !== 0 })
  stack.defer(() => ssh.close())
  const webAddress = await web.listen(webListenAddr.port, webListenAddr.host)
  stack.defer(() => web.close())

  void runHeartbeat({
    client: auth,
    identity: () => identity,
    presence: () => ({
      hostname: config.nodename,
      address: advertisedAddress({ ...sshAddressOf(config), port: sshPortOf(config, sshAddress.port) }),
      // The first one is where invite links lead.
      publicAddresses: [
        web.address,
        ...[...config.proxy.publicAddrs, ...config.proxy.sshPublicAddrs].map(formatAddress),
      ],
      labels: {},
      version,
    }),
    env,
    logger,
    signal: ending.signal,
  })
  void keepIdentity({
    client: auth,
    state: cache,
    path: join(directory, 'identity.json'),
    identity: () => identity,
    replace: (renewed) => {
      identity = renewed
    },
    hostname: config.nodename,
    env,
    logger,
    signal: ending.signal,
  })
  return {
    sshAddress: { host: sshAddress.address, port: sshAddress.port },
    webAddress: { host: webAddress.address, port: webAddress.port },
    uuid,
    clusterName,
    async reloadKeyPairs() {
      web.reload(await keyPairs())
    },
    async close(drainMs = 0) {
      // Both ports at once: sessions may go on for hours, and a successor needs the ports now.
      await Promise.all([web.close(), ssh.close(drainMs)])
      await stack.disposeAsync()
    },
  }
}

async function identityOf(options: StartProxyOptions, directory: string): Promise<MachineIdentity> {
  const { config, env = realEnv, logger = silentLogger } = options
  const path = join(directory, 'identity.json')
  const kept = await loadIdentity(path).catch((error: unknown) => {
    if (isNotFound(error)) return undefined
    throw error
  })
  if (kept !== undefined) {
    if (kept.role !== 'Proxy') throw new BadParameter(path, `${path} is the identity of a ${kept.role}, not of a proxy`)
    return kept
  }
  if (config.authToken === undefined) {
    throw new MissingParameter(
      'auth_token',
      'this proxy has not joined a cluster yet; give it a token: teleport start --roles=proxy --token=… (made by: tctl tokens add --type=proxy)',
    )
  }
  const [joined] = await joinCluster({
    addresses: config.authServers.map(formatAddress),
    token: config.authToken,
    caPin: config.caPins,
    uuid: env.randomUuid(),
    hostname: config.nodename,
    roles: ['proxy'],
    advertisedNames: ownNames(config),
    env,
    logger,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  })
  if (joined === undefined) throw new BadParameter('auth_token', 'the auth service gave this proxy no identity')
  await saveIdentity(path, joined)
  logger.info('joined the cluster', { cluster: joined.clusterName, uuid: joined.uuid })
  return joined
}

/** Everything that clients may call this proxy. */
function ownNames(config: Config): readonly string[] {
  const { publicAddrs, sshPublicAddrs, listenAddr, webListenAddr } = config.proxy
  const configured = [...publicAddrs, ...sshPublicAddrs, listenAddr, webListenAddr].map(({ host }) => host)
  const names = ['localhost', '127.0.0.1', '::1', hostname(), config.nodename, ...configured]
  return [...new Set(names.map((name) => name.toLowerCase()))].filter((name) => !isWildcardHost(name))
}

const sshAddressOf = ({ proxy, advertise }: Config): Address => {
  const [configured] = proxy.sshPublicAddrs
  if (configured !== undefined) return configured
  if (advertise !== undefined) return { host: advertise.host, port: proxy.listenAddr.port }
  return proxy.listenAddr
}

/** The port that was really opened, where the configuration left the choice. */
const sshPortOf = (config: Config, listening: number): number => sshAddressOf(config).port || listening

const webAddressOf = ({ proxy, advertise, nodename }: Config): Address => {
  const [configured] = proxy.publicAddrs
  if (configured !== undefined) return configured
  const { host, port } = proxy.webListenAddr
  return { host: advertise?.host ?? (isWildcardHost(host) ? nodename : host), port }
}

function algorithmsOf({ algorithms: { kex, ciphers, macs } }: Config): Partial<AlgorithmPreferences> {
  return {
    ...(kex === undefined ? {} : { kex: kex as AlgorithmPreferences['kex'] }),
    ...(ciphers === undefined ? {} : { ciphers: ciphers as AlgorithmPreferences['ciphers'] }),
    ...(macs === undefined ? {} : { macs: macs as AlgorithmPreferences['macs'] }),
  }
}

async function waitFor(ready: Promise<void>, signal: AbortSignal | undefined): Promise<void> {
  if (signal === undefined) return await ready
  signal.throwIfAborted()
  const aborted = Promise.withResolvers<never>()
  const abort = () => aborted.reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  try {
    await Promise.race([ready, aborted.promise])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}
