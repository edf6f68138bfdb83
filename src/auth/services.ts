/** The parts of the auth service, put together. */

import type { SettingsKind } from '../api/cluster-settings.ts'
import type { RecordingStore } from '../audit/recording/store.ts'
import type { RecordingSummary } from '../audit/recording/types.ts'
import type { Backend } from '../backend/contract.ts'
import { type Env, realEnv } from '../common/env.ts'
import { type Logger, silentLogger } from '../common/log.ts'
import { messageOf } from '../errors/system.ts'
import { AccessRequestStore } from './access-request-store.ts'
import { AccessRequests } from './access-requests.ts'
import { Audit } from './audit.ts'
import type { AuditLogHandle } from './audit-log.ts'
import { keepRetention } from './audit-retention.ts'
import { Authorities } from './authorities.ts'
import { Issuer } from './certificates.ts'
import { Changes } from './changes.ts'
import { ClusterSettings, type ClusterSettingsOptions, type SettingsSpecs } from './cluster-settings.ts'
import { Hub } from './hub.ts'
import { Invites } from './invites.ts'
import { Leases } from './leases.ts'
import { Lockout } from './lockout.ts'
import { Locks } from './locks.ts'
import { Logins } from './logins.ts'
import { Machines } from './machines.ts'
import { Ceremonies } from './mfa/ceremonies.ts'
import { Challenges } from './mfa/challenges.ts'
import { Devices } from './mfa/devices.ts'
import { Factors } from './mfa/factors.ts'
import { migrateDevices } from './mfa/migration.ts'
import { OtherDevices } from './mfa/other-devices.ts'
import { CeremonyPages } from './mfa/pages.ts'
import { Prover } from './mfa/prover.ts'
import { SessionCertificates } from './mfa/session-certificates.ts'
import { RelyingParty } from './mfa/webauthn.ts'
import { OneTimePasswords } from './otp.ts'
import { type PasswordCost, Passwords } from './passwords.ts'
import { PresenceService } from './presence.ts'
import { announceUpload, Recordings } from './recordings.ts'
import { openTables, type Tables } from './records.ts'
import { Roles } from './roles.ts'
import { Rotation } from './rotation.ts'
import { SecretExports } from './secret-exports.ts'
import { ActiveSessions } from './sessions.ts'
import { type AuthSettings, defaultSettings, settingsPart } from './settings.ts'
import { Tokens } from './tokens.ts'
import { Users } from './users.ts'
import { WebSessionIndex } from './web-session-index.ts'
import { WebSessions } from './web-sessions.ts'

export interface Services {
  readonly env: Env
  readonly settings: AuthSettings
  readonly tables: Tables
  readonly authorities: Authorities
  readonly rotation: Rotation
  readonly audit: Audit
  readonly issuer: Issuer
  readonly hub: Hub
  readonly presence: PresenceService
  readonly tokens: Tokens
  readonly machines: Machines
  readonly users: Users
  readonly roles: Roles
  readonly clusterSettings: ClusterSettings
  readonly secretExports: SecretExports
  readonly invites: Invites
  readonly logins: Logins
  readonly webSessions: WebSessions
  readonly devices: Devices
  readonly otherDevices: OtherDevices
  readonly sessionCertificates: SessionCertificates
  readonly factors: Factors
  readonly prover: Prover
  readonly ceremonies: Ceremonies
  readonly ceremonyPages: CeremonyPages
  readonly leases: Leases
  readonly locks: Locks
  readonly accessRequests: AccessRequests
  readonly activeSessions: ActiveSessions
  /** All of them; `recordingAccess` knows who may see which. */
  readonly recordings: RecordingStore
  readonly recordingAccess: Recordings
  /** Ends what runs in the background, and closes the recordings. The other stores stay open. */
  close(): Promise<void>
}

export interface ServicesOptions {
  readonly backend: Backend
  readonly auditLog: AuditLogHandle
  /** `onComplete` is to be called for each recording that becomes complete, until it has succeeded. */
  readonly openRecordings: (onComplete: (recording: RecordingSummary) => Promise<void>) => Promise<RecordingStore>
  readonly clusterName: string
  /** Uuid of the machine that auth runs on. */
  readonly uuid: string
  readonly settings: AuthSettings
  /** For tests; the strong one unless given. */
  readonly passwordCost?: PasswordCost
  readonly env?: Env
  readonly logger?: Logger
}

/** Resolves when the state is loaded and followed. */
export async function startServices(options: ServicesOptions): Promise<Services> {
  const { backend, auditLog, clusterName, uuid, env = realEnv, logger = silentLogger } = options
  const tables = openTables(backend)
  const authorities = await Authorities.load(tables, clusterName)
  const audit = new Audit(auditLog, clusterName, env)
  const changes = new Changes(tables, env)
  const clusterSettings = makeClusterSettings(options.settings, { backend, tables, audit, changes })
  await clusterSettings.start()
  const defaults = Object.assign({}, ...Object.values(defaultSpecs(options.settings)))
  const config = { ...options.settings.cluster, ...defaults, clusterName }
  const presence = new PresenceService({ backend, tables, env, logger })
  const hub = new Hub({ backend, tables, config, env, logger })
  const issuer = new Issuer({ authorities, audit, state: hub, env })
  await presence.start()
  await hub.start()
  const settings = followedSettings(options.settings, hub)
  hub.onChange(({ kind }) => {
    if (kind !== 'authority') return
    authorities
      .refresh()
      .catch((error: unknown) => logger.error('cannot read the authorities', { reason: messageOf(error) }))
  })
  const recordings = await options.openRecordings((recording) => announceUpload(audit, recording))
  const stop = new AbortController()
  const { auditMs, recordingMs } = settings.retention
  const retention = keepRetention({ audit, recordings, auditMs, recordingMs, env, logger }, stop.signal)
  const rotation = new Rotation({ backend, tables, audit, authorities, hub, env, logger })
  const passwords = new Passwords(env, options.passwordCost)
  const otp = new OneTimePasswords(backend, tables, env)
  const lockout = new Lockout(backend, tables, settings.lockout, env)
  const tokens = new Tokens({ backend, tables, audit, env, staticTokens: settings.staticTokens })
  const index = new WebSessionIndex({ backend, tables, env, logger })
  const users = new Users({
    ...{ backend, tables, audit, changes, passwords, lockout, settings, env },
    webSessions: index,
  })
  const requestStore = new AccessRequestStore({ backend, tables, audit, env, logger })
  const accessRequests = new AccessRequests({ store: requestStore, tables, users, env })
  const migrated = await migrateDevices(backend, tables)
  if (migrated > 0) logger.info('second factors of an earlier release were migrated', { users: migrated })
  const webAddresses = () => webAddressesOf(settings, hub, env)
  const webAddress = () => webAddresses()[0] ?? '<proxyhost>:3080'
  const challenges = new Challenges(backend, tables, env)
  const ceremonies = new Ceremonies({ backend, tables, env, webAddress })
  const relyingParty = new RelyingParty({ settings: settings.webauthn, clusterName, env, webAddresses })
  const factorSettings = {
    get secondFactor() {
      return settings.secondFactor
    },
    keysEnabled: settings.webauthn.enabled,
  }
  const factors = new Factors({
    backend,
    tables,
    otp,
    challenges,
    ceremonies,
    relyingParty,
    settings: factorSettings,
    env,
  })
  const prover = new Prover({ factors, lockout, audit, env })
  const mfa = { backend, tables, audit, users, otp, challenges, ceremonies, factors, relyingParty, env }
  const logins = new Logins({ ...mfa, passwords, lockout, issuer, state: hub })
  const webSessions = new WebSessions({
    ...{ backend, tables, index, audit, logins, users, accessRequests, issuer, hub, settings, env, logger },
  })
  await webSessions.start()
  return {
    env,
    settings,
    tables,
    authorities,
    rotation,
    audit,
    issuer,
    hub,
    presence,
    tokens,
    machines: new Machines({ backend, tables, tokens, issuer, authorities, hub, presence, env, logger, ownUuid: uuid }),
    users,
    roles: new Roles({ backend, tables, audit, changes, env }),
    clusterSettings,
    secretExports: new SecretExports({ backend, tables, audit, changes, authorities, users }),
    invites: new Invites({ ...mfa, webSessions: index, passwords, lockout, hub, settings, factorSettings, webAddress }),
    leases: new Leases({ backend, tables, env }),
    accessRequests,
    locks: new Locks({ backend, tables, audit, changes, hub, env }),
    activeSessions: new ActiveSessions({ hub, env }),
    logins,
    webSessions,
    sessionCertificates: new SessionCertificates({ ...mfa, hub, issuer, prover }),
    otherDevices: new OtherDevices(mfa),
    devices: new Devices({ ...mfa, passwords, prover, clusterName }),
    factors,
    prover,
    ceremonies,
    ceremonyPages: new CeremonyPages({ ...mfa, clusterName }),
    recordings,
    recordingAccess: new Recordings({ recordings, audit, hub, env }),
    close: async () => {
      stop.abort()
      await retention
      await Promise.all([
        requestStore.close(),
        webSessions.close(),
        rotation.close(),
        presence.close(),
        hub.close(),
        recordings.close(),
      ])
    },
  }
}

type Parts = Omit<ClusterSettingsOptions, 'defaults' | 'file'>

function makeClusterSettings(settings: AuthSettings, parts: Parts): ClusterSettings {
  const said = settings.fileSettings.map((kind) => [kind, settingsPart(settings, kind)])
  return new ClusterSettings({ ...parts, defaults: defaultSpecs(settings), file: Object.fromEntries(said) })
}

/** What holds where neither the file nor a resource says anything. */
function defaultSpecs(settings: AuthSettings): SettingsSpecs {
  const from = (kind: SettingsKind) => (settings.fileSettings.includes(kind) ? defaultSettings : settings)
  return {
    cluster_auth_preference: settingsPart(from('cluster_auth_preference'), 'cluster_auth_preference'),
    cluster_networking_config: settingsPart(from('cluster_networking_config'), 'cluster_networking_config'),
    session_recording_config: settingsPart(from('session_recording_config'), 'session_recording_config'),
  }
}

/** Resources may change these while the service runs, so they are read each time. */
function followedSettings(settings: AuthSettings, hub: Hub): AuthSettings {
  return {
    ...settings,
    get secondFactor() {
      return hub.config.secondFactor
    },
  }
}

/** `host:port` of web sides: the configured one, then what the proxies say of themselves; never what a client says. */
function webAddressesOf(settings: AuthSettings, hub: Hub, env: Env): string[] {
  const proxies = hub.snapshot.servers.list('proxy', env.now().getTime())
  const [first] = proxies
  const announced = proxies.flatMap(({ publicAddresses }) => publicAddresses).filter((address) => address !== '')
  const fallback = first === undefined || announced.length > 0 ? [] : [`${first.hostname}:3080`]
  const configured = settings.webAddress === undefined ? [] : [settings.webAddress]
  return [...new Set([...configured, ...announced, ...fallback])]
}
