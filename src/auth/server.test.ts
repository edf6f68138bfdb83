import { connect as connectTcp } from 'node:net'
import { Secret, TOTP } from 'otpauth'
import { expect, test } from 'vitest'
import { connectAuthAsUser, joinCluster } from '../api/connect.ts'
import { parseCertificateLine, parseKeyLine } from '../api/lines.ts'
import {
  acceptInvite,
  createToken,
  createUser,
  getInvite,
  getStatus,
  heartbeat,
  listPresence,
  login,
  searchEvents,
  watch,
} from '../api/routes.ts'
import { realEnv } from '../common/env.ts'
import { AccessDenied } from '../errors/errors.ts'
import { newKey, testCluster } from './testing/cluster.ts'

const client = { address: '203.0.113.7' }
const codeOf = (secret: string, at = Date.now()) =>
  new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: at })

test('from an empty directory to a user certificate, over SSH', async () => {
  const cluster = await testCluster()
  const { admin } = cluster
  expect(await admin.call(getStatus)).toMatchObject({ clusterName: 'test.example', caPins: cluster.auth.caPins })

  const { invite } = await admin.call(createUser, {
    body: { name: 'alice', roles: ['access'], traits: { logins: ['root', 'ubuntu'] }, inviteTtlSeconds: 600 },
  })
  const proxy = cluster.connect(await cluster.join('proxy', 'proxy1'))
  const token = invite?.token ?? ''
  const opened = await proxy.call(getInvite, { body: { token, client } })
  const secret = opened.otp?.secret ?? ''
  const password = 'correct horse battery'
  const before = codeOf(secret, Date.now() - 30_000)
  await proxy.call(acceptInvite, { body: { token, password, otp: before, client } })
  await expect(proxy.call(acceptInvite, { body: { token, password, otp: before, client } })).rejects.toThrow(
    /not valid/,
  )

  const { key, line } = newKey()
  const body = { user: 'alice', password, otp: codeOf(secret), publicKey: line, client }
  const got = await proxy.call(login, { body })
  expect(got).toMatchObject({ logins: ['root', 'ubuntu'], roles: ['access'], clusterName: 'test.example' })
  const certificate = parseCertificateLine(got.certificate)
  expect(certificate).toMatchObject({ keyId: 'alice', principals: ['root', 'ubuntu'], type: 'user' })
  expect([...certificate.extensions.keys()]).toContain('permit-pty')
  // The same code again is a replay.
  await expect(proxy.call(login, { body })).rejects.toThrow(AccessDenied)

  const node = cluster.connect(await cluster.join('node', 'node1'))
  const beat = { hostname: 'node1', address: '0.0.0.0:3022', publicAddresses: [], labels: { env: 'dev' }, version: '1' }
  await node.call(heartbeat, { body: beat })

  const stream = connectTcp(cluster.auth.address.port, '127.0.0.1')
  const user = await connectAuthAsUser({
    stream,
    user: 'alice',
    identity: { signer: key, certificate },
    hostAuthorities: got.hostAuthorities.flatMap(({ keys }) => keys.map((text) => parseKeyLine(text))),
    clusterName: 'test.example',
  })
  const { items } = await user.call(listPresence)
  expect(items).toMatchObject([{ hostname: 'node1', address: '127.0.0.1:3022' }])
  await expect(user.call(searchEvents)).rejects.toThrow(/no role allows to list event/)
  await user.close()

  const { items: events } = await admin.call(searchEvents)
  expect(new Set(events.map((event) => event.event))).toEqual(
    new Set(['cert.create', 'mfa.add', 'token.create', 'user.create', 'user.password_change', 'user.login']),
  )
  expect(JSON.stringify(events)).not.toContain(token)
})

test('a follower gets a snapshot and then changes', async () => {
  const cluster = await testCluster()
  const node = cluster.connect(await cluster.join('node', 'node1'))
  const seen: string[] = []
  for await (const event of node.stream(watch)) {
    if (event.op === 'ready') {
      await cluster.admin.call(createUser, { body: { name: 'bob', roles: ['access'], traits: {} } })
    }
    seen.push(event.op === 'put' ? `${event.op} ${event.kind}` : event.op)
    if (seen.at(-1) === 'put user') break
  }
  expect(seen).toContain('put authority')
  expect(seen.slice(-2)).toEqual(['ready', 'put user'])
})

test('a node learns where the web side is, and keeps it while a proxy has it', async () => {
  const cluster = await testCluster()
  const node = cluster.connect(await cluster.join('node', 'node1'))
  const beat = async (name: string, address: string) => {
    const proxy = cluster.connect(await cluster.join('proxy', name))
    const body = {
      hostname: name,
      address: '127.0.0.1:3023',
      publicAddresses: [address, 'other:1'],
      labels: {},
      version: '1',
    }
    await proxy.call(heartbeat, { body })
  }
  const seen: (string | undefined)[] = []
  for await (const event of node.stream(watch)) {
    if (event.op === 'ready') {
      await beat('proxy1', 'proxy.example.com:443')
      await beat('proxy2', 'second.example.com:443')
      await cluster.admin.call(createUser, { body: { name: 'bob', roles: ['access'], traits: {} } })
    }
    if (event.op === 'put' && event.kind === 'config') seen.push(event.value.proxyAddress)
    if (event.op === 'put' && event.kind === 'user') break
    expect(event).not.toMatchObject({ kind: 'presence' })
  }
  expect(seen).toEqual([undefined, 'proxy.example.com:443'])
})

test('a wrong pin stops before the token is sent; a wrong token is refused; a token works once and only for its roles', async () => {
  const cluster = await testCluster()
  const { token } = await cluster.admin.call(createToken, { body: { roles: ['node'] } })
  const base = {
    addresses: [cluster.address],
    token: token.token,
    caPin: cluster.auth.caPins[0] ?? '',
    uuid: realEnv.randomUuid(),
    hostname: 'n1',
    roles: ['node' as const],
    advertisedNames: [],
  }
  await expect(joinCluster({ ...base, caPin: `sha256:${'0'.repeat(64)}` })).rejects.toThrow(/the token was not sent/)
  await expect(joinCluster({ ...base, token: 'x'.repeat(32) })).rejects.toThrow(AccessDenied)
  await expect(joinCluster({ ...base, roles: ['proxy'] })).rejects.toThrow(/does not let a machine join as proxy/)
  const results = await Promise.allSettled(
    Array.from({ length: 4 }, (_, n) => joinCluster({ ...base, hostname: `n${n}`, uuid: realEnv.randomUuid() })),
  )
  expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
  await expect(joinCluster(base)).rejects.toThrow(AccessDenied)
})
