/** What a cluster knows, without an auth service: two authorities, users, roles and certificates in memory. For the tests of proxy and node. */

import { randomUUID } from 'node:crypto'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { roleSchema } from '../../access/schema.ts'
import type { Role } from '../../access/types.ts'
import { realEnv } from '../../common/env.ts'
import { issueCertificateSync } from '../../ssh/certificate/issue.ts'
import { certificateLine } from '../../ssh/certificate/line.ts'
import type { Certificate, CertificateTemplate } from '../../ssh/certificate/types.ts'
import { formatPublicKeyLine } from '../../ssh/keys/line.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import { formatPrivateKey } from '../../ssh/keys/private-key-file.ts'
import { ClusterSnapshot } from '../cluster-snapshot.ts'
import type { ClusterState } from '../cluster-state.ts'
import type { MachineIdentity, MachineRole } from '../identity.ts'
import type { ClusterConfig } from '../model.ts'
import { toRoleRecord } from '../role-record.ts'

export const clusterName = 'test'
const env = realEnv

export interface TestUser {
  readonly name: string
  readonly roles: readonly string[]
  readonly logins: readonly string[]
}

/** One entry of an OpenSSH configuration file. */
export interface TestHost {
  readonly name: string
  readonly port: number
  readonly hostKeyAlias?: string
}

export class TestClusterState {
  readonly userAuthority = generateEd25519()
  readonly hostAuthority = generateEd25519()
  readonly snapshot = new ClusterSnapshot()
  readonly directory: string

  /** Files for OpenSSH go below `directory`. */
  constructor(directory: string) {
    this.directory = directory
    for (const type of ['user', 'host'] as const) {
      const { publicKey } = type === 'user' ? this.userAuthority : this.hostAuthority
      const value = { type, clusterName, keys: [formatPublicKeyLine(publicKey)] }
      this.snapshot.apply({ op: 'put', kind: 'authority', value })
    }
    this.configure({})
  }

  /** As proxies and nodes see the snapshot. */
  view(): ClusterState {
    const { snapshot } = this
    return {
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
      locks: snapshot.locks,
      grants: snapshot.grants,
      staleMs: 0,
    }
  }

  configure(more: Partial<ClusterConfig>): void {
    this.snapshot.apply({
      op: 'put',
      kind: 'config',
      value: {
        clusterName,
        secondFactor: 'otp',
        clientIdleTimeout: 0,
        disconnectExpiredCert: false,
        keepAliveInterval: 300,
        keepAliveCountMax: 3,
        sessionRecording: 'node',
        sessionDetachTimeout: 0,
        messageOfTheDay: '',
        lockingMode: 'best_effort',
        requireSessionMfa: false,
        ...more,
      },
    })
  }

  addRole(name: string, allow: Record<string, unknown>, options: Record<string, unknown> = {}): Role {
    const role = roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name }, spec: { allow, options } })
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

  /** A certificate as the auth service makes them, with what a test wants to be different. */
  certify(
    user: TestUser,
    publicKey: CertificateTemplate['publicKey'],
    more: Partial<CertificateTemplate> = {},
    signer = this.userAuthority,
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
  }

  /** Key, certificate and configuration for OpenSSH, with strict host checking; returns `-F FILE`. */
  writeOpenSsh(
    user: TestUser,
    login: string,
    host: TestHost,
    more: Partial<CertificateTemplate> = {},
    signer = this.userAuthority,
  ): readonly string[] {
    const directory = join(this.directory, `${user.name}-${randomUUID()}`)
    mkdirSync(directory, { recursive: true, mode: 0o700 })
    const file = (name: string, content: string): string => {
      writeFileSync(join(directory, name), content, { mode: 0o600 })
      return join(directory, name)
    }
    const key = generateEd25519()
    const certificate = this.certify(user, key.publicKey, more, signer)
    const id = file('id', formatPrivateKey(key))
    file('id.pub', `${formatPublicKeyLine(key.publicKey)}\n`)
    const config = file(
      'config',
      `Host ${host.name}
  HostName 127.0.0.1
  Port ${host.port}
${host.hostKeyAlias === undefined ? '' : `  HostKeyAlias ${host.hostKeyAlias}\n`}Host *
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
    return ['-F', config]
  }
}

/** From a minute ago for an hour. */
export function validity(): Pick<CertificateTemplate, 'validAfter' | 'validBefore'> {
  const now = env.now().getTime()
  return { validAfter: new Date(now - 60_000), validBefore: new Date(now + 3_600_000) }
}
