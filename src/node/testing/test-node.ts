/** A node for tests, without an auth service: authorities, users and roles in memory, and configuration files for OpenSSH. */

import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { roleSchema } from '../../access/schema.ts'
import type { Labels } from '../../access/types.ts'
import { ClusterSnapshot } from '../../api/cluster-snapshot.ts'
import type { ClusterState } from '../../api/cluster-state.ts'
import type { MachineIdentity, MachineRole } from '../../api/identity.ts'
import { toRoleRecord } from '../../api/role-record.ts'
import type { AuditEvent } from '../../audit/events.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { issueCertificateSync } from '../../ssh/certificate/issue.ts'
import { certificateLine } from '../../ssh/certificate/line.ts'
import type { CertificateTemplate } from '../../ssh/certificate/types.ts'
import { formatPublicKeyLine } from '../../ssh/keys/line.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import { formatPrivateKey } from '../../ssh/keys/private-key-file.ts'
import type { PrivateKey } from '../../ssh/keys/types.ts'
import type { SshServer } from '../../ssh/server-types.ts'
import { type RunOptions, type RunResult, run } from '../../ssh/testing/run.ts'
import { authorize } from '../authorize.ts'
import type { NodeContext } from '../context.ts'
import { openAccounts } from '../os/accounts.ts'
import { currentPrivileges, type Privileges } from '../os/privileges.ts'
import { Sessions } from '../session/sessions.ts'
import { createNodeServer } from '../ssh-server.ts'

const clusterName = 'test'
const env = realEnv

export interface TestUser {
  readonly name: string
  readonly roles: readonly string[]
  readonly logins: readonly string[]
}

export class TestNode {
  readonly userAuthority = generateEd25519()
  readonly hostAuthority = generateEd25519()
  readonly snapshot = new ClusterSnapshot()
  readonly events: AuditEvent[] = []
  readonly identity: MachineIdentity
  readonly context: NodeContext
  readonly server: SshServer
  readonly directory: string
  labels: Labels = { env: 'dev' }
  /** When set, events cannot be kept. */
  auditProblem: Error | undefined
  permitUserEnvironment = false
  port = 0

  constructor(directory: string, privileges: Privileges = currentPrivileges()) {
    this.directory = directory
    this.#authority('user', this.userAuthority)
    this.#authority('host', this.hostAuthority)
    this.configure({})
    this.identity = this.machine('Node', ['node', `node.${clusterName}`])
    const { snapshot } = this
    const state: ClusterState = {
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
    }
    const self = this
    const context: NodeContext = {
      env,
      logger: silentLogger,
      state,
      accounts: openAccounts(env),
      privileges,
      sessions: new Sessions(),
      uuid: this.identity.uuid,
      hostname: 'node',
      address: () => `127.0.0.1:${this.port}`,
      labels: () => this.labels,
      webProxy: () => 'proxy.test:3080',
      get permitUserEnvironment() {
        return self.permitUserEnvironment
      },
      audit: async (events) => {
        if (this.auditProblem !== undefined) throw this.auditProblem
        this.events.push(...events)
      },
      recheck: async (connection) =>
        authorize(context, {
          certificate: connection.identity.identity.certificate,
          login: connection.user,
          sourceAddress: connection.peer.address,
        }),
    }
    this.context = context
    this.server = createNodeServer({
      context,
      identity: () => this.identity,
      version: '0.0.0',
      connectionLimits: { maxConnections: 1000, maxUsers: 100 },
    })
  }

  async listen(): Promise<void> {
    this.port = (await this.server.listen(0, '127.0.0.1')).port
  }

  #authority(type: 'user' | 'host', key: PrivateKey): void {
    const keys = [formatPublicKeyLine(key.publicKey)]
    this.snapshot.apply({ op: 'put', kind: 'authority', value: { type, clusterName, keys } })
  }

  configure(more: { readonly disconnectExpiredCert?: boolean; readonly clientIdleTimeout?: number }): void {
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

  addRole(name: string, allow: Record<string, unknown>, options: Record<string, unknown> = {}): void {
    const role = roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name }, spec: { allow, options } })
    this.snapshot.apply({ op: 'put', kind: 'role', value: toRoleRecord(role) })
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

  removeUser(name: string): void {
    this.snapshot.apply({ op: 'delete', kind: 'user', id: name })
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
    const [hostAuthorities, userAuthorities] = [[this.hostAuthority.publicKey], [this.userAuthority.publicKey]]
    return { role, uuid, clusterName, key, certificate, hostAuthorities, userAuthorities }
  }

  /** Files and arguments for OpenSSH up to the command, with whatever a test wants to be different in the certificate. */
  openSsh(
    user: TestUser,
    login: string,
    more: Partial<CertificateTemplate> = {},
    signer = this.userAuthority,
  ): string[] {
    const directory = join(this.directory, randomUUID())
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const file = (name: string, content: string): string => {
      writeFileSync(join(directory, name), content, { mode: 0o600 })
      return join(directory, name)
    }
    const key = generateEd25519()
    const id = file('id', formatPrivateKey(key))
    file('id.pub', `${formatPublicKeyLine(key.publicKey)}\n`)
    const certificate = issueCertificateSync(
      {
        publicKey: key.publicKey,
        type: 'user',
        keyId: user.name,
        principals: user.logins,
        ...validity(),
        extensions: {
          'permit-pty': '',
          'permit-port-forwarding': '',
          'permit-agent-forwarding': '',
          'permit-X11-forwarding': '',
          'teleport-roles': JSON.stringify(user.roles),
          'teleport-traits': JSON.stringify({ logins: user.logins }),
          'teleport-route-to-cluster': clusterName,
        },
        ...more,
      },
      signer,
      env,
    )
    const config = file(
      'config',
      `Host node
  HostName 127.0.0.1
  HostKeyAlias node
  Port ${this.port}
  User ${login}
  IdentityFile ${id}
  CertificateFile ${file('certificate.pub', `${certificateLine(certificate)}\n`)}
  IdentitiesOnly yes
  StrictHostKeyChecking yes
  UserKnownHostsFile ${file('known_hosts', `@cert-authority * ${formatPublicKeyLine(this.hostAuthority.publicKey)}\n`)}
  GlobalKnownHostsFile /dev/null
  BatchMode yes
  LogLevel ERROR
`,
    )
    return ['-F', config, 'node']
  }

  ssh(user: TestUser, login: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const [flag = '', config = '', host = ''] = this.openSsh(user, login)
    const flags = args.slice(0, -1)
    return run('ssh', [flag, config, ...flags, host, ...args.slice(-1)], options)
  }
}

export function validity(): Pick<CertificateTemplate, 'validAfter' | 'validBefore'> {
  const now = env.now().getTime()
  return { validAfter: new Date(now - 60_000), validBefore: new Date(now + 3_600_000) }
}
