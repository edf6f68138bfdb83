import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { loadConfig, parseConfig } from './load.ts'
import { sampleConfig } from './sample.ts'
import type { StartFlags } from './types.ts'

const parse = (text: string, flags: StartFlags = {}) => parseConfig(text, 't.yaml', flags, 'box')

const ORIGINAL = `# a file of the original
teleport:
  nodename: one
  data_dir: /var/lib/teleport
  pid_file: /run/teleport.pid
  auth_token: xxxx-token-xxxx
  ca_pin: "sha256:${'AB'.repeat(32)}"
  auth_servers: [10.1.0.5:3025, auth2]
  advertise_ip: 10.1.0.9
  connection_limits:
    max_connections: 1000
    max_users: 250
  log:
    output: /var/log/teleport.log
    severity: WARNING
    format: {output: json, extra_fields: [timestamp, caller]}
  storage:
    type: dir
    path: /srv/state
    audit_sessions_uri: file:///srv/rec
  cache: {enabled: yes}
  diag_addr: 127.0.0.1:3000
auth_service:
  enabled: yes
  listen_addr: 0.0.0.0:3025
  cluster_name: "main"
  tokens:
  - "node,proxy,auth:SECRETSECRETSECRET"
  - "node:other-secret-1234567"
  authentication:
    type: local
    second_factor: off
    u2f: {app_id: "https://localhost:3080", facets: ["https://localhost:3080"]}
  session_recording: "off"
  proxy_checks_host_keys: no
  client_idle_timeout: never
  disconnect_expired_cert: yes
  keep_alive_interval: 15m
  public_addr: auth.example.com
ssh_service:
  enabled: "yes"
  listen_addr: "[::]:3022"
  public_addr: [node.example.com, "node2:99"]
  labels: {role: master, number: 7, __proto__: x}
  commands:
  - {name: arch, command: [/bin/uname, -p], period: 1h0m0s}
  permit_user_env: false
  pam: {enabled: no, service_name: sshd}
  enhanced_recording: {enabled: false}
proxy_service:
  enabled: on
  listen_addr: 0.0.0.0:3023
  web_listen_addr: 0.0.0.0:8080
  tunnel_listen_addr: 0.0.0.0:3024
  public_addr: localhost
  https_key_file: /k.pem
  https_cert_file: /c.pem
  acme: {}
  kubernetes: {enabled: no}
kubernetes_service: {enabled: no, listen_addr: 0.0.0.0:3026}
app_service: {enabled: "no"}
`.replace('  acme: {}\n', '  acme: {enabled: no}\n')

describe('teleport.yaml', () => {
  test('a file of the original, whole', () => {
    const { config, warnings } = parse(ORIGINAL)
    expect(config).toEqual({
      file: 't.yaml',
      nodename: 'one',
      dataDir: '/var/lib/teleport',
      pidFile: '/run/teleport.pid',
      authToken: 'xxxx-token-xxxx',
      caPins: [`sha256:${'ab'.repeat(32)}`],
      authServers: [
        { host: '10.1.0.5', port: 3025 },
        { host: 'auth2', port: 3025 },
      ],
      advertise: { host: '10.1.0.9' },
      diagAddr: { host: '127.0.0.1', port: 3000 },
      log: { output: '/var/log/teleport.log', severity: 'warn', format: 'json' },
      limits: { maxConnections: 1000, maxUsers: 250 },
      storage: { type: 'sqlite', path: '/srv/state' },
      algorithms: {},
      auth: {
        fileSettings: ['cluster_auth_preference', 'cluster_networking_config', 'session_recording_config'],
        enabled: true,
        listenAddr: { host: '0.0.0.0', port: 3025 },
        publicAddrs: [{ host: 'auth.example.com', port: 3025 }],
        clusterName: 'main',
        tokens: [
          { roles: ['node', 'proxy', 'auth'], secret: 'SECRETSECRETSECRET' },
          { roles: ['node'], secret: 'other-secret-1234567' },
        ],
        authentication: {
          type: 'local',
          secondFactor: 'off',
          webauthn: { enabled: true, rpId: 'localhost', attestationAllowedCas: [], attestationDeniedCas: [] },
          requireSessionMfa: false,
          passwordMinLength: 12,
          lockout: { failures: 5, windowMs: 1_800_000, durationMs: 1_200_000 },
          lockingMode: 'best_effort',
        },
        sessionRecording: 'off',
        sessionDetachTimeoutMs: 0,
        proxyChecksHostKeys: false,
        clientIdleTimeoutMs: 0,
        webIdleTimeoutMs: 1_800_000,
        auditRetentionMs: 0,
        recordingRetentionMs: 0,
        recordingReserveBytes: 256 * 1024 * 1024,
        disconnectExpiredCert: true,
        keepAliveIntervalMs: 900_000,
        keepAliveCountMax: 3,
        messageOfTheDay: '',
      },
      ssh: {
        enabled: true,
        listenAddr: { host: '::', port: 3022 },
        publicAddrs: [
          { host: 'node.example.com', port: 3022 },
          { host: 'node2', port: 99 },
        ],
        labels: Object.assign(Object.create(null), { role: 'master', number: '7', ...JSON.parse('{"__proto__":"x"}') }),
        commands: [{ name: 'arch', command: ['/bin/uname', '-p'], periodMs: 3_600_000 }],
        permitUserEnv: false,
        x11: { enabled: true, firstDisplay: 10, lastDisplay: 1010 },
      },
      proxy: {
        enabled: true,
        listenAddr: { host: '0.0.0.0', port: 3023 },
        webListenAddr: { host: '0.0.0.0', port: 8080 },
        tunnelListenAddr: { host: '0.0.0.0', port: 3024 },
        publicAddrs: [{ host: 'localhost', port: 8080 }],
        sshPublicAddrs: [],
        tunnelPublicAddrs: [],
        httpsKeypairs: [{ keyFile: '/k.pem', certFile: '/c.pem' }],
      },
    })
    expect(warnings).toEqual(["second_factor is 'off': a stolen password is enough to log in"])
  })

  test.each(['', '# nothing\n', 'teleport:\nauth_service:\nssh_service:\nproxy_service:\n', 'teleport: {}\n'])(
    'defaults for %j',
    (text) => {
      const { config } = parse(text)
      expect(config).toMatchObject({
        nodename: 'box',
        dataDir: '/var/lib/teleport',
        authServers: [{ host: '127.0.0.1', port: 3025 }],
        storage: { type: 'sqlite', path: '/var/lib/teleport/auth' },
        auth: { enabled: true, clusterName: 'box', authentication: { secondFactor: 'otp' }, sessionRecording: 'node' },
        ssh: { enabled: true, listenAddr: { host: '0.0.0.0', port: 3022 }, labels: {} },
        proxy: { enabled: true, webListenAddr: { host: '0.0.0.0', port: 3080 }, httpsKeypairs: [] },
      })
      expect(config.authToken).toBeUndefined()
    },
  )

  test.each([
    ['yes', true],
    ['"yes"', true],
    ['on', true],
    ['True', true],
    ['true', true],
    ['no', false],
    ['off', false],
    ['False', false],
    ['"no"', false],
  ])('enabled: %s is %s', (word, expected) => {
    expect(parse(`ssh_service: {enabled: ${word}}`).config.ssh.enabled).toBe(expected)
  })

  test.each([
    ['bare off', 'off', 'off'],
    ['quoted on', '"on"', 'on'],
    ['false', 'false', 'off'],
    ['otp', 'otp', 'otp'],
    ['webauthn', 'webauthn', 'webauthn'],
    ['optional', 'optional', 'optional'],
    ['u2f, which webauthn has replaced,', 'u2f', 'webauthn'],
  ])('second_factor: %s', (_, word, expected) => {
    const { config } = parse(`auth_service: {authentication: {second_factor: ${word}}}`)
    expect(config.auth.authentication.secondFactor).toBe(expected)
  })

  test.each([
    ['teleport:\n  nodname: x', "t.yaml:2: teleport.nodname: unknown key (did you mean 'nodename'?)"],
    ['teleprot: {}', "t.yaml:1: teleprot: unknown key (did you mean 'teleport'?)"],
    ['\n\nssh_service:\n  xyzzy: 1', 't.yaml:4: ssh_service.xyzzy: unknown key'],
    ['ssh_service: {enabled: maybe}', 't.yaml:1: ssh_service.enabled: must be yes or no, not "maybe"'],
    [
      'ssh_service:\n  listen_addr: "host:99999"',
      't.yaml:2: ssh_service.listen_addr: the address "host:99999" has no valid port',
    ],
    ['ssh_service: 7', 't.yaml:1: ssh_service: must be a section'],
    ['- a', 't.yaml:1: must be a section'],
    [
      'teleport:\n  auth_servers:\n  - ok:1\n  - "a b"',
      't.yaml:4: teleport.auth_servers[1]: the address "a b" has no valid host',
    ],
    ['teleport: {ca_pin: abc}', 'the CA pin "abc" is not sha256:'],
    ['teleport: {log: {severity: loud}}', 'must be one of DEBUG, INFO, WARN, ERROR, not "loud"'],
    ['teleport: {log: {output: syslog}}', 'syslog is not available'],
    ['teleport: {user: 1000}', 'teleport.user: "1000" cannot be the name of an account'],
    ['teleport: {user: "--reuid=0"}', 'cannot be the name of an account'],
    [
      'teleport: {storage: {type: etcd}}',
      't.yaml:1: teleport.storage.type: this storage is not available in this version; use sqlite',
    ],
    ['teleport: {storage: {type: sqlite, peers: [a]}}', 'teleport.storage.peers: not available in this version'],
    ['teleport: {storage: {audit_events_uri: ["dynamodb://x"]}}', 'only file:// is possible'],
    ['teleport: {connection_limits: {max_users: 0}}', 'must be at least 1'],
    ['teleport: {cache: {enabled: no}}', 'the cache cannot be switched off'],
    [
      'auth_service: {authentication: {second_factor: opt}}',
      'must be one of off, otp, webauthn, on, optional, not "opt"',
    ],
    ['auth_service: {authentication: {webauthn: {rp_id: "https://a.b"}}}', 'rp_id: "https://a.b" is not a host name'],
    ['auth_service: {authentication: {webauthn: {rp_id: 10.0.0.1}}}', 'rp_id: "10.0.0.1" is not a host name'],
    ['auth_service: {authentication: {u2f: {app_id: localhost}}}', 'app_id: "localhost" is not a URL'],
    [
      'auth_service: {authentication: {second_factor: webauthn, webauthn: {disabled: yes}}}',
      'second_factor is webauthn, but webauthn.disabled is set',
    ],
    [
      'auth_service: {authentication: {webauthn: {attestation_allowed_cas: [/etc/hostname]}}}',
      '/etc/hostname holds no certificate in PEM form',
    ],
    ['auth_service: {authentication: {type: oidc}}', 'single sign-on is not available'],
    [
      'auth_service: {authentication: {second_factor: off, require_session_mfa: yes}}',
      'require_session_mfa needs a second_factor, which is off',
    ],
    [
      'auth_service: {session_recording: nod}',
      'must be one of node, node-sync, proxy, proxy-sync, off, not "nod" (did you mean \'node\'?)',
    ],
    ['auth_service: {tokens: ["node:"]}', 'a static token is written as ROLES:SECRET'],
    [
      'auth_service: {tokens: ["noed:secret"]}',
      'unknown role "noed"; the roles are auth, proxy, node (did you mean \'node\'?)',
    ],
    ['auth_service: {tokens: ["kube:secret"]}', 'belongs to a protocol other than SSH'],
    ['auth_service: {cluster_name: "a/b"}', 'the cluster name "a/b" must be'],
    ['auth_service: {client_idle_timeout: 5}', 'needs a unit'],
    ['auth_service: {audit_retention: 90m}', 'at least 24h'],
    ['auth_service: {recording_reserve: lots}', 'is not a size'],
    ['auth_service: {recording_retention: soon}', 'duration'],
    ['ssh_service: {pam: {enabled: yes}}', 'ssh_service.pam: PAM is not available in this version'],
    ['ssh_service: {x11: {enabled: maybe}}', 'ssh_service.x11.enabled: must be yes or no'],
    ['ssh_service: {x11: {display_offset: 20, max_display: 10}}', 'max_display: 10 is less than display_offset, 20'],
    ['ssh_service: {labels: {"a b": c}}', 'the label name "a b" must be'],
    ['ssh_service: {labels: {a: {b: c}}}', 'ssh_service.labels.a: must be a text, not a section'],
    ['ssh_service: {commands: [{name: a, command: [], period: 1m}]}', 'names no program'],
    ['ssh_service: {commands: [{name: a, command: [x], period: 10ms}]}', 'the period must be at least 1s'],
    ['ssh_service: {commands: [{name: a, command: [x]}]}', 'ssh_service.commands[0].period: is required'],
    ['ssh_service: {labels: {a: b}, commands: [{name: a, command: [x], period: 1m}]}', 'the label a is defined twice'],
    [
      'proxy_service: {kube_listen_addr: "0.0.0.0:3026"}',
      'proxy_service.kube_listen_addr: belongs to a protocol other than SSH',
    ],
    [
      'proxy_service: {mysql_listen_addr: "0.0.0.0:3036"}',
      'proxy_service.mysql_listen_addr: belongs to a protocol other than SSH',
    ],
    ['proxy_service: {acme: {enabled: yes}}', 'ACME is not available'],
    ['proxy_service: {https_key_file: /k}', 'https_key_file and https_cert_file belong together'],
    ['kubernetes_service: {enabled: yes}', 't.yaml:1: kubernetes_service: belongs to a protocol other than SSH'],
    ['db_service: {}', 'db_service: belongs to a protocol other than SSH'],
    ['version: v2', "only 'v1' is possible"],
    ['a: 1\na: 2', 't.yaml:2: the key "a" is there twice'],
    ['a: [', 't.yaml:'],
    ['a: "x', 't.yaml:'],
    ['teleport: {}\n---\nteleport: {}', 'a second document'],
    ['auth_service: {enabled: no}\nproxy_service: {enabled: no}', 'no auth server is named'],
    [
      'auth_service: {enabled: no}\nproxy_service: {enabled: no}\nssh_service: {enabled: no}',
      'every service is switched off',
    ],
    [`${'['.repeat(5000)}`, 'nested too deeply'],
    [`teleport: ${'{a: '.repeat(200)}1${'}'.repeat(200)}`, 'nested too deeply'],
    [`teleport: {nodename: "${'x'.repeat(300_000)}"}`, 'larger than 262144 bytes'],
    [
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefgh'
        .split('')
        .map((name, i) => `${name}: &${name} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
        .join('\n')}`,
      'too many YAML aliases',
    ],
  ])('%j is refused', (text, message) => {
    expect(() => parse(text)).toThrow(message)
    expect(() => parse(text)).toThrow(expect.objectContaining({ kind: 'BadParameter' }))
  })

  test('every problem is reported, in the order of the file', () => {
    const text = 'teleport:\n  nodname: x\n  pid_file: [a]\nssh_service:\n  enabled: 5\n  listn_addr: x\n'
    expect(() => parse(text)).toThrow(/^t\.yaml:2: .*\nt\.yaml:3: .*\nt\.yaml:5: .*\nt\.yaml:6: [^\n]*$/)
  })

  test('a token never appears in a message', () => {
    expect(() => parse('auth_service: {tokens: ["noed:hush-hush"]}')).not.toThrow(/hush/)
    expect(() => parse('auth_service: {tokens: ["node:hush hush"]}')).not.toThrow(/hush/)
    expect(() => parse('auth_service: {tokens: ["node:hush hush"]}')).toThrow(/visible ASCII/)
    expect(parse('auth_service: {tokens: ["node:hush"]}').warnings.join()).toContain('shorter than 16')
    expect(parse('auth_service: {tokens: ["node:hush"]}').warnings.join()).not.toContain('hush')
  })

  test.each([
    ['auth_service: {session_recording: proxy}', 'proxies do not record yet'],
    ['proxy_service: {proxy_protocol: on}', 'proxy_protocol is not available'],
    ['auth_service: {authentication: {password_min_length: 8}}', 'weak passwords'],
    ['auth_service: {license_file: /x}', 'license_file is ignored'],
  ])('%s warns', (text, warning) => expect(parse(text).warnings.join('\n')).toContain(warning))

  test('whatever the text, it is read or refused with our error', () => {
    fc.assert(
      fc.property(fc.string({ maxLength: 200 }), (text) => {
        try {
          parse(text)
        } catch (error) {
          expect(error).toMatchObject({ kind: 'BadParameter' })
        }
      }),
    )
    const words = fc.constantFrom(
      'teleport',
      'ssh_service',
      ':',
      ' ',
      '\n',
      '  ',
      '-',
      '[',
      ']',
      '{',
      '}',
      '&a',
      '*a',
      '"',
      'enabled',
      'yes',
      '!!x',
      '|',
      '? ',
      '#',
      ',',
    )
    fc.assert(
      fc.property(fc.array(words, { maxLength: 30 }), (parts) => {
        try {
          parse(parts.join(''))
        } catch (error) {
          expect(error).toMatchObject({ kind: 'BadParameter' })
        }
      }),
    )
  })

  test('the sample parses, with the given names', () => {
    const { config } = parse(sampleConfig({ clusterName: 'example.com', nodename: 'one', dataDir: '/srv/t' }))
    expect(config).toMatchObject({ nodename: 'one', dataDir: '/srv/t', auth: { clusterName: 'example.com' } })
    expect(parse(sampleConfig({ nodename: 'one' })).config.auth.clusterName).toBe('one')
    expect(() => sampleConfig({ clusterName: 'a b', nodename: 'one' })).toThrow(/cluster name/)
  })
})

describe('flags', () => {
  test('win over the file', () => {
    const { config } = parse(ORIGINAL, {
      roles: 'node',
      token: 'flag-token',
      caPin: `sha256:${'cd'.repeat(32)}`,
      authServer: 'other:3030,third',
      nodename: 'two',
      labels: 'role=db,team="a, b"',
      advertiseIp: '10.9.9.9:33',
      listenIp: '127.0.0.1',
      pidFile: '/p',
      diagAddr: '127.0.0.1:0',
      debug: true,
    })
    expect(config).toMatchObject({
      authToken: 'flag-token',
      caPins: [`sha256:${'cd'.repeat(32)}`],
      authServers: [
        { host: 'other', port: 3030 },
        { host: 'third', port: 3025 },
      ],
      nodename: 'two',
      advertise: { host: '10.9.9.9', port: 33 },
      pidFile: '/p',
      diagAddr: { host: '127.0.0.1', port: 0 },
      log: { severity: 'debug' },
      auth: { enabled: false },
      proxy: { enabled: false },
      ssh: { enabled: true, listenAddr: { host: '127.0.0.1', port: 3022 } },
    })
    expect({ ...config.ssh.labels }).toMatchObject({ role: 'db', team: 'a, b', number: '7' })
  })
  test.each<[StartFlags, string]>([
    [{ roles: 'auth,prxy' }, '--roles: unknown role "prxy"; the roles are auth, proxy, node (did you mean \'proxy\'?)'],
    [{ roles: 'db' }, '--roles: the role "db" belongs to a protocol other than SSH'],
    [{ labels: 'a' }, '--labels: the labels "a" must be written as key=value'],
    [{ labels: 'a=1,a=2' }, '--labels: the label "a" is given twice'],
    [{ nodename: '-x' }, '--nodename: the node name "-x" must be'],
    [{ authServer: 'a:b' }, '--auth-server: the address "a:b" has no valid port'],
    [{ caPin: 'x' }, '--ca-pin: the CA pin "x"'],
    [{ listenIp: 'a b' }, '--listen-ip: "a b" is not an IP address'],
    [{ diagAddr: 'x' }, '--diag-addr: the address "x" has no port'],
    [{ advertiseIp: '::1:x:' }, '--advertise-ip: the address'],
  ])('%j is refused', (flags, message) => expect(() => parse('{}', flags)).toThrow(message))
})

describe('files', () => {
  const temporary = async (name: string, content: string) => {
    const dir = await mkdtemp(join(tmpdir(), 'config-'))
    onTestFinished(() => rm(dir, { recursive: true, force: true }))
    const path = join(dir, name)
    await writeFile(path, content)
    return path
  }
  test('the flag, the environment, and neither', async () => {
    const path = await temporary('t.yaml', 'teleport: {nodename: from-file}')
    expect((await loadConfig({ file: path, hostname: 'box' })).config).toMatchObject({
      nodename: 'from-file',
      file: path,
    })
    const environment = { TELEPORT_CONFIG_FILE: path }
    expect((await loadConfig({ environment, hostname: 'box' })).config.nodename).toBe('from-file')
    await expect(loadConfig({ file: `${path}.no` })).rejects.toMatchObject({
      kind: 'NotFound',
      message: expect.stringContaining(path),
    })
    await expect(loadConfig({ environment: { TELEPORT_CONFIG_FILE: `${path}.no` } })).rejects.toMatchObject({
      kind: 'NotFound',
    })
  })
  test('tokens in files', async () => {
    const secret = await temporary('token', 'from-a-file-0123456789\n')
    expect(parse(`teleport: {auth_token: ${secret}}`).config.authToken).toBe('from-a-file-0123456789')
    expect(parse(`auth_service: {tokens: ["node:${secret}"]}`).config.auth.tokens).toEqual([
      { roles: ['node'], secret: 'from-a-file-0123456789' },
    ])
    expect(() => parse('teleport: {auth_token: /no/such/file}')).toThrow(
      'cannot read the token file /no/such/file: no such file',
    )
  })
  test('not a file, not UTF-8, not readable', async () => {
    await expect(loadConfig({ file: tmpdir() })).rejects.toThrow(/not a regular file|directory/)
    const path = await temporary('t.yaml', '')
    await writeFile(path, Buffer.from([0xff, 0xfe, 0x00]))
    await expect(loadConfig({ file: path })).rejects.toThrow('not valid UTF-8')
    await chmod(path, 0o600)
  })
})
