/** What `teleport configure` prints: a commented file that starts a cluster on one machine. */

import { hostname } from 'node:os'
import { checkName } from '../common/names.ts'

export interface SampleOptions {
  readonly clusterName?: string
  readonly nodename?: string
  readonly dataDir?: string
}

/** YAML that `parseConfig` accepts. Throws BadParameter for a malformed name. */
export function sampleConfig(options: SampleOptions = {}): string {
  const nodename = checkName('node name', options.nodename ?? hostname())
  const cluster = options.clusterName === undefined ? '' : checkName('cluster name', options.clusterName)
  const clusterLine = cluster === '' ? '  # cluster_name: example.com' : `  cluster_name: ${JSON.stringify(cluster)}`
  return `# A cluster on one machine: auth, proxy and node. All keys: docs/reference/config.md
teleport:
  nodename: ${JSON.stringify(nodename)}
  # State and keys; made with mode 0700 when missing.
  data_dir: ${JSON.stringify(options.dataDir ?? '/var/lib/teleport')}
  # The account that auth and proxy drop to when started as root:
  # user: teleport
  # To join an existing cluster from another machine, set these and disable auth_service:
  # auth_servers: ["auth.example.com:3025"]
  # auth_token: "the token, or the path of a file that holds it"
  # ca_pin: "sha256:..."
  log:
    output: stderr
    severity: INFO
    format:
      output: text
  # diag_addr: "127.0.0.1:3000"

auth_service:
  enabled: yes
  listen_addr: "0.0.0.0:3025"
  # The name is part of every certificate and cannot be changed later.
${clusterLine}
  # tokens: ["node,proxy:a-long-random-secret"]
  authentication:
    type: local
    second_factor: otp

ssh_service:
  enabled: yes
  listen_addr: "0.0.0.0:3022"
  labels:
    env: example
  commands:
  - name: hostname
    command: [hostname]
    period: 1m0s

proxy_service:
  enabled: yes
  listen_addr: "0.0.0.0:3023"
  web_listen_addr: "0.0.0.0:3080"
  tunnel_listen_addr: "0.0.0.0:3024"
  # What clients are told, and the name in the HTTPS certificate:
  # public_addr: "proxy.example.com:3080"
  # https_keypairs:
  # - key_file: /etc/ssl/private/proxy.key
  #   cert_file: /etc/ssl/certs/proxy.pem
`
}
