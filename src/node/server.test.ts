import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { loadIdentity, saveIdentity } from '../api/identity.ts'
import { isDue, renew } from '../api/keep-identity.ts'
import { formatKeyLine } from '../api/lines.ts'
import { deleteUser, listPresence, putRole, putUser, searchEvents, signUser } from '../api/routes.ts'
import { newKey, type TestCluster, tempDir, testCluster } from '../auth/testing/cluster.ts'
import { realEnv } from '../common/env.ts'
import { silentLogger } from '../common/log.ts'
import { formatPrivateKey } from '../ssh/keys/private-key-file.ts'
import { run } from '../ssh/testing/run.ts'
import { type NodeService, startNode } from './server.ts'
import { poll } from './testing/poll.ts'

const me = userInfo().username

async function nodeOf(
  cluster: TestCluster,
): Promise<{ node: NodeService; dataDir: string; restart(): Promise<NodeService> }> {
  const dataDir = join(await tempDir(), 'node')
  await saveIdentity(join(dataDir, 'identity.json'), await cluster.join('node', 'web-1'))
  const restart = async () => {
    const node = await startNode({
      identity: await loadIdentity(join(dataDir, 'identity.json')),
      dataDir,
      authServers: [cluster.address],
      listen: { host: '127.0.0.1', port: 0 },
      hostname: 'web-1',
      labels: { env: 'dev' },
      commands: [{ name: 'kernel', command: ['uname', '-s'], periodMs: 1000 }],
      version: '0.0.0',
    })
    onTestFinished(() => node.close())
    return node
  }
  return { node: await restart(), dataDir, restart }
}

/** A user with a certificate from auth; gives the arguments of ssh up to the command. */
async function userOf(cluster: TestCluster): Promise<(port: number) => string[]> {
  const role = {
    kind: 'role' as const,
    version: 'v4',
    metadata: { name: 'dev' },
    spec: { allow: { logins: [me], node_labels: { env: 'dev', kernel: 'Linux' } } },
  }
  await cluster.admin.call(putRole, { params: { name: 'dev' }, body: { role } })
  await cluster.admin.call(putUser, { params: { name: 'alice' }, body: { roles: ['dev'], traits: {} } })
  const { key, line } = newKey()
  const credentials = await cluster.admin.call(signUser, { body: { user: 'alice', publicKey: line } })
  const directory = join(await tempDir(), 'user')
  mkdirSync(directory, { mode: 0o700 })
  writeFileSync(join(directory, 'id'), formatPrivateKey(key), { mode: 0o600 })
  writeFileSync(join(directory, 'id-cert.pub'), `${credentials.certificate}\n`)
  const authority = credentials.hostAuthorities[0]?.keys[0] ?? ''
  writeFileSync(join(directory, 'known_hosts'), `@cert-authority * ${authority}\n`)
  return (port) => [
    ...[
      '-F',
      'none',
      '-i',
      join(directory, 'id'),
      '-o',
      'IdentitiesOnly=yes',
      '-o',
      'BatchMode=yes',
      '-p',
      String(port),
    ],
    ...['-o', `UserKnownHostsFile=${join(directory, 'known_hosts')}`, '-o', 'StrictHostKeyChecking=yes'],
    ...['-o', 'HostKeyAlias=web-1.test.example', `${me}@127.0.0.1`],
  ]
}

test('a node joins, is listed with its labels, serves a user, reports to the audit log, and goes on while auth is away', async () => {
  const cluster = await testCluster()
  const { node, restart } = await nodeOf(cluster)
  const ssh = await userOf(cluster)
  await poll(async () => (await cluster.admin.call(listPresence, { query: { role: 'node' } })).items).toMatchObject([
    {
      uuid: node.uuid,
      hostname: 'web-1',
      address: `127.0.0.1:${node.address.port}`,
      labels: { env: 'dev', kernel: 'Linux' },
    },
  ])

  await poll(async () => (await run('ssh', [...ssh(node.address.port), 'echo hi'])).stdout.toString()).toBe('hi\n')
  await poll(async () =>
    (await cluster.admin.call(searchEvents, { query: { user: 'alice' } })).items.map((event) => event.event),
  ).toEqual(expect.arrayContaining(['session.start', 'exec', 'session.end']))

  await cluster.auth.close()
  expect((await run('ssh', [...ssh(node.address.port), 'echo alone'])).stdout.toString()).toBe('alone\n')

  // Started again with auth away: it knows the cluster from its file.
  await node.close()
  const again = await restart()
  const result = await run('ssh', [...ssh(again.address.port), 'echo still alone'])
  expect(result.stdout.toString()).toBe('still alone\n')
})

test('a user who is removed is refused at once', async () => {
  const cluster = await testCluster()
  const { node } = await nodeOf(cluster)
  const ssh = await userOf(cluster)
  await poll(async () => (await run('ssh', [...ssh(node.address.port), 'echo hi'])).stdout.toString()).toBe('hi\n')
  await cluster.admin.call(deleteUser, { params: { name: 'alice' } })
  await poll(async () => (await run('ssh', [...ssh(node.address.port), 'echo hi'])).code).toBe(255)
})

test('a host certificate is renewed with the names it has', async () => {
  const cluster = await testCluster()
  const old = await cluster.join('node', 'web-2')
  const path = join(await tempDir(), 'identity.json')
  const { hostAuthorities, userAuthorities } = old
  const state = { live: true, hostAuthorities, userAuthorities, onChange: () => () => undefined }
  expect(isDue(old, state, realEnv.now())).toBe(false)
  expect(isDue(old, { ...state, hostAuthorities: userAuthorities }, realEnv.now())).toBe(true)
  expect(isDue(old, state, new Date(Number(old.certificate.validBefore) * 1000 - 86_400_000))).toBe(true)
  let current = old
  let reconnected = 0
  await renew({
    client: { call: cluster.connect(old).call, renew: () => reconnected++ },
    state,
    path,
    identity: () => current,
    replace: (identity) => {
      current = identity
    },
    hostname: 'web-2',
    env: realEnv,
    logger: silentLogger,
    signal: new AbortController().signal,
  })
  expect(current.certificate.serial).not.toBe(old.certificate.serial)
  expect([...current.certificate.principals].sort()).toEqual([...old.certificate.principals].sort())
  expect(formatKeyLine(current.key.publicKey)).not.toBe(formatKeyLine(old.key.publicKey))
  expect(reconnected).toBe(1)
  expect(readFileSync(path, 'utf8')).toContain(old.uuid)
})
