/** The node service as the supervisor starts it. */

import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import type { Labels } from '../access/types.ts'
import { AccessGuard } from '../api/access-guard.ts'
import { openClusterCache } from '../api/cache.ts'
import { connectAuth } from '../api/connect.ts'
import { runHeartbeat } from '../api/heartbeat.ts'
import type { MachineIdentity } from '../api/identity.ts'
import { keepIdentity } from '../api/keep-identity.ts'
import { acquireLease, emitEvents, releaseLease, renewLeases } from '../api/routes.ts'
import { openSpool } from '../audit/spool.ts'
import { advertisedAddress } from '../common/advertised-address.ts'
import { type Env, realEnv } from '../common/env.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import type { AlgorithmPreferences, Limits } from '../ssh/transport/types.ts'
import { authorize, authorizeJoiner } from './authorize.ts'
import type { NodeContext, X11Displays } from './context.ts'
import { type CommandLabel, openLabels } from './labels.ts'
import { keepHostUser, record, serverFields } from './node-events.ts'
import { openAccounts } from './os/accounts.ts'
import { openHostUsers } from './os/host-users.ts'
import { currentPrivileges } from './os/privileges.ts'
import { openRecorder } from './recording/recorder.ts'
import { uploadToAuth } from './recording/upload.ts'
import { openSessionJournal } from './session/open-sessions.ts'
import { runSessionReports } from './session/report.ts'
import { Sessions } from './session/sessions.ts'
import { keepLostEnd } from './session/trail.ts'
import { createNodeServer } from './ssh-server.ts'

export interface StartNodeOptions {
  /** Of role Node, as `joinCluster` gave it or `loadIdentity` read it. */
  readonly identity: MachineIdentity
  /** The role's own directory, `data_dir/node`: identity.json, cache.json, spool/, recordings/. */
  readonly dataDir: string
  /** `host:port` of the auth servers. */
  readonly authServers: readonly string[]
  readonly listen: { readonly host: string; readonly port: number }
  /** `teleport.nodename`. */
  readonly hostname: string
  /** `teleport.advertise_ip`; without a port, the one listened on. */
  readonly advertise?: { readonly host: string; readonly port?: number }
  /** `ssh_service.public_addr`, each `host` or `host:port`. */
  readonly publicAddresses?: readonly string[]
  readonly labels?: Labels
  readonly commands?: readonly CommandLabel[]
  readonly permitUserEnvironment?: boolean
  /** Default: displays 10 to 1010. */
  readonly x11?: X11Displays
  /** Default 15,000 connections and 250 users. */
  readonly maxConnections?: number
  readonly maxUsers?: number
  readonly limits?: Partial<Limits>
  /** `kex_algos`, `ciphers`, `mac_algos`; default: the SSH engine's. */
  readonly algorithms?: Partial<AlgorithmPreferences>
  readonly version: string
  readonly env?: Env
  readonly logger?: Logger
}

export interface NodeService extends AsyncDisposable {
  readonly address: AddressInfo
  readonly uuid: string
  /** What whoever starts it should know, such as running without root. */
  readonly notes: readonly string[]
  /** Stops accepting; with `drainMs` waits that long for sessions to end by themselves. */
  close(drainMs?: number): Promise<void>
}

/** Milliseconds that closing waits for events to reach auth; the rest stays on disk for the next start. */
const lastDeliveryMs = 2000

/**
 * Starts the node and resolves when it listens and knows enough of the cluster to decide. Throws a kind of `src/errors`: port in
 * use, data directory not private, no `setpriv`.
 */
export async function startNode(options: StartNodeOptions): Promise<NodeService> {
  const cleanup = new AsyncDisposableStack()
  try {
    return await start(options, cleanup)
  } catch (error) {
    await cleanup.disposeAsync()
    throw error
  }
}

async function start(options: StartNodeOptions, cleanup: AsyncDisposableStack): Promise<NodeService> {
  const { env = realEnv, logger = silentLogger, dataDir, hostname, version } = options
  let { identity } = options
  const privileges = currentPrivileges()
  const accounts = openAccounts(env)
  const stop = new AbortController()
  cleanup.defer(() => stop.abort())

  const client = connectAuth({ addresses: options.authServers, identity: () => identity, env, logger })
  cleanup.defer(() => client.close())
  const state = openClusterCache({
    client,
    path: join(dataDir, 'cache.json'),
    clusterName: identity.clusterName,
    env,
    logger,
  })
  cleanup.defer(() => state.close())
  const spool = await openSpool({
    dir: join(dataDir, 'spool'),
    deliver: async (events, signal) => {
      await client.call(emitEvents, { body: { events: events.map((event) => ({ ...event })) } }, signal)
    },
    env,
    log: logger,
  })
  cleanup.defer(() => spool.close())
  const openSessions = await openSessionJournal({ dir: join(dataDir, 'sessions'), env, logger })
  cleanup.defer(() => openSessions.close())
  const labels = openLabels(options.labels ?? {}, options.commands ?? [], env, logger)
  cleanup.defer(() => labels.close())
  await Promise.all([state.ready, labels.first])

  let address = ''
  const recorder = await openRecorder({
    dir: join(dataDir, 'recordings'),
    upload: uploadToAuth(client),
    env,
    logger,
    onFailed: ({ sid, user, login }, error) =>
      record(context, { event: 'session.recording.failed', ...serverFields(context), sid, user, login, error }),
  })
  cleanup.defer(() => recorder.close())
  const context: NodeContext = {
    env,
    logger,
    state,
    accounts,
    hostUsers: openHostUsers({ privileges, audit: (outcome) => keepHostUser(context, outcome) }),
    privileges,
    sessions: new Sessions(),
    openSessions,
    recorder,
    uuid: identity.uuid,
    hostname,
    address: () => address,
    labels: () => labels.current(),
    webProxy: () => state.config.proxyAddress,
    permitUserEnvironment: options.permitUserEnvironment ?? false,
    x11: options.x11 ?? { enabled: true, firstDisplay: 10, lastDisplay: 1010 },
    audit: (events) => spool.append(events),
    recheck: async (connection) =>
      authorize(context, {
        certificate: connection.identity.identity.certificate,
        login: connection.user,
        sourceAddress: connection.peer.address,
        // An account that was taken away is not made again for those who are connected.
        proven: false,
        establishedAt: connection.identity.identity.authenticatedAt,
      }),
    recheckJoiner: (connection) =>
      authorizeJoiner(context, {
        certificate: connection.identity.identity.certificate,
        sourceAddress: connection.peer.address,
        establishedAt: connection.identity.identity.authenticatedAt,
      }),
    onAccessChange: (listener) => state.onChange(listener),
  }
  await openSessions.takeOver((session, files) => keepLostEnd(context, session, files))
  const server = createNodeServer({
    context,
    identity: () => identity,
    version,
    guard: new AccessGuard({
      onChange: (listener) => state.onChange(listener),
      staleMs: () => state.staleMs,
      env,
      logger,
      signal: stop.signal,
    }),
    leases: {
      acquire: async (lease, maximum, signal) => {
        await client.call(acquireLease, { body: { ...lease, maximum } }, signal)
      },
      renew: async (leases, signal) => {
        await client.call(renewLeases, { body: { leases: [...leases] } }, signal)
      },
      release: async (lease) => {
        await client.call(releaseLease, { body: lease })
      },
    },
    connectionLimits: { maxConnections: options.maxConnections ?? 15_000, maxUsers: options.maxUsers ?? 250 },
    ...(options.limits === undefined ? {} : { limits: options.limits }),
    ...(options.algorithms === undefined ? {} : { algorithms: options.algorithms }),
  })
  const bound = await server.listen(options.listen.port, options.listen.host, { reusePort: options.listen.port !== 0 })
  address = advertisedAddress({ host: options.listen.host, port: bound.port }, options.advertise)

  const publicAddresses = options.publicAddresses ?? []
  void runHeartbeat({
    client,
    identity: () => identity,
    presence: () => ({
      hostname,
      address,
      publicAddresses: [...publicAddresses],
      labels: { ...labels.current() },
      version,
    }),
    env,
    logger,
    signal: stop.signal,
  })
  void runSessionReports({ node: context, client, signal: stop.signal })
  void keepIdentity({
    client,
    state,
    path: join(dataDir, 'identity.json'),
    identity: () => identity,
    replace: (renewed) => {
      identity = renewed
    },
    hostname,
    env,
    logger,
    signal: stop.signal,
  })

  const close = async (drainMs?: number): Promise<void> => {
    await server.close(drainMs)
    await context.sessions.endAll('the node is stopping', env)
    if (client.connected) await spool.drain(AbortSignal.timeout(lastDeliveryMs)).catch(() => {})
    await cleanup.disposeAsync()
  }
  return {
    address: bound,
    uuid: identity.uuid,
    notes: privileges.isRoot
      ? []
      : [
          `the node does not run as root, so it serves only the account it runs under (uid ${process.getuid?.() ?? '?'})`,
        ],
    close,
    [Symbol.asyncDispose]: () => close(),
  }
}
