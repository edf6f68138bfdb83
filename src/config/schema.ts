/**
 * teleport.yaml, key by key. Keys of the original's SSH product are all known; what asks for something that does not exist
 * yet is refused by name, and so are the keys of the original's other protocols.
 */

import { z } from 'zod'
import { defaultPorts } from '../common/address.ts'
import { parseDuration } from '../common/durations.ts'
import { checkName } from '../common/names.ts'
import { oneOf, parsedBy, strictObject, yamlBool, yamlString, yamlStrings } from '../common/yaml.ts'
import { BadParameter } from '../errors/errors.ts'
import {
  address,
  bool,
  count,
  duration,
  LATER,
  labels,
  later,
  list,
  listen,
  OTHER,
  other,
  parsePublic,
  publicAddr,
  refuse,
  retention,
  section,
  switchedOff,
  text,
  unset,
  webIdleTimeout,
} from './fields.ts'
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
