/** Port 3025 against those who should not be there, and against its own end (SECURITY J4, P6, V4, V5, F6). */

import { connect as connectTcp, createServer } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { openClusterCache } from '../api/cache.ts'
import { connectAuth, connectAuthAsUser, joinCluster } from '../api/connect.ts'
import { loadIdentity, type MachineIdentity } from '../api/identity.ts'
import { parseCertificateLine } from '../api/lines.ts'
import { signPreamble } from '../api/preamble.ts'
import { createUser, getStatus, searchEvents, signUser } from '../api/routes.ts'
import { realEnv } from '../common/env.ts'
import { AccessDenied, ConnectionProblem } from '../errors/errors.ts'
import { issueCertificateSync } from '../ssh/certificate/issue.ts'
import { connectSsh } from '../ssh/client.ts'
import type { ClientIdentity } from '../ssh/client-types.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import { createSshServer } from '../ssh/server.ts'
import { authPaths } from './server.ts'
import { newKey, type TestCluster, tempDir, testCluster } from './testing/cluster.ts'

interface Attempt {
  readonly user?: string
  readonly identities?: readonly ClientIdentity[]
  readonly password?: string
  readonly preamble?: string
}

const dial = async (cluster: TestCluster, attempt: Attempt) => {
  const client = await connectSsh({
    stream: connectTcp(cluster.auth.address.port, '127.0.0.1'),
    user: attempt.user ?? 'x',
    ident: 'test',
    verifyHost: () => undefined,
    identities: attempt.identities ?? [],
    ...(attempt.password === undefined ? {} : { password: attempt.password }),
    ...(attempt.preamble === undefined ? {} : { preamble: attempt.preamble }),
  })
  onTestFinished(() => client.close())
  return client
}

const identityOf = (identity: MachineIdentity): ClientIdentity => ({
  signer: identity.key,
  certificate: identity.certificate,
})

/** A host certificate like those of our machines, signed by anybody. */
function forged(authority = generateEd25519(realEnv), role = 'Admin'): { uuid: string; identity: ClientIdentity } {
  const key = generateEd25519(realEnv)
  const uuid = realEnv.randomUuid()
  const certificate = issueCertificateSync(
    {
      publicKey: key.publicKey,
      type: 'host',
      keyId: `${uuid}.test.example`,
      principals: [uuid],
      validAfter: new Date(Date.now() - 60_000),
      validBefore: new Date(Date.now() + 60_000),
      extensions: { 'x-teleport-authority': 'test.example', 'x-teleport-role': role },
    },
    authority,
    realEnv,
  )
  return { uuid, identity: { signer: key, certificate } }
}

test('plain keys, foreign certificates, borrowed names and passwords are refused', async () => {
  const cluster = await testCluster()
  const node = await cluster.join('node', 'node1')
  const { identity, uuid } = forged()
  const attempts: Record<string, Attempt> = {
    'a plain key': { identities: [{ signer: newKey().key }] },
    'a foreign authority': { user: uuid, identities: [identity] },
    'a machine under another name': { user: realEnv.randomUuid(), identities: [identityOf(node)] },
    'a password of somebody': { user: 'root', password: 'x' },
    'a wrong token': { user: 'join', password: 'x'.repeat(32) },
    nothing: {},
  }
  for (const [name, attempt] of Object.entries(attempts)) {
    await expect(dial(cluster, attempt), name).rejects.toThrow()
  }
  await expect
    .poll(async () =>
      (await cluster.admin.call(searchEvents, { query: { type: 'auth' } })).items.map((event) => event.error),
    )
    .toEqual(
      expect.arrayContaining([expect.stringMatching(/not a trusted host authority/), 'a wrong or expired join token']),
    )
})

test('a machine gets channels to the API and nothing else', async () => {
  const cluster = await testCluster()
  const node = await cluster.join('node', 'node1')
  const client = await dial(cluster, { user: node.uuid, identities: [identityOf(node)] })
  for (const [host, port] of [
    ['127.0.0.1', 22],
    ['auth.teleport.api', 22],
    ['localhost', 0],
    ['', 0],
  ] as const) {
    await expect(client.openDirectTcpip(host, port), `${host}:${port}`).rejects.toThrow()
  }
  await expect(client.openSession().then((session) => session.shell())).rejects.toThrow()
  await expect(client.openDirectStreamlocal('/run/x.sock')).rejects.toThrow()
  await expect(client.requestTcpipForward('127.0.0.1', 0)).rejects.toThrow()
  const channel = await client.openDirectTcpip('auth.teleport.api', 0)
  channel.destroy()
})

test('the true client is what a proxy signed, and only what a proxy signed (P6)', async () => {
  const cluster = await testCluster()
  await cluster.admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
  const { key, line } = newKey()
  const got = await cluster.admin.call(signUser, { body: { user: 'alice', publicKey: line } })
  const identities = [{ signer: key, certificate: parseCertificateLine(got.certificate) }]
  const client = { address: '203.0.113.7', port: 5 }
  const proxy = await cluster.join('proxy', 'proxy1')
  const node = await cluster.join('node', 'node1')
  const attempt = { user: 'alice', identities }
  await expect(
    dial(cluster, { ...attempt, preamble: await signPreamble(proxy, client, 'auth') }),
  ).resolves.toBeDefined()
  await expect(dial(cluster, { ...attempt, preamble: await signPreamble(node, client, 'auth') })).rejects.toThrow()
  await expect(dial(cluster, { ...attempt, preamble: await signPreamble(proxy, client, node.uuid) })).rejects.toThrow()
  await expect(dial(cluster, { ...attempt, preamble: 'PROXY TCP4 1.1.1.1 2.2.2.2 1 2\r\n' })).rejects.toThrow()
})

test('somebody who poses as auth gets no token, and no machine that knows the cluster (J4)', async () => {
  const passwords: string[] = []
  const ca = generateEd25519(realEnv)
  const { identity } = forged(ca, 'Auth')
  const rogue = createSshServer({
    ident: 'rogue',
    hostIdentities: () =>
      identity.certificate === undefined ? [] : [{ signer: identity.signer, certificate: identity.certificate }],
    authMethods: ['publickey', 'password'],
    authenticate: async (request) => {
      if (request.method === 'password') passwords.push(request.password)
      return { allow: true, identity: 'anybody' }
    },
  })
  onTestFinished(() => rogue.close())
  const { port } = await rogue.listen(0, '127.0.0.1')
  const cluster = await testCluster()
  const node = await cluster.join('node', 'node1')
  const addresses = [`127.0.0.1:${port}`]
  const joining = joinCluster({
    addresses,
    token: 'the-secret-token',
    caPin: cluster.auth.caPins[0] ?? '',
    uuid: realEnv.randomUuid(),
    hostname: 'n',
    roles: ['node'],
    advertisedNames: [],
  })
  await expect(joining).rejects.toThrow(/another cluster, or somebody poses as it; the token was not sent/)
  expect(passwords).toEqual([])
  const connection = connectAuth({ addresses, identity: () => node })
  onTestFinished(() => connection.close())
  await expect(connection.call(getStatus)).rejects.toThrow(AccessDenied)
  await expect(connection.call(getStatus)).rejects.toThrow(/is not an auth server of the cluster test.example/)
})

test('a machine that is not auth, but of the cluster, cannot pose as auth', async () => {
  const cluster = await testCluster()
  const node = await cluster.join('node', 'node1')
  const rogue = createSshServer({
    ident: 'rogue',
    hostIdentities: () => [{ signer: node.key, certificate: node.certificate }],
    authMethods: ['publickey', 'password'],
    authenticate: async () => ({ allow: true, identity: 'anybody' }),
  })
  onTestFinished(() => rogue.close())
  const { port } = await rogue.listen(0, '127.0.0.1')
  const connection = connectAuth({ addresses: [`127.0.0.1:${port}`], identity: () => node })
  onTestFinished(() => connection.close())
  await expect(connection.call(getStatus)).rejects.toThrow(/has the role "Node", not Auth/)
})

test('with nobody there, the error names the addresses and what to check', async () => {
  const server = createServer()
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  const port = typeof address === 'object' ? address?.port : 0
  await new Promise((resolve) => server.close(resolve))
  const cluster = await testCluster()
  const node = await cluster.join('node', 'node1')
  const connection = connectAuth({ addresses: [`127.0.0.1:${port}`], identity: () => node })
  onTestFinished(() => connection.close())
  const call = connection.call(getStatus)
  await expect(call).rejects.toThrow(ConnectionProblem)
  await expect(call).rejects.toThrow(new RegExp(`127.0.0.1:${port}.*connection refused.*check that it runs`))
})

test('auth stops and comes back: the cache serves on, then follows again, and calls work', {
  timeout: 60_000,
}, async () => {
  const cluster = await testCluster()
  const node = await cluster.join('node', 'node1')
  const { port } = cluster.auth.address
  const client = cluster.connect(node)
  const path = join(await tempDir(), 'cache.json')
  const cache = openClusterCache({ client, path, clusterName: 'test.example' })
  onTestFinished(() => cache.close())
  await cache.ready
  await expect.poll(() => cache.live).toBe(true)
  await cluster.auth.close()
  await expect.poll(() => cache.live).toBe(false)
  await expect(client.call(getStatus)).rejects.toThrow(ConnectionProblem)
  expect(cache.role('access')).toBeDefined()
  const again = await testCluster({ dataDir: cluster.dataDir, listen: { host: '127.0.0.1', port } })
  await expect.poll(() => cache.live).toBe(true)
  await again.admin.call(createUser, { body: { name: 'bob', roles: ['access'], traits: {} } })
  await expect.poll(() => cache.user('bob')).toBeDefined()
  await expect(client.call(getStatus)).resolves.toMatchObject({ clusterName: 'test.example' })
})

test('the administrator is named in the audit log; a user without a role is not let in', async () => {
  const cluster = await testCluster()
  await cluster.admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
  const { items } = await cluster.admin.call(searchEvents, { query: { type: 'user.create' } })
  expect(items).toMatchObject([{ user: 'admin', name: 'alice', cluster_name: 'test.example' }])
  const admin = await loadIdentity(authPaths(cluster.dataDir).admin)
  const stream = connectTcp(cluster.auth.address.port, '127.0.0.1')
  const { key } = newKey()
  const connecting = connectAuthAsUser({
    stream,
    user: 'alice',
    identity: { signer: key },
    hostAuthorities: admin.hostAuthorities,
    clusterName: 'test.example',
  })
  await expect(connecting).rejects.toThrow()
})
