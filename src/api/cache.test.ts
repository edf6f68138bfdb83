import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createUser, deleteUser, heartbeat, putRole } from '../api/routes.ts'
import { tempDir } from '../auth/testing/cluster.ts'
import { adminCaller, machineCaller, type TestServices, testServices } from '../auth/testing/services.ts'
import { ConnectionProblem } from '../errors/errors.ts'
import { type ClusterCache, openClusterCache } from './cache.ts'
import type { ApiClient } from './client.ts'

/** A client that an auth server is behind, or not. */
function switchable(inner: ApiClient): ApiClient & { away: boolean } {
  return {
    away: false,
    call: inner.call,
    async *stream(endpoint, ...args) {
      if (this.away) throw new ConnectionProblem('no auth server can be reached')
      yield* inner.stream(endpoint, ...args)
    },
  }
}

async function open(bench: TestServices, path: string, client: ApiClient): Promise<ClusterCache> {
  const cache = openClusterCache({ client, path, clusterName: 'example', env: bench.env })
  onTestFinished(() => cache.close())
  return cache
}

const beat = {
  body: {
    hostname: 'N1',
    address: '10.0.0.9:3022',
    publicAddresses: ['n1.lan:22'],
    labels: { env: 'dev' },
    version: '1',
  },
}

test('follows the cluster, finds servers by every name, and tells of changes at once', async () => {
  const bench = await testServices()
  const path = join(await tempDir(), 'cache.json')
  const cache = await open(bench, path, bench.as(machineCaller('Proxy')))
  await cache.ready
  expect(cache).toMatchObject({ live: true, clusterName: 'example' })
  expect(cache.userAuthorities).toHaveLength(1)
  expect(cache.hostAuthorities).toHaveLength(1)
  expect(cache.role('access')?.spec.allow.logins).toEqual(['{{internal.logins}}'])
  expect(cache.config.secondFactor).toBe('otp')
  const changes: string[] = []
  cache.onChange((kind, id) => changes.push(`${kind} ${id}`))
  await bench.as(machineCaller('Node', ['n1'])).call(heartbeat, beat)
  await expect.poll(() => cache.servers('node')).toHaveLength(1)
  const [server] = cache.servers()
  expect(cache.serverByUuid('node', server?.uuid ?? '')).toBe(server)
  expect(cache.serversByHostname('node', 'n1')).toEqual([server])
  expect(cache.serversByHostname('proxy', 'n1')).toEqual([])
  expect(cache.serversByLabel('node', 'env', 'dev')).toEqual([server])
  expect(cache.serversByLabel('node', 'env', 'prod')).toEqual([])
  expect(cache.serversByAddress('node', '10.0.0.9')).toEqual([server])
  expect(cache.serversByAddress('node', 'n1.lan', 22)).toEqual([server])
  expect(cache.serversByAddress('node', 'n1.lan', 23)).toEqual([])
  const admin = bench.as(adminCaller)
  await admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: {} } })
  await expect.poll(() => cache.user('alice')).toBeDefined()
  await admin.call(deleteUser, { params: { name: 'alice' } })
  await expect.poll(() => cache.user('alice')).toBeUndefined()
  expect(changes).toEqual([`presence node/${server?.uuid}`, 'user alice', 'user alice'])
})

test('a node is told of users, roles and authorities, and not of other servers', async () => {
  const bench = await testServices()
  await bench.as(machineCaller('Node', ['n1'])).call(heartbeat, beat)
  await expect.poll(() => bench.services.hub.snapshot.servers.all()).toHaveLength(1)
  const cache = await open(bench, join(await tempDir(), 'cache.json'), bench.as(machineCaller('Node')))
  await cache.ready
  expect(cache.role('access')).toBeDefined()
  expect(cache.servers()).toEqual([])
})

test('starts from its file while auth is away, and servers stay however long that takes', async () => {
  const bench = await testServices()
  const path = join(await tempDir(), 'cache.json')
  await bench.as(machineCaller('Node', ['n1'])).call(heartbeat, beat)
  await expect.poll(() => bench.services.hub.snapshot.servers.all()).toHaveLength(1)
  const first = await open(bench, path, bench.as(machineCaller('Proxy')))
  await first.ready
  await first.close()
  await bench.env.advance(60 * 60_000)

  const client = switchable(bench.as(machineCaller('Proxy')))
  client.away = true
  const second = await open(bench, path, client)
  let ready = false
  void second.ready.then(() => {
    ready = true
  })
  await expect
    .poll(async () => {
      await bench.env.advance(100)
      return ready
    })
    .toBe(true)
  expect(second.live).toBe(false)
  expect(second.servers('node')).toHaveLength(1)
  expect(second.role('access')).toBeDefined()
  // Back again: the server has not been heard of for an hour, so it is gone now.
  client.away = false
  await expect
    .poll(async () => {
      await bench.env.advance(10_000)
      return second.live
    })
    .toBe(true)
  expect(second.servers('node')).toEqual([])
})

test('what changed since the last run holds from the start, also when auth comes up a moment later', async () => {
  const bench = await testServices()
  const path = join(await tempDir(), 'cache.json')
  const first = await open(bench, path, bench.as(machineCaller('Proxy')))
  await first.ready
  expect(first.user('alice')).toBeUndefined()
  await first.close()
  await bench.as(adminCaller).call(createUser, { body: { name: 'alice', roles: ['access'], traits: {} } })

  const client = switchable(bench.as(machineCaller('Proxy')))
  client.away = true
  const second = await open(bench, path, client)
  let seen: boolean | undefined
  void second.ready.then(() => {
    seen = second.user('alice') !== undefined
  })
  // Its file is read by then, and several attempts have failed.
  await expect.poll(() => second.lastHeard).toBeDefined()
  for (let step = 0; step < 10; step++) await bench.env.advance(100)
  expect(seen).toBeUndefined()
  client.away = false
  await expect
    .poll(async () => {
      await bench.env.advance(100)
      return seen
    })
    .toBe(true)
})

test('changes that came while the watch was down are told when it is back', async () => {
  const bench = await testServices()
  const client = switchable(bench.as(machineCaller('Proxy')))
  const cache = await open(bench, join(await tempDir(), 'cache.json'), client)
  client.away = true
  await expect.poll(() => cache.live || cache.lastHeard !== undefined).toBeDefined()
  const changes: string[] = []
  cache.onChange((kind, id) => changes.push(`${kind} ${id}`))
  const role = { kind: 'role' as const, version: 'v4', metadata: { name: 'dev' }, spec: {} }
  await bench.as(adminCaller).call(putRole, { params: { name: 'dev' }, body: { role } })
  client.away = false
  await expect
    .poll(async () => {
      await bench.env.advance(10_000)
      return cache.role('dev')
    })
    .toBeDefined()
  expect(changes).toContain('role dev')
})

test.each([
  { name: 'damaged', edit: () => '{"version":1' },
  {
    name: 'of another cluster',
    edit: (text: string) => text.replace('"clusterName":"example"', '"clusterName":"leaf"'),
  },
])('a file that is $name is not believed', async ({ edit }) => {
  const bench = await testServices()
  const path = join(await tempDir(), 'cache.json')
  const first = await open(bench, path, bench.as(machineCaller('Proxy')))
  await first.ready
  await first.close()
  await writeFile(path, edit(await readFile(path, 'utf8')))
  const client = switchable(bench.as(machineCaller('Proxy')))
  client.away = true
  const cache = await open(bench, path, client)
  await expect.poll(() => bench.env.sleeping()).toBeGreaterThan(0)
  expect(cache.userAuthorities).toEqual([])
  expect(cache.role('access')).toBeUndefined()
  await cache.close()
  await expect(cache.ready).rejects.toThrow(ConnectionProblem)
})
