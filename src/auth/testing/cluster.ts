/** A running auth service in a directory of its own, and ways to talk to it. For tests. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { type AuthConnection, connectAuth, joinCluster } from '../../api/connect.ts'
import { loadIdentity, type MachineIdentity } from '../../api/identity.ts'
import { formatKeyLine } from '../../api/lines.ts'
import type { ServerRole } from '../../api/model.ts'
import { createToken } from '../../api/routes.ts'
import { realEnv } from '../../common/env.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import { type AuthService, authPaths, type StartAuthOptions, startAuth } from '../server.ts'

export interface TestCluster {
  readonly auth: AuthService
  readonly dataDir: string
  readonly address: string
  readonly admin: AuthConnection
  connect(identity: MachineIdentity): AuthConnection
  /** A machine that joined through a new token. */
  join(role: ServerRole, hostname: string): Promise<MachineIdentity>
}

export async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'auth-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

export async function testCluster(options: Partial<StartAuthOptions> = {}): Promise<TestCluster> {
  const dataDir = options.dataDir ?? (await tempDir())
  const auth = await startAuth({
    dataDir,
    listen: { host: '127.0.0.1', port: 0 },
    clusterName: 'test.example',
    ...options,
  })
  onTestFinished(() => auth.close())
  const address = `127.0.0.1:${auth.address.port}`
  const connect = (identity: MachineIdentity) => {
    const connection = connectAuth({ addresses: [address], identity: () => identity })
    onTestFinished(() => connection.close())
    return connection
  }
  const admin = connect(await loadIdentity(authPaths(dataDir).admin))
  return {
    auth,
    dataDir,
    address,
    admin,
    connect,
    join: async (role, hostname) => {
      const { token } = await admin.call(createToken, { body: { roles: [role] } })
      const [identity] = await joinCluster({
        addresses: [address],
        token: token.token,
        caPin: auth.caPins[0] ?? '',
        uuid: realEnv.randomUuid(),
        hostname,
        roles: [role],
        advertisedNames: ['127.0.0.1'],
      })
      if (identity === undefined) throw new Error('no identity')
      return identity
    },
  }
}

/** A key pair and its line. */
export function newKey() {
  const key = generateEd25519(realEnv)
  return { key, line: formatKeyLine(key.publicKey) }
}
