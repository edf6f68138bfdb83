/** A cluster without an auth service, for tests of the proxy: state in memory, registered servers, nodes that run commands. */

import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import type { Presence, ServerRole } from '../../api/model.ts'
import { preambleVerifier } from '../../api/preamble.ts'
import { clusterName, TestClusterState, type TestUser } from '../../api/testing/cluster-state.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import type { CertificateTemplate } from '../../ssh/certificate/types.ts'
import { createSshServer } from '../../ssh/server.ts'
import type { PeerAddress, SshServer } from '../../ssh/server-types.ts'
import type { SshSideOptions } from '../ssh/server.ts'

export type { TestUser } from '../../api/testing/cluster-state.ts'

const env = realEnv

export class TestCluster extends TestClusterState {
  readonly state: SshSideOptions['state']

  constructor(directory: string) {
    super(directory)
    const { servers } = this.snapshot
    const now = () => env.now().getTime()
    const index: Omit<SshSideOptions['state'], keyof ReturnType<TestClusterState['view']>> = {
      servers: (role) => servers.list(role, now()),
      serverByUuid: (role, uuid) => servers.byUuid(role, uuid, now()),
      serversByHostname: (role, name) => servers.byHostname(role, name, now()),
      serversByLabel: (role, name, value) => servers.byLabel(role, name, value, now()),
      serversByAddress: (role, host, port) => servers.byAddress(role, host, port, now()),
    }
    this.state = Object.assign(this.view(), index)
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

  /** Key, certificate and configuration files for OpenSSH; returns the argument list up to the host. */
  openSsh(user: TestUser, proxyPort: number, more: Partial<CertificateTemplate> = {}): readonly string[] {
    return this.writeOpenSsh(user, user.logins[0] ?? 'nobody', { name: 'proxy', port: proxyPort }, more)
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
