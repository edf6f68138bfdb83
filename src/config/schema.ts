/**
 * teleport.yaml, key by key. Keys of the original's SSH product are all known; what asks for something that does not exist
 * yet is refused by name, and so are the keys of the original's other protocols.
 */

import { z } from 'zod'
import { type Address, type AddressOptions, defaultPorts, parseAddress } from '../common/address.ts'
import { type DurationOptions, parseDuration } from '../common/durations.ts'
import { checkName } from '../common/names.ts'
import { oneOf, parsedBy, show, strictObject, yamlBool, yamlString, yamlStrings } from '../common/yaml.ts'
import { BadParameter } from '../errors/errors.ts'
import {
  parseAccountName,
  parseAppId,
  parseCaPin,
  parseRpId,
  parseSecondFactor,
  parseSeverity,
  parseSize,
  parseToken,
} from './values.ts'

export const LATER = 'not available in this version'
const OTHER = "belongs to a protocol other than SSH, which this product does not serve; remove it or set 'enabled: no'"

const other = (...keys: readonly string[]): Record<string, string> =>
  Object.fromEntries(keys.map((key) => [key, OTHER]))
const later = (...keys: readonly string[]): Record<string, string> =>
  Object.fromEntries(keys.map((key) => [key, LATER]))

/** Empty text and an empty key mean "not set", as in the original. */
const unset = <Output>(schema: z.ZodType<Output>) =>
  z.preprocess((value) => (value === null || value === '' ? undefined : value), schema.optional()).optional()

const section = <Output>(schema: z.ZodType<Output>) => z.preprocess((value) => value ?? {}, schema).optional()
const list = <Output>(schema: z.ZodType<Output>) =>
  z
    .preprocess(
      (value) => (value === null || value === '' ? [] : Array.isArray(value) ? value : [value]),
      z.array(schema).max(1000),
    )
    .optional()

const text = unset(yamlString)
const bool = unset(yamlBool)
const address = (options: AddressOptions) => parsedBy((value): Address => parseAddress(value, options))
const listen = (port: number) => unset(address({ defaultPort: port, listen: true }))
const publicAddr = list(parsedBy((value): { host: string; port?: number } => parsePublic(value)))
const duration = (options: DurationOptions) =>
  unset(parsedBy((value) => parseDuration(value, { name: 'duration', ...options })))
/** Of a login in a browser. Nothing is for ever: an unattended screen is somebody else's way in. */
const webIdleTimeout = () =>
  unset(
    parsedBy((value) => {
      const ms = parseDuration(value, { name: 'web_idle_timeout' })
      if (ms < 60_000 || ms > 86_400_000) throw new BadParameter('web_idle_timeout', 'must be 1m to 24h')
      return ms
    }),
  )
/** So short that it must be a mistake is refused: what it removes does not come back. */
const retention = () =>
  unset(
    z.preprocess(
      (value) => (value === 'never' ? '0' : value),
      parsedBy((value) => {
        const ms = parseDuration(value, { name: 'duration' })
        if (ms === 0 || ms >= 86_400_000) return ms
        throw new BadParameter('duration', 'must be at least 24h (or never)')
      }),
    ),
  )
const count = (min: number) =>
  unset(
    z.coerce
      .number()
      .int()
      .min(min, { message: `must be at least ${min}` })
      .max(1e9),
  )
const refuse = <Output>(schema: z.ZodType<Output>, accepted: (value: Output) => boolean, message = LATER) =>
  unset(schema.refine(accepted, { message }))

function parsePublic(value: string): { host: string; port?: number } {
  const { host, port } = parseAddress(value, { defaultPort: 0 })
  return port === 0 ? { host } : { host, port }
}

/** A section that is accepted as long as it is switched off. */
export const switchedOff = (message: string) =>
  z
    .unknown()
    .transform((value, context) => {
      if (value === null || value === undefined) return undefined
      const enabled = typeof value === 'object' && 'enabled' in value ? value.enabled : value
      const off = yamlBool.safeParse(enabled)
      if (!off.success || off.data) context.addIssue({ code: 'custom', message })
      return undefined
    })
    .optional()

/** Label names and values; a record without prototype, since `__proto__` would be a name like any other. */
const labels = z
  .unknown()
  .transform((input, context): Readonly<Record<string, string>> => {
    const result: Record<string, string> = Object.create(null)
    if (input === null || input === undefined) return result
    if (typeof input !== 'object' || Array.isArray(input)) {
      context.addIssue({ code: 'custom', message: `must be a section of label: value, not ${show(input)}` })
      return z.NEVER
    }
    for (const [name, value] of Object.entries(input)) {
      try {
        if (typeof value === 'object') throw new BadParameter(name, `must be a text, not ${show(value)}`)
        result[checkName('label name', name)] = checkName('label value', String(value))
      } catch (error) {
        context.addIssue({
          code: 'custom',
          path: [name],
          message: error instanceof Error ? error.message : String(error),
        })
      }
    }
    return result
  })
  .optional()

const logFormat = strictObject({
  output: unset(oneOf(['text', 'json'])),
  extra_fields: unset(yamlStrings),
})

const teleport = strictObject(
  {
    nodename: unset(parsedBy((name) => checkName('node name', name))),
    data_dir: text,
    pid_file: text,
    auth_token: text,
    join_params: section(strictObject({ token_name: text, method: refuse(yamlString, (value) => value === 'token') })),
    ca_pin: list(parsedBy(parseCaPin)),
    auth_servers: list(address({ defaultPort: defaultPorts.auth })),
    advertise_ip: unset(parsedBy(parsePublic)),
    log: section(
      strictObject({
        output: refuse(
          yamlString,
          (value) => value !== 'syslog',
          'syslog is not available; use stderr, which systemd keeps',
        ),
        severity: unset(parsedBy(parseSeverity)),
        // The original's old form is a list of fields.
        format: z
          .preprocess((value) => (Array.isArray(value) ? { extra_fields: value } : (value ?? {})), logFormat)
          .optional(),
      }),
    ),
    connection_limits: section(
      strictObject({
        max_connections: count(1),
        max_users: count(1),
        rates: refuse(z.array(z.unknown()), (rates) => rates.length === 0),
      }),
    ),
    storage: section(
      strictObject(
        {
          type: refuse(
            yamlString,
            (type) => ['sqlite', 'dir', 'lite'].includes(type),
            `this storage is ${LATER}; use sqlite`,
          ),
          path: text,
          audit_events_uri: refuse(
            yamlStrings,
            (uris) => uris.every(isFileUri),
            `only file:// is possible; other places are ${LATER}`,
          ),
          audit_sessions_uri: refuse(
            yamlStrings,
            (uris) => uris.every(isFileUri),
            `only file:// is possible; other places are ${LATER}`,
          ),
        },
        later(
          'peers',
          'prefix',
          'tls_cert_file',
          'tls_key_file',
          'tls_ca_file',
          'insecure',
          'region',
          'table_name',
          'access_key',
          'secret_key',
        ),
      ),
    ),
    diag_addr: unset(address({ listen: true })),
    ciphers: unset(yamlStrings),
    kex_algos: unset(yamlStrings),
    mac_algos: unset(yamlStrings),
    ca_signature_algo: refuse(yamlString, () => false, 'authorities are Ed25519; remove it'),
    cache: section(
      strictObject({
        enabled: refuse(
          yamlBool,
          (value) => value,
          'the cache cannot be switched off: it keeps the proxy serving while auth is down',
        ),
        type: text,
        ttl: text,
        max_backoff: text,
      }),
    ),
    // + of this product: the account that auth and proxy drop to.
    user: unset(parsedBy(parseAccountName)),
  },
  other('license'),
)

const isFileUri = (uri: string): boolean => uri.startsWith('file://') || uri.startsWith('/')

const secondFactor = unset(
  z.unknown().transform((value, context) => {
    try {
      return parseSecondFactor(value)
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : String(error) })
      return z.NEVER
    }
  }),
)

const authentication = strictObject(
  {
    type: refuse(yamlString, (type) => type === 'local', `only 'local' is possible; single sign-on is ${LATER}`),
    second_factor: secondFactor,
    connector_name: refuse(yamlString, (name) => name === 'local'),
    // What came before WebAuthn: where the newer section is silent, this one counts, as in the original.
    u2f: section(
      strictObject({
        app_id: unset(parsedBy(parseAppId)),
        facets: unset(yamlStrings),
        device_attestation_cas: unset(yamlStrings),
      }),
    ),
    webauthn: section(
      strictObject({
        rp_id: unset(parsedBy(parseRpId)),
        attestation_allowed_cas: unset(yamlStrings),
        attestation_denied_cas: unset(yamlStrings),
        disabled: bool,
      }),
    ),
    local_auth: refuse(yamlBool, (value) => value, 'local users are the only ones there are'),
    require_session_mfa: bool,
    locking_mode: unset(oneOf(['strict', 'best_effort'])),
    password_min_length: unset(z.coerce.number().int().min(6, { message: 'must be at least 6' }).max(128)),
    lockout: section(
      strictObject({
        failures: count(1),
        window: duration({ bare: 'minutes' }),
        duration: duration({ bare: 'minutes' }),
      }),
    ),
  },
  later('passwordless', 'device_trust', 'headless'),
)

const auth = strictObject(
  {
    enabled: bool,
    listen_addr: listen(defaultPorts.auth),
    public_addr: publicAddr,
    cluster_name: unset(parsedBy((name) => checkName('cluster name', name))),
    tokens: list(parsedBy(parseToken)),
    authentication: section(authentication),
    session_recording: unset(sessionRecording()),
    session_detach_timeout: duration({}),
    proxy_checks_host_keys: bool,
    client_idle_timeout: unset(
      z.preprocess(
        (value) => (value === 'never' ? '0' : value),
        parsedBy((value) => parseDuration(value)),
      ),
    ),
    client_idle_timeout_message: refuse(yamlString, () => false),
    disconnect_expired_cert: bool,
    keep_alive_interval: duration({}),
    keep_alive_count_max: count(1),
    session_control_timeout: duration({}),
    web_idle_timeout: webIdleTimeout(),
    audit_retention: retention(),
    recording_retention: retention(),
    recording_reserve: unset(parsedBy(parseSize)),
    message_of_the_day: unset(
      yamlString.refine((value) => value.length <= 4096, { message: 'is longer than 4096 characters' }),
    ),
    routing_strategy: refuse(yamlString, (value) => value === 'unambiguous_match'),
    proxy_listener_mode: refuse(yamlString, (value) => value === 'separate'),
    license_file: text,
  },
  {
    ...later(
      'ca_key_params',
      'oidc_connectors',
      'reverse_tunnels',
      'trusted_clusters',
      'authorities',
      'u2f',
      'tunnel_strategy',
    ),
    ...other('kubeconfig_file'),
  },
)

/** `off` is read as a boolean by many tools. */
function sessionRecording() {
  return z.preprocess(
    (value) => (value === false || value === 'no' ? 'off' : value),
    oneOf(['node', 'node-sync', 'proxy', 'proxy-sync', 'off']),
  )
}

const command = strictObject({
  name: parsedBy((name) => checkName('label name', name)),
  command: yamlStrings.refine((words) => words.length > 0 && words[0] !== '', { message: 'names no program' }),
  period: parsedBy((value) => {
    const ms = parseDuration(value, { name: 'period' })
    if (ms < 1000) throw new BadParameter('period', 'the period must be at least 1s')
    return ms
  }),
})

const displayNumber = z.number().int().min(0).max(59_535)
const x11 = strictObject({
  enabled: bool,
  display_offset: displayNumber.optional(),
  max_display: displayNumber.optional(),
})

const ssh = strictObject(
  {
    enabled: bool,
    listen_addr: listen(defaultPorts.node),
    public_addr: publicAddr,
    labels,
    commands: list(command),
    permit_user_env: bool,
    pam: switchedOff(`PAM is ${LATER}; set 'enabled: no'`),
    enhanced_recording: switchedOff(`enhanced recording is ${LATER}; set 'enabled: no'`),
    restricted_session: switchedOff(`restricted sessions are ${LATER}; set 'enabled: no'`),
    x11: section(x11),
    port_forwarding: refuse(
      yamlBool,
      (value) => value,
      `switching it off per node is ${LATER}; use the roles' port_forwarding`,
    ),
    ssh_file_copy: refuse(yamlBool, (value) => value),
    disable_create_host_user: bool,
  },
  later('aws', 'azure', 'gcp', 'force_listen'),
)

const proxy = strictObject(
  {
    enabled: bool,
    listen_addr: listen(defaultPorts.proxySsh),
    web_listen_addr: listen(defaultPorts.web),
    tunnel_listen_addr: listen(defaultPorts.tunnel),
    public_addr: publicAddr,
    ssh_public_addr: publicAddr,
    tunnel_public_addr: publicAddr,
    https_key_file: text,
    https_cert_file: text,
    https_keypairs: list(strictObject({ key_file: yamlString, cert_file: yamlString })),
    proxy_protocol: bool,
    acme: switchedOff(`ACME is ${LATER}; set 'enabled: no' and use https_keypairs`),
    kubernetes: switchedOff(OTHER),
  },
  {
    ...other('kube_listen_addr', 'kube_public_addr', 'mysql_listen_addr', 'mysql_public_addr', 'mysql_server_version'),
    ...other(
      'postgres_listen_addr',
      'postgres_public_addr',
      'mongo_listen_addr',
      'mongo_public_addr',
      'db_public_addr',
    ),
    ...later('peer_listen_addr', 'peer_public_addr', 'ui', 'license_file'),
  },
)

export const fileSchema = strictObject(
  {
    version: refuse(yamlString, (version) => version === 'v1', "only 'v1' is possible: separate ports"),
    teleport: section(teleport),
    auth_service: section(auth),
    ssh_service: section(ssh),
    proxy_service: section(proxy),
    kubernetes_service: switchedOff(OTHER),
    app_service: switchedOff(OTHER),
    db_service: switchedOff(OTHER),
    windows_desktop_service: switchedOff(OTHER),
    discovery_service: switchedOff(OTHER),
    metrics_service: switchedOff("use 'teleport.diag_addr' instead"),
    tracing_service: switchedOff(`tracing is ${LATER}; set 'enabled: no'`),
  },
  other('okta_service', 'jamf_service', 'debug_service'),
)

export type FileConfig = z.output<typeof fileSchema>
