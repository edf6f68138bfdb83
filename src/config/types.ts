/** The configuration as the services read it: complete, parsed, read-only. */

import type { Address } from '../common/address.ts'
import type { Severity } from '../common/logger.ts'

export type ServiceRole = 'auth' | 'proxy' | 'node'
export type SecondFactor = 'off' | 'otp' | 'webauthn' | 'on' | 'optional'

export interface Config {
  /** Where it came from, for messages. Absent without a file. */
  readonly file?: string
  readonly nodename: string
  readonly dataDir: string
  /** The account of auth and proxy, when the supervisor is root. Its existence has not been looked at. */
  readonly user?: string
  readonly pidFile?: string
  /** The join token itself; a file's path has been replaced by its content. */
  readonly authToken?: string
  /** `sha256:<hex>`, lower case. Empty: the authority is not pinned. */
  readonly caPins: readonly string[]
  readonly authServers: readonly Address[]
  /** What the node tells others; the port is absent when only an IP was given. */
  readonly advertise?: { readonly host: string; readonly port?: number }
  readonly diagAddr?: Address
  readonly log: LogConfig
  readonly limits: { readonly maxConnections: number; readonly maxUsers: number }
  readonly storage: { readonly type: 'sqlite'; readonly path: string }
  /** Undefined: the defaults of the SSH engine. */
  readonly algorithms: {
    readonly kex?: readonly string[]
    readonly ciphers?: readonly string[]
    readonly macs?: readonly string[]
  }
  /** Of the command line, for the first start: what the cluster begins with. Holds private keys. */
  readonly bootstrap?: { readonly file: string; readonly text: string }
  readonly auth: AuthConfig
  readonly ssh: SshConfig
  readonly proxy: ProxyConfig
}

export interface LogConfig {
  /** `stderr`, `stdout` or a path. */
  readonly output: string
  readonly severity: Severity
  readonly format: 'text' | 'json'
}

export interface WebAuthnConfig {
  readonly enabled: boolean
  /** Absent: the host of the proxies' web address. */
  readonly rpId?: string
  /** PEM. */
  readonly attestationAllowedCas: readonly string[]
  readonly attestationDeniedCas: readonly string[]
}

export interface StaticToken {
  readonly roles: readonly ServiceRole[]
  readonly secret: string
}

/** Kinds of resources that hold settings of the whole cluster. */
export type ClusterSettingsKind = 'cluster_auth_preference' | 'cluster_networking_config' | 'session_recording_config'

export interface AuthConfig {
  /** Of which the file says anything: these are the file's, the others may be changed as resources. */
  readonly fileSettings: readonly ClusterSettingsKind[]
  readonly enabled: boolean
  readonly listenAddr: Address
  readonly publicAddrs: readonly Address[]
  readonly clusterName: string
  readonly tokens: readonly StaticToken[]
  readonly authentication: {
    readonly type: 'local'
    readonly secondFactor: SecondFactor
    readonly webauthn: WebAuthnConfig
    /** Each session on a node needs a second factor of its own. */
    readonly requireSessionMfa: boolean
    /** Characters. */
    readonly passwordMinLength: number
    readonly lockout: { readonly failures: number; readonly windowMs: number; readonly durationMs: number }
    /** Whether anybody is let in while locks may be missing. */
    readonly lockingMode: 'strict' | 'best_effort'
  }
  readonly sessionRecording: 'node' | 'node-sync' | 'proxy' | 'proxy-sync' | 'off'
  /** How long a session waits for its owner after a lost connection. 0: it ends with the connection. */
  readonly sessionDetachTimeoutMs: number
  readonly proxyChecksHostKeys: boolean
  /** 0: sessions are not ended for being idle. */
  readonly clientIdleTimeoutMs: number
  /** Of browser sessions. */
  readonly webIdleTimeoutMs: number
  readonly disconnectExpiredCert: boolean
  readonly keepAliveIntervalMs: number
  readonly keepAliveCountMax: number
  readonly messageOfTheDay: string
  /** 0: for ever. */
  readonly auditRetentionMs: number
  readonly recordingRetentionMs: number
  /** Bytes of the disk that recordings leave free. */
  readonly recordingReserveBytes: number
}

export interface CommandLabel {
  readonly name: string
  readonly command: readonly string[]
  readonly periodMs: number
}

export interface SshConfig {
  readonly enabled: boolean
  readonly listenAddr: Address
  readonly publicAddrs: readonly Address[]
  readonly labels: Readonly<Record<string, string>>
  readonly commands: readonly CommandLabel[]
  readonly permitUserEnv: boolean
  readonly x11: X11Config
}

/** Displays that sessions get; which users may have one is said by their roles. */
export interface X11Config {
  readonly enabled: boolean
  readonly firstDisplay: number
  readonly lastDisplay: number
}

export interface ProxyConfig {
  readonly enabled: boolean
  readonly listenAddr: Address
  readonly webListenAddr: Address
  readonly tunnelListenAddr: Address
  /** Of the web port. */
  readonly publicAddrs: readonly Address[]
  readonly sshPublicAddrs: readonly Address[]
  readonly tunnelPublicAddrs: readonly Address[]
  /** Empty: a self-signed certificate is made. */
  readonly httpsKeypairs: readonly { readonly keyFile: string; readonly certFile: string }[]
}

/** What the command line says; it wins over the file. Texts as typed. */
export interface StartFlags {
  readonly roles?: string
  readonly token?: string
  readonly caPin?: string | readonly string[]
  readonly authServer?: string | readonly string[]
  readonly nodename?: string
  readonly labels?: string
  readonly advertiseIp?: string
  readonly listenIp?: string
  readonly pidFile?: string
  readonly diagAddr?: string
  readonly debug?: boolean
}

export interface LoadedConfig {
  readonly config: Config
  /** Sentences for the person who starts the service. */
  readonly warnings: readonly string[]
}
