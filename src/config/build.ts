/** The file's values and the command line become one complete `Config`. Pure: names of files are not opened here. */

import { join } from 'node:path'
import { type Address, defaultPorts, isHost, parseAddress, reachable } from '../common/address.ts'
import { checkName } from '../common/names.ts'
import { BadParameter, isBadParameter } from '../errors/errors.ts'
import type { FileConfig } from './schema.ts'
import type {
  AuthConfig,
  ClusterSettingsKind,
  Config,
  LoadedConfig,
  ProxyConfig,
  ServiceRole,
  SshConfig,
  StartFlags,
  WebAuthnConfig,
  X11Config,
} from './types.ts'
import { parseCaPin, parseLabels, parseRoles, type RawToken } from './values.ts'

const MINUTE = 60_000

export interface BuildInput {
  /** For messages. */
  readonly fileName?: string
  readonly file: FileConfig
  readonly flags: StartFlags
  /** What the operating system calls this machine. */
  readonly hostname: string
  /** Reads the file that a token's path names. */
  readonly readToken: (path: string) => string
  /** Reads the certificates of a file, PEM. */
  readonly readCertificates: (path: string) => string
}

/** Throws BadParameter that names the flag or key. */
export function buildConfig(input: BuildInput): LoadedConfig {
  const { flags, hostname } = input
  const { teleport = {}, auth_service = {}, ssh_service = {}, proxy_service = {} } = input.file
  const warnings: string[] = []
  const roles = flag('roles', flags.roles, parseRoles)
  const listenIp = flag('listen-ip', flags.listenIp, parseIp)
  const nodename =
    flag('nodename', flags.nodename, (name) => checkName('node name', name)) ?? teleport.nodename ?? hostName(hostname)
  const dataDir = teleport.data_dir ?? '/var/lib/teleport'
  const { readToken, readCertificates } = input
  const context: Context = { roles, listenIp, nodename, warnings, readToken, readCertificates }
  const auth = buildAuth(auth_service, context)
  const ssh = buildSsh(ssh_service, flags, context)
  const proxy = buildProxy(proxy_service, context)
  if (!auth.enabled && !ssh.enabled && !proxy.enabled) {
    throw new BadParameter('roles', 'every service is switched off; enable auth_service, proxy_service or ssh_service')
  }
  const token = flags.token ?? teleport.auth_token ?? teleport.join_params?.token_name
  if (teleport.cache?.ttl !== undefined || teleport.cache?.type !== undefined) {
    warnings.push('teleport.cache: only the memory cache exists; its settings are ignored')
  }
  const config: Config = {
    ...(input.fileName === undefined ? {} : { file: input.fileName }),
    nodename,
    dataDir,
    ...optional('user', teleport.user),
    ...optional('pidFile', flags.pidFile ?? teleport.pid_file),
    ...optional('authToken', token === undefined || token === '' ? undefined : resolveSecret(token, input.readToken)),
    caPins: flag('ca-pin', many(flags.caPin), (pins) => pins.map(parseCaPin)) ?? teleport.ca_pin ?? [],
    authServers: authServers(flags, teleport.auth_servers ?? [], auth),
    ...optional(
      'advertise',
      flag('advertise-ip', flags.advertiseIp, parseAdvertise) ?? withoutUndefined(teleport.advertise_ip),
    ),
    ...optional(
      'diagAddr',
      flag('diag-addr', flags.diagAddr, (text) => parseAddress(text, { listen: true })) ?? teleport.diag_addr,
    ),
    log: {
      output: teleport.log?.output ?? 'stderr',
      severity: flags.debug === true ? 'debug' : (teleport.log?.severity ?? 'info'),
      format: teleport.log?.format?.output ?? 'text',
    },
    limits: {
      maxConnections: teleport.connection_limits?.max_connections ?? 15_000,
      maxUsers: teleport.connection_limits?.max_users ?? 250,
    },
    storage: { type: 'sqlite', path: teleport.storage?.path ?? join(dataDir, 'auth') },
    algorithms: {
      ...optional('kex', teleport.kex_algos),
      ...optional('ciphers', teleport.ciphers),
      ...optional('macs', teleport.mac_algos),
    },
    auth,
    ssh,
    proxy,
  }
  return { config, warnings }
}

interface Context {
  readonly roles: readonly ServiceRole[] | undefined
  readonly listenIp: string | undefined
  readonly nodename: string
  readonly warnings: string[]
  readonly readToken: (path: string) => string
  readonly readCertificates: (path: string) => string
}

type Section<Name extends keyof FileConfig> = NonNullable<FileConfig[Name]>

function buildAuth(section: Section<'auth_service'>, context: Context): AuthConfig {
  const { warnings } = context
  const enabled = context.roles?.includes('auth') ?? section.enabled ?? true
  const listenAddr = listenOn(section.listen_addr, defaultPorts.auth, context)
  const { authentication = {} } = section
  const passwordMinLength = authentication.password_min_length ?? 12
  const sessionRecording = section.session_recording ?? 'node'
  const named = authentication.second_factor ?? 'otp'
  const secondFactor = named === 'u2f' ? 'webauthn' : named
  const requireSessionMfa = authentication.require_session_mfa ?? false
  checkFactors(secondFactor, authentication, requireSessionMfa)
  if (enabled) {
    if (named === 'u2f') warnings.push("second_factor 'u2f' is read as 'webauthn', which has taken its place")
    if (sessionRecording.startsWith('proxy'))
      warnings.push(
        `session_recording is '${sessionRecording}', but proxies do not record yet: the nodes do it instead`,
      )
    if (passwordMinLength < 12)
      warnings.push(`password_min_length ${passwordMinLength} allows weak passwords; 12 or more is recommended`)
    if (authentication.second_factor === 'off')
      warnings.push("second_factor is 'off': a stolen password is enough to log in")
    if (section.license_file !== undefined)
      warnings.push('auth_service.license_file is ignored: there is no licence to install')
  }
  const tokens = (section.tokens ?? []).map((token, index) => ({
    roles: token.roles,
    secret: staticSecret(token, index, context),
  }))
  return {
    fileSettings: fileSettings(section),
    enabled,
    listenAddr,
    publicAddrs: withPort(section.public_addr, listenAddr.port || defaultPorts.auth),
    clusterName: section.cluster_name ?? context.nodename,
    tokens,
    authentication: {
      type: 'local',
      secondFactor,
      webauthn: buildWebAuthn(authentication, context),
      requireSessionMfa,
      passwordMinLength,
      lockout: {
        failures: authentication.lockout?.failures ?? 5,
        windowMs: authentication.lockout?.window ?? 30 * MINUTE,
        durationMs: authentication.lockout?.duration ?? 20 * MINUTE,
      },
      lockingMode: authentication.locking_mode ?? 'best_effort',
    },
    sessionRecording,
    sessionDetachTimeoutMs: section.session_detach_timeout ?? 0,
    proxyChecksHostKeys: section.proxy_checks_host_keys ?? true,
    clientIdleTimeoutMs: section.client_idle_timeout ?? 0,
    webIdleTimeoutMs: section.web_idle_timeout ?? 30 * 60_000,
    auditRetentionMs: section.audit_retention ?? 0,
    recordingRetentionMs: section.recording_retention ?? 0,
    recordingReserveBytes: section.recording_reserve ?? 256 * 1024 * 1024,
    disconnectExpiredCert: section.disconnect_expired_cert ?? false,
    keepAliveIntervalMs: section.keep_alive_interval ?? 5 * MINUTE,
    keepAliveCountMax: section.keep_alive_count_max ?? 3,
    messageOfTheDay: section.message_of_the_day ?? '',
  }
}

function fileSettings(section: Section<'auth_service'>): readonly ClusterSettingsKind[] {
  const { authentication = {} } = section
  const said: Readonly<Record<ClusterSettingsKind, readonly unknown[]>> = {
    cluster_auth_preference: [
      authentication.second_factor,
      authentication.require_session_mfa,
      authentication.locking_mode,
      section.disconnect_expired_cert,
      section.message_of_the_day,
    ],
    cluster_networking_config: [
      section.client_idle_timeout,
      section.keep_alive_interval,
      section.keep_alive_count_max,
      section.session_detach_timeout,
    ],
    session_recording_config: [section.session_recording],
  }
  const kinds = Object.keys(said) as ClusterSettingsKind[]
  return kinds.filter((kind) => said[kind].some((value) => value !== undefined))
}

type Authentication = NonNullable<Section<'auth_service'>['authentication']>

function checkFactors(secondFactor: string, { webauthn }: Authentication, requireSessionMfa: boolean): void {
  const key = 'auth_service.authentication'
  if (secondFactor === 'webauthn' && webauthn?.disabled === true) {
    throw new BadParameter(key, `${key}: second_factor is webauthn, but webauthn.disabled is set`)
  }
  if (secondFactor === 'off' && requireSessionMfa) {
    throw new BadParameter(key, `${key}: require_session_mfa needs a second_factor, which is off`)
  }
}

/** Where `webauthn` is silent, what was said for U2F counts. Source: Teleport 8, lib/config, applyAuthenticationConfig. */
function buildWebAuthn({ webauthn, u2f }: Authentication, { readCertificates }: Context): WebAuthnConfig {
  const own = webauthn?.attestation_allowed_cas ?? webauthn?.attestation_denied_cas
  const allowed = own === undefined ? u2f?.device_attestation_cas : webauthn?.attestation_allowed_cas
  // Inline, or the path of a file.
  const pem = (value: string) => (value.trimStart().startsWith('-----BEGIN') ? value : readCertificates(value))
  return {
    enabled: webauthn?.disabled !== true,
    ...optional('rpId', webauthn?.rp_id ?? u2f?.app_id),
    attestationAllowedCas: (allowed ?? []).map(pem),
    attestationDeniedCas: (webauthn?.attestation_denied_cas ?? []).map(pem),
  }
}

function staticSecret(token: RawToken, index: number, { warnings, readToken }: Context): string {
  const secret = resolveSecret(token.secret, readToken)
  if (secret.length < 16)
    warnings.push(`auth_service.tokens[${index}] is shorter than 16 characters and can be guessed`)
  return secret
}

function buildSsh(section: Section<'ssh_service'>, flags: StartFlags, context: Context): SshConfig {
  const listenAddr = listenOn(section.listen_addr, defaultPorts.node, context)
  const labels: Record<string, string> = Object.assign(Object.create(null), section.labels)
  for (const [name, value] of Object.entries(flag('labels', flags.labels, parseLabels) ?? {})) labels[name] = value
  const commands = section.commands ?? []
  for (const { name } of commands) {
    if (Object.hasOwn(labels, name) || commands.filter((other) => other.name === name).length > 1) {
      throw new BadParameter('ssh_service.commands', `ssh_service.commands: the label ${name} is defined twice`)
    }
  }
  return {
    enabled: context.roles?.includes('node') ?? section.enabled ?? true,
    listenAddr,
    publicAddrs: withPort(section.public_addr, listenAddr.port || defaultPorts.node),
    labels,
    commands: commands.map(({ name, command, period }) => ({ name, command, periodMs: period })),
    permitUserEnv: section.permit_user_env ?? false,
    x11: buildX11(section.x11),
  }
}

/** As in the original, and as OpenSSH's X11DisplayOffset. */
function buildX11(section: Section<'ssh_service'>['x11']): X11Config {
  const firstDisplay = section?.display_offset ?? 10
  const lastDisplay = section?.max_display ?? Math.min(firstDisplay + 1000, 59_535)
  if (lastDisplay < firstDisplay) {
    throw new BadParameter(
      'ssh_service.x11.max_display',
      `ssh_service.x11.max_display: ${lastDisplay} is less than display_offset, ${firstDisplay}`,
    )
  }
  return { enabled: section?.enabled ?? true, firstDisplay, lastDisplay }
}

function buildProxy(section: Section<'proxy_service'>, context: Context): ProxyConfig {
  const listenAddr = listenOn(section.listen_addr, defaultPorts.proxySsh, context)
  const webListenAddr = listenOn(section.web_listen_addr, defaultPorts.web, context)
  const tunnelListenAddr = listenOn(section.tunnel_listen_addr, defaultPorts.tunnel, context)
  const { https_key_file: keyFile, https_cert_file: certFile } = section
  if ((keyFile === undefined) !== (certFile === undefined)) {
    throw new BadParameter(
      'proxy_service',
      'proxy_service: https_key_file and https_cert_file belong together; one of them is missing',
    )
  }
  if (section.proxy_protocol === true) {
    context.warnings.push(
      'proxy_protocol is not available in this version: connections that begin with a PROXY header are refused',
    )
  }
  const keypairs = (section.https_keypairs ?? []).map((pair) => ({ keyFile: pair.key_file, certFile: pair.cert_file }))
  return {
    enabled: context.roles?.includes('proxy') ?? section.enabled ?? true,
    listenAddr,
    webListenAddr,
    tunnelListenAddr,
    publicAddrs: withPort(section.public_addr, webListenAddr.port || defaultPorts.web),
    sshPublicAddrs: withPort(section.ssh_public_addr, listenAddr.port || defaultPorts.proxySsh),
    tunnelPublicAddrs: withPort(section.tunnel_public_addr, tunnelListenAddr.port || defaultPorts.tunnel),
    httpsKeypairs: keyFile !== undefined && certFile !== undefined ? [{ keyFile, certFile }, ...keypairs] : keypairs,
  }
}

function authServers(flags: StartFlags, fromFile: readonly Address[], auth: AuthConfig): readonly Address[] {
  const given = flag('auth-server', many(flags.authServer), (texts) =>
    texts.map((text) => parseAddress(text, { defaultPort: defaultPorts.auth })),
  )
  const servers = given ?? fromFile
  if (servers.length > 0) return servers
  if (auth.enabled) return [reachable(auth.listenAddr)]
  throw new BadParameter(
    'auth_servers',
    'no auth server is named: set teleport.auth_servers or --auth-server=HOST:3025',
  )
}

/** A value that starts with a slash is the path of a file that holds it, as in the original. */
function resolveSecret(value: string, readToken: (path: string) => string): string {
  return value.startsWith('/') ? readToken(value) : value
}

function listenOn(address: Address | undefined, port: number, { listenIp }: Context): Address {
  return { host: listenIp ?? address?.host ?? '0.0.0.0', port: address?.port ?? port }
}

function withPort(
  addresses: readonly { readonly host: string; readonly port?: number | undefined }[] | undefined,
  port: number,
): readonly Address[] {
  return (addresses ?? []).map((address) => ({ host: address.host, port: address.port ?? port }))
}

function parseIp(text: string): string {
  if (!isHost(text)) throw new BadParameter('listen-ip', `"${text}" is not an IP address`)
  return text
}

function parseAdvertise(text: string): { host: string; port?: number } {
  const { host, port } = parseAddress(text, { defaultPort: 0 })
  return port === 0 ? { host } : { host, port }
}

function withoutUndefined(
  value: { host: string; port?: number | undefined } | undefined,
): { host: string; port?: number } | undefined {
  if (value === undefined) return undefined
  return value.port === undefined ? { host: value.host } : { host: value.host, port: value.port }
}

function many(value: string | readonly string[] | undefined): readonly string[] | undefined {
  if (value === undefined) return undefined
  return (typeof value === 'string' ? [value] : value)
    .flatMap((text) => text.split(','))
    .filter((text) => text.trim() !== '')
}

/** Names the flag in what its parser throws. */
function flag<Input, Output>(
  name: string,
  value: Input | undefined,
  parse: (value: Input) => Output,
): Output | undefined {
  if (value === undefined || value === '') return undefined
  try {
    return parse(value)
  } catch (error) {
    if (isBadParameter(error)) throw new BadParameter(name, `--${name}: ${error.message}`, { cause: error })
    throw error
  }
}

/** Machines have names that are no host names; then the part that is. */
function hostName(hostname: string): string {
  const cleaned = hostname.replace(/[^A-Za-z0-9._-]/g, '-').replace(/^[^A-Za-z0-9]+|[^A-Za-z0-9]+$/g, '')
  return cleaned === '' ? 'localhost' : cleaned.slice(0, 128)
}

function optional<Name extends string, Value>(name: Name, value: Value | undefined): { readonly [K in Name]?: Value } {
  const result: { [K in Name]?: Value } = {}
  if (value !== undefined) result[name] = value
  return result
}
