/** The auth service without SSH and without a disk: in memory, on a clock that tests move. */

import type { FastifyInstance, RouteOptions } from 'fastify'
import { onTestFinished } from 'vitest'
import { createApiApp } from '../../api/app.ts'
import { authenticateUser } from '../../api/authenticate-user.ts'
import type { Caller } from '../../api/caller.ts'
import type { ApiClient } from '../../api/client.ts'
import type { BuiltinRole } from '../../api/endpoint.ts'
import { parseCertificateLine } from '../../api/lines.ts'
import type { UserCredentials } from '../../api/model.ts'
import { refusalByRules } from '../../api/rule-refusal.ts'
import { TestCallers } from '../../api/testing/in-process.ts'
import { firstHash } from '../../audit/chain.ts'
import type { AuditEvent } from '../../audit/events.ts'
import { openMemoryRecordings } from '../../audit/recording/memory.ts'
import type { AuditStore } from '../../audit/store.ts'
import type { Backend } from '../../backend/contract.ts'
import { openMemoryBackend } from '../../backend/memory.ts'
import { type FakeEnv, fakeEnv } from '../../common/fake-env.ts'
import { silentLogger } from '../../common/log.ts'
import { AccessDenied } from '../../errors/errors.ts'
import { makeCluster } from '../bootstrap.ts'
import type { PasswordCost } from '../passwords.ts'
import { openTables } from '../records.ts'
import { mountRoutes } from '../routes.ts'
import { type Services, startServices } from '../services.ts'
import { type AuthSettings, defaultSettings } from '../settings.ts'

export const ownUuid = '11111111-1111-4111-8111-111111111111'
export const machineUuid = '22222222-2222-4222-8222-222222222222'

export interface TestServices {
  readonly services: Services
  readonly backend: Backend
  readonly env: FakeEnv
  readonly app: FastifyInstance
  readonly callers: TestCallers
  readonly events: AuditEvent[]
  /** `METHOD /path` of everything that is mounted. */
  readonly mounted: readonly string[]
  /** Set to make the audit store refuse. */
  auditFailure: Error | undefined
  as(caller: Caller | undefined): ApiClient
  /** A caller with the certificate, as the SSH front would have made it. */
  user(credentials: Pick<UserCredentials, 'certificate'>): Caller
}

export const machineCaller = (role: BuiltinRole, names: readonly string[] = ['n1']): Caller => ({
  role,
  name: machineUuid,
  address: '10.0.0.9',
  names: [machineUuid, ...names],
  ...(role === 'Admin' ? { sameHost: true } : {}),
})
export const adminCaller: Caller = { role: 'Admin', name: 'admin', address: '127.0.0.1' }

/** Next to nothing: most tests are not about what passwords cost. */
const cheap: PasswordCost = { memory: 64, passes: 1 }

/**
 * With `shared`, on a store that there is already: another auth server of the same cluster. `{}` as the cost: what passwords cost in
 * earnest.
 */
export async function testServices(
  settings: Partial<AuthSettings> = {},
  shared?: Backend,
  cost: { readonly passwordCost?: PasswordCost } = { passwordCost: cheap },
): Promise<TestServices> {
  // Real time to begin with, since certificates are judged by libraries that know no other.
  const env = fakeEnv(new Date())
  const backend = shared ?? openMemoryBackend(env)
  const events: AuditEvent[] = []
  const clusterName = 'example'
  const bench = { auditFailure: undefined as Error | undefined }
  const head = { ei: 0, hash: firstHash }
  const auditStore: AuditStore = {
    append: async (added) => {
      if (bench.auditFailure !== undefined) throw bench.auditFailure
      events.push(...added)
    },
    search: async () => ({ events: [] }),
    async *export() {},
    async *verify() {
      yield { proof: { events: 0, checkpoints: 0, signedTo: 0, startsAfter: 0, head }, recordings: [], result: null }
    },
    cut: async () => undefined,
    status: async () => ({ head, checkpoint: { n: 0, ei: 0 }, cutTo: 0, indexedTo: 0, disk: 'ok', lost: [] }),
    close: async () => undefined,
  }
  const auditLog = { store: auditStore, publicKey: '', heads: () => [], lost: () => [], close: async () => undefined }
  const tables = openTables(backend)
  if ((await tables.cluster.find('cluster')) === undefined)
    await makeCluster(backend, tables, { clusterName, uuid: ownUuid, env })
  const all = { ...defaultSettings, ...settings }
  const services = await startServices({
    backend,
    auditLog,
    openRecordings: async (onComplete) => openMemoryRecordings(onComplete),
    clusterName,
    uuid: ownUuid,
    settings: all,
    ...cost,
    env,
  })
  const callers = new TestCallers()
  const app = await createApiApp({ logger: silentLogger, callerOf: callers.of, checkRule: refusalByRules })
  const mounted: string[] = []
  app.addHook('onRoute', ({ method, url }: RouteOptions) => {
    // Fastify adds HEAD to each GET by itself.
    for (const each of [method].flat()) if (each !== 'HEAD') mounted.push(`${each} ${url}`)
  })
  mountRoutes(app, services)
  await app.ready()
  onTestFinished(async () => {
    await services.close()
    await app.close()
    await backend.close()
  })
  return Object.assign(bench, {
    services,
    backend,
    env,
    app,
    callers,
    events,
    mounted,
    as: (caller: Caller | undefined) => {
      const client = callers.client(app, caller)
      onTestFinished(() => client.close())
      return client
    },
    user: (credentials: UserCredentials): Caller => {
      const certificate = parseCertificateLine(credentials.certificate)
      const sourceAddress = '203.0.113.7'
      const verdict = authenticateUser(services.hub, { certificate, login: undefined, sourceAddress, now: env.now() })
      if (!verdict.ok) throw new AccessDenied(verdict.reason)
      return { role: 'User', name: verdict.identity.user, address: sourceAddress, user: verdict.identity }
    },
  })
}
