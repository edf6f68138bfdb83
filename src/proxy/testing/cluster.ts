/** A cluster without an auth service, for tests: two authorities, users and roles in memory, nodes that run commands, OpenSSH files. */

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { roleSchema } from '../../access/schema.ts'
import type { Role } from '../../access/types.ts'
import { ClusterSnapshot } from '../../api/cluster-snapshot.ts'
import type { MachineIdentity, MachineRole } from '../../api/identity.ts'
import type { Presence, ServerRole } from '../../api/model.ts'
import { preambleVerifier } from '../../api/preamble.ts'
import { toRoleRecord } from '../../api/role-record.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { issueCertificateSync } from '../../ssh/certificate/issue.ts'
import { certificateLine } from '../../ssh/certificate/line.ts'
import type { Certificate, CertificateTemplate } from '../../ssh/certificate/types.ts'
import { formatPublicKeyLine } from '../../ssh/keys/line.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import { formatPrivateKey } from '../../ssh/keys/private-key-file.ts'
import { createSshServer } from '../../ssh/server.ts'
import type { PeerAddress, SshServer } from '../../ssh/server-types.ts'
import type { SshSideOptions } from '../ssh/server.ts'

const clusterName = 'test'
const env = realEnv

export interface TestUser {
  readonly name: string
  readonly roles: readonly string[]
  readonly logins: readonly string[]
}

export class TestCluster {
  readonly userAuthority = generateEd25519()
  readonly hostAuthority = generateEd25519()
  readonly snapshot = new ClusterSnapshot()
  readonly state: SshSideOptions['state']
  readonly directory: string

  constructor(directory: string) {
    this.directory = directory
    const { snapshot } = this
    for (const [type, key] of [
      ['user', this.userAuthority],
      ['host', this.hostAuthority],
    ] as const) {
      snapshot.apply({
        op: 'put',
        kind: 'authority',
        value: { type, clusterName, keys: [formatPublicKeyLine(key.publicKey)] },
      })
    }
    this.configure({})
    const now = () => env.now().getTime()
    this.state = {
      clusterName,
      get userAuthorities() {
        return snapshot.userAuthorities
      },
      get hostAuthorities() {
        return snapshot.hostAuthorities
      },
      get config() {
        if (snapshot.config === undefined) throw new Error('no config')
        return snapshot.config
      },
      user: (name) => snapshot.users.get(name),
      role: (name) => snapshot.roles.get(name)?.role,
      servers: (role) => snapshot.servers.list(role, now()),
      serverByUuid: (role, uuid) => snapshot.servers.byUuid(role, uuid, now()),
      serversByHostname: (role, name) => snapshot.servers.byHostname(role, name, now()),
      serversByLabel: (role, name, value) => snapshot.servers.byLabel(role, name, value, now()),
      serversByAddress: (role, host, port) => snapshot.servers.byAddress(role, host, port, now()),
    }
  }

  configure(more: { readonly disconnectExpiredCert?: boolean }): void {
    this.snapshot.apply({
      op: 'put',
      kind: 'config',
      value: {
        clusterName,
        secondFactor: 'otp',
        clientIdleTimeout: 0,
        disconnectExpiredCert: false,
        keepAliveInterval: 300,
        sessionRecording: 'node',
        messageOfTheDay: '',
        ...more,
      },
    })
  }

  addRole(name: string, allow: Record<string, unknown>): Role {
    const role = roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name }, spec: { allow } })
    this.snapshot.apply({ op: 'put', kind: 'role', value: toRoleRecord(role) })
    return role
  }

  addUser(user: TestUser): void {
    this.snapshot.apply({
      op: 'put',
      kind: 'user',
      value: {
        name: user.name,
        roles: [...user.roles],
        traits: { logins: [...user.logins] },
        createdBy: 'test',
        created: env.now().toISOString(),
        activated: true,
      },
    })
  }

  register(presence: Pick<Presence, 'address'> & Partial<Presence>): Presence {
    const whole: Presence = {
      uuid: randomUUID(),
      role: 'node',
      hostname: 'node',
      publicAddresses: [],
      labels: {},
      version: '0',
      expires: new Date(env.now().getTime() + 600_000).toISOString(),
      ...presence,
    }
    this.snapshot.apply({ op: 'put', kind: 'presence', value: whole })
    return whole
  }

  machine(role: MachineRole, names: readonly string[], uuid: string = randomUUID()): MachineIdentity {
    const key = generateEd25519()
    const certificate = issueCertificateSync(
      {
        publicKey: key.publicKey,
        type: 'host',
        keyId: `${uuid}.${clusterName}`,
        principals: [uuid, `${uuid}.${clusterName}`, ...names],
        ...validity(),
        extensions: { 'x-teleport-authority': clusterName, 'x-teleport-role': role },
      },
      this.hostAuthority,
      env,
    )
    return {
      role,
      uuid,
      clusterName,
      key,
      certificate,
      hostAuthorities: [this.hostAuthority.publicKey],
      userAuthorities: [this.userAuthority.publicKey],
    }
  }

  /** A certificate as the auth service makes them, with what a test wants to be different. */
  certify(
    user: TestUser,
    publicKey: CertificateTemplate['publicKey'],
    more: Partial<CertificateTemplate> = {},
  ): Certificate {
    return issueCertificateSync(
      {
        publicKey,
        type: 'user',
        keyId: user.name,
        principals: user.logins,
        ...validity(),
        extensions: {
          'permit-pty': '',
          'permit-port-forwarding': '',
          'teleport-roles': JSON.stringify(user.roles),
          'teleport-traits': JSON.stringify({ logins: user.logins }),
          'teleport-route-to-cluster': clusterName,
        },
        ...more,
      },
      this.userAuthority,
      env,
    )
  }

  /** Key, certificate and configuration files for OpenSSH; returns the argument list up to the host. */
  openSsh(user: TestUser, proxyPort: number, more: Partial<CertificateTemplate> = {}): readonly string[] {
    const directory = join(this.directory, `${user.name}-${randomUUID()}`)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const key = generateEd25519()
    writeFileSync(join(directory, 'id'), formatPrivateKey(key), { mode: 0o600 })
    writeFileSync(join(directory, 'id.pub'), `${formatPublicKeyLine(key.publicKey)}\n`)
    writeFileSync(join(directory, 'certificate.pub'), `${certificateLine(this.certify(user, key.publicKey, more))}\n`)
    writeFileSync(
      join(directory, 'known_hosts'),
      `@cert-authority * ${formatPublicKeyLine(this.hostAuthority.publicKey)}\n`,
    )
    writeFileSync(
      join(directory, 'config'),
      `Host proxy
  HostName 127.0.0.1
  Port ${proxyPort}
Host *
  User ${user.logins[0] ?? 'nobody'}
  IdentityFile ${join(directory, 'id')}
  CertificateFile ${join(directory, 'certificate.pub')}
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${join(directory, 'known_hosts')}
  GlobalKnownHostsFile /dev/null
  BatchMode yes
  LogLevel ERROR
`,
    )
    return ['-F', join(directory, 'config')]
  }

  /** A node that runs `sh -c` for whoever comes with a certificate of the user authority. Registers itself. */
  async startNode(
    hostname: string,
    labels: Presence['labels'] = {},
    role: ServerRole = 'node',
  ): Promise<{ readonly server: SshServer; readonly presence: Presence; readonly clients: PeerAddress[] }> {
    const identity = this.machine(role === 'auth' ? 'Auth' : 'Node', [hostname, `${hostname}.${clusterName}`])
    const clients: PeerAddress[] = []
    const server = createSshServer<string>({
      ident: 'TestNode',
      hostIdentities: () => [{ signer: identity.key, certificate: identity.certificate }],
      authMethods: ['publickey'],
      async authenticate(request, connection) {
        if (request.method !== 'publickey') return { allow: false, reason: 'no certificate' }
        if (request.signed) clients.push(connection.peer)
        return { allow: true, identity: request.user }
      },
      preamble: preambleVerifier({ target: role === 'auth' ? 'auth' : identity.uuid, state: this.state }),
      session(session) {
        if (session.request.kind !== 'exec') return session.reject()
        session.accept()
        const child = spawn('sh', ['-c', session.request.command], { stdio: ['pipe', 'pipe', 'pipe'] })
        session.channel.pipe(child.stdin).on('error', () => {})
        child.stdout.pipe(session.channel, { end: false })
        child.stderr.pipe(session.stderr, { end: false })
        session.channel.on('close', () => child.kill('SIGHUP'))
        child.on('close', (status) => void session.exit({ kind: 'exit', status: status ?? 255 }))
      },
      logger: silentLogger,
    })
    const { port } = await server.listen(0, '127.0.0.1')
    const presence = this.register({ uuid: identity.uuid, role, hostname, labels, address: `127.0.0.1:${port}` })
    return { server, presence, clients }
  }
}

function validity(): Pick<CertificateTemplate, 'validAfter' | 'validBefore'> {
  const now = env.now().getTime()
  return { validAfter: new Date(now - 60_000), validBefore: new Date(now + 3_600_000) }
}
