/** What the auth service is told by its administrator. */

import { type SettingsKind, type SettingsSpec, settingsSpecs } from '../api/cluster-settings.ts'
import type { ClusterConfig, SecondFactor, ServerRole } from '../api/model.ts'
import type { WebAuthnSettings } from './mfa/webauthn.ts'

export interface StaticToken {
  readonly roles: readonly ServerRole[]
  readonly value: string
}

export interface AuthSettings {
  readonly secondFactor: SecondFactor
  readonly webauthn: WebAuthnSettings
  /** Characters, 12 unless the file says less (6 at least). */
  readonly minPasswordLength: number
  readonly lockout: {
    readonly failures: number
    /** Milliseconds within which that many failures lock the account. */
    readonly windowMs: number
    /** Milliseconds. */
    readonly lockMs: number
  }
  /** Milliseconds after which a browser session that is not used ends. */
  readonly webIdleMs: number
  readonly staticTokens: readonly StaticToken[]
  /** Milliseconds that events and recordings are kept; 0: for ever. */
  readonly retention: { readonly auditMs: number; readonly recordingMs: number }
  /** Of the disk, left free by recordings; at most 5 % of it. */
  readonly recordingReserveBytes: number
  readonly cluster: Omit<ClusterConfig, 'clusterName' | 'secondFactor'>
  /** Of `cluster` and `secondFactor`: what the configuration file says; the rest is defaults, which resources may change. */
  readonly fileSettings: readonly SettingsKind[]
  /** `host:port` of the proxies' web address, for links; else the first proxy that is present. */
  readonly webAddress?: string
  /** `host:port` under which others reach this auth server, for the commands that `tctl` prints. */
  readonly authServers: readonly string[]
}

export const defaultSettings: AuthSettings = {
  secondFactor: 'otp',
  webauthn: { enabled: true, allowedCas: [], deniedCas: [] },
  minPasswordLength: 12,
  lockout: { failures: 5, windowMs: 30 * 60_000, lockMs: 20 * 60_000 },
  webIdleMs: 30 * 60_000,
  staticTokens: [],
  retention: { auditMs: 0, recordingMs: 0 },
  recordingReserveBytes: 256 * 1024 * 1024,
  cluster: {
    clientIdleTimeout: 0,
    disconnectExpiredCert: false,
    keepAliveInterval: 300,
    keepAliveCountMax: 3,
    sessionRecording: 'node',
    sessionDetachTimeout: 0,
    messageOfTheDay: '',
    lockingMode: 'best_effort',
    requireSessionMfa: false,
  },
  fileSettings: [],
  authServers: [],
}

/** The part of the settings that is one kind of resource. */
export function settingsPart<Kind extends SettingsKind>(settings: AuthSettings, kind: Kind): SettingsSpec<Kind> {
  const all = { ...settings.cluster, secondFactor: settings.secondFactor }
  const keys = Object.keys(settingsSpecs[kind].shape) as (keyof typeof all)[]
  // The keys are those of the spec, and their values are checked when the store reads them.
  return Object.fromEntries(keys.map((key) => [key, all[key]])) as SettingsSpec<Kind>
}
