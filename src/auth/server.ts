/** The auth service as the supervisor starts it: stores, authorities, API, and port 3025. */

import type { AddressInfo } from 'node:net'
import { hostname } from 'node:os'
import { createApiApp } from '../api/app.ts'
import { refusalByRules } from '../api/rule-refusal.ts'
import { openRecordingDirectory } from '../audit/recording/directory.ts'
import { openThreadBackend } from '../backend/thread.ts'
import { type Env, realEnv } from '../common/env.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import type { Limits } from '../ssh/transport/types.ts'
import { openAuditLog } from './audit-log.ts'
import { ensureCluster, prepareDirectory } from './bootstrap.ts'
import type { BootstrapFile } from './bootstrap-file.ts'
import { OwnIdentities } from './own-identities.ts'
import { openTables } from './records.ts'
import { mountRoutes } from './routes.ts'
import { startServices } from './services.ts'
import { type AuthSettings, defaultSettings } from './settings.ts'
import { Callers, createSshFront } from './ssh-front.ts'

export { authPaths } from './bootstrap.ts'
export type { AuthSettings, StaticToken } from './settings.ts'

export interface AuthService extends AsyncDisposable {
  readonly address: AddressInfo
  readonly clusterName: string
  /** Uuid of this machine. */
  readonly uuid: string
  /** `sha256:…` of the host authority's keys. */
  readonly caPins: readonly string[]
  /** The first start of a new cluster. */
  readonly isNew: boolean
  close(drainMs?: number): Promise<void>
}

export interface StartAuthOptions {
  /** `data_dir`; the service keeps everything below `auth/` in it. */
  readonly dataDir: string
  /** A directory for the state alone. */
  readonly storage?: string
  readonly listen: { readonly host: string; readonly port: number }
  /** Used at the first start only; default: the host's name. */
  readonly clusterName?: string
  /** Resources that the cluster begins with. Refused when there is one already. */
  readonly bootstrap?: BootstrapFile
  /** Missing ones have the defaults of `settings.ts`. */
  readonly settings?: Partial<AuthSettings>
  readonly limits?: Partial<Limits>
  readonly env?: Env
  readonly logger?: Logger
}

/** Resolves when the port answers. Throws what stands in the way, with what to do about it. */
export async function startAuth(options: StartAuthOptions): Promise<AuthService> {
  const { dataDir, listen, env = realEnv, logger = silentLogger } = options
  const settings = { ...defaultSettings, ...options.settings }
  const undo: (() => Promise<unknown>)[] = []
  const undoAll = async () => {
    for (const step of undo.reverse()) await step()
  }
  try {
    const paths = await prepareDirectory(dataDir, options.storage)
    const opening = openThreadBackend(paths.backend, env, { logger })
    // Loaded while the threads of the stores start.
    const making = makeApp(logger)
    const backend = await opening
    undo.push(() => backend.close())
    const clusterName = options.clusterName
    const tables = openTables(backend)
    const { bootstrap } = options
    const cluster = await ensureCluster({ backend, tables, paths, dataDir, clusterName, bootstrap, env, logger })
    const auditLog = await openAuditLog({ path: paths.events, backend, tables, env, logger })
    undo.push(() => auditLog.close())
    const [services, app, callers] = await Promise.all([
      startServices({
        backend,
        auditLog,
        openRecordings: (onComplete) =>
          openRecordingDirectory(paths.recordings, {
            onComplete,
            reserveBytes: settings.recordingReserveBytes,
            env,
            logger,
          }),
        ...cluster,
        settings,
        env,
        logger,
      }),
      ...making,
    ])
    undo.push(() => services.close())
    undo.push(() => app.close())
    mountRoutes(app, services)
    await app.ready()
    const identities = await OwnIdentities.open({
      ...services,
      paths,
      uuid: cluster.uuid,
      names: [hostname(), 'localhost', '127.0.0.1'],
      env,
      logger,
    })
    undo.push(() => identities.close())
    services.rotation.start()
    const front = createSshFront({
      services,
      app,
      callers,
      identity: (clientVersion) => identities.shownTo(clientVersion),
      env,
      logger,
      ...(options.limits === undefined ? {} : { limits: options.limits }),
    })
    const address = await front.listen(listen.port, listen.host)
    logger.info('auth service started', { address: `${address.address}:${address.port}`, cluster: cluster.clusterName })
    const close = async (drainMs?: number) => {
      await services.hub.close()
      await front.close(drainMs)
      await undoAll()
    }
    const { uuid, isNew } = cluster
    return {
      address,
      clusterName: cluster.clusterName,
      uuid,
      isNew,
      get caPins() {
        return services.authorities.caPins
      },
      close,
      [Symbol.asyncDispose]: () => close(),
    }
  } catch (error) {
    await undoAll()
    throw error
  }
}

/** The app is loaded while the stores are read. */
function makeApp(logger: Logger) {
  const callers = new Callers()
  return [createApiApp({ logger, callerOf: callers.of, checkRule: refusalByRules }), callers] as const
}
