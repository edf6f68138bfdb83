/** A node for tests, without an auth service: authorities, users and roles in memory, and configuration files for OpenSSH. */

import { join } from 'node:path'
import type { Labels } from '../../access/types.ts'
import { AccessGuard } from '../../api/access-guard.ts'
import type { ChangeKind } from '../../api/cluster-snapshot.ts'
import type { MachineIdentity } from '../../api/identity.ts'
import type { Lease } from '../../api/lease-routes.ts'
import { clusterName, TestClusterState, type TestUser } from '../../api/testing/cluster-state.ts'
import type { AuditEvent } from '../../audit/events.ts'
import { realEnv } from '../../common/env.ts'
import { silentLogger } from '../../common/log.ts'
import { LimitExceeded } from '../../errors/errors.ts'
import type { CertificateTemplate } from '../../ssh/certificate/types.ts'
import type { SshServer } from '../../ssh/server-types.ts'
import { type RunOptions, type RunResult, run } from '../../ssh/testing/run.ts'
import { authorize, authorizeJoiner } from '../authorize.ts'
import type { NodeContext } from '../context.ts'
import type { LeaseApi } from '../limits/leases.ts'
import { keepHostUser } from '../node-events.ts'
import { openAccounts } from '../os/accounts.ts'
import { openHostUsers } from '../os/host-users.ts'
import { currentPrivileges, type Privileges } from '../os/privileges.ts'
import { FileJournal } from '../session/open-sessions.ts'
import { Sessions } from '../session/sessions.ts'
import { createNodeServer } from '../ssh-server.ts'
import { TestRecorder } from './test-recorder.ts'

export type { TestUser } from '../../api/testing/cluster-state.ts'

const env = realEnv

export class TestNode extends TestClusterState {
  readonly events: AuditEvent[] = []
  readonly recorder = new TestRecorder()
  readonly identity: MachineIdentity
  readonly context: NodeContext
  readonly server: SshServer
  labels: Labels = { env: 'dev' }
  /** When set, events cannot be kept. */
  auditProblem: Error | undefined
  permitUserEnvironment = false
  x11 = { enabled: true, firstDisplay: 10, lastDisplay: 1010 }
  readonly leases = new TestLeases()
  port = 0
  /** Milliseconds without news from auth. */
  staleMs = 0
  readonly #listeners = new Set<(kind: ChangeKind, id: string) => void>()
  readonly #stopped = new AbortController()

  constructor(directory: string, privileges: Privileges = currentPrivileges()) {
    super(directory)
    this.identity = this.machine('Node', ['node', `node.${clusterName}`])
    const self = this
    const context: NodeContext = {
      env,
      logger: silentLogger,
      state: this.view(),
      accounts: openAccounts(env),
      hostUsers: openHostUsers({ privileges, audit: (outcome) => keepHostUser(context, outcome) }),
      privileges,
      sessions: new Sessions(),
      recorder: this.recorder,
      openSessions: new FileJournal({ dir: directory, env, logger: silentLogger }, join(directory, 'open-1-1.jsonl')),
      uuid: this.identity.uuid,
      hostname: 'node',
      address: () => `127.0.0.1:${this.port}`,
      labels: () => this.labels,
      webProxy: () => 'proxy.test:3080',
      get x11() {
        return self.x11
      },
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
          // An account that was taken away is not made again for those who are connected.
          proven: false,
        }),
      recheckJoiner: (connection) =>
        authorizeJoiner(context, {
          certificate: connection.identity.identity.certificate,
          sourceAddress: connection.peer.address,
        }),
      onAccessChange: (listener) => {
        this.#listeners.add(listener)
        return () => void this.#listeners.delete(listener)
      },
    }
    this.context = context
    this.server = createNodeServer({
      context,
      identity: () => this.identity,
      version: '0.0.0',
      guard: new AccessGuard({
        onChange: context.onAccessChange,
        staleMs: () => this.staleMs,
        env: context.env,
        logger: context.logger,
        signal: this.#stopped.signal,
      }),
      connectionLimits: { maxConnections: 1000, maxUsers: 100 },
      leases: this.leases,
    })
  }

  /** As when the cluster's state arrives: tells what looks at rights again. */
  accessChanged(): void {
    for (const listener of this.#listeners) listener('config', 'config')
  }

  async listen(): Promise<void> {
    this.port = (await this.server.listen(0, '127.0.0.1')).port
  }

  /** Files and arguments for OpenSSH up to the command, with whatever a test wants to be different in the certificate. */
  openSsh(
    user: TestUser,
    login: string,
    more: Partial<CertificateTemplate> = {},
    signer = this.userAuthority,
  ): string[] {
    return [
      ...this.writeOpenSsh(user, login, { name: 'node', port: this.port, hostKeyAlias: 'node' }, more, signer),
      'node',
    ]
  }

  ssh(user: TestUser, login: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const [flag = '', config = '', host = ''] = this.openSsh(user, login)
    const flags = args.slice(0, -1)
    return run('ssh', [flag, config, ...flags, host, ...args.slice(-1)], options)
  }
}

/** Counts connections as auth would, for one node. */
class TestLeases implements LeaseApi {
  readonly held = new Set<string>()
  /** When set, auth is away. */
  problem: Error | undefined

  async acquire({ id }: Lease, maximum: number): Promise<void> {
    if (this.problem !== undefined) throw this.problem
    if (this.held.size >= maximum) throw new LimitExceeded(`there are ${this.held.size} connections`)
    this.held.add(id)
  }
  async renew(): Promise<void> {}
  async release({ id }: Lease): Promise<void> {
    this.held.delete(id)
  }
}
