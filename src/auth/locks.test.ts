/** Locks at the auth service: who may make them, and that those who are shut out lose what they have there (SECURITY V18). */

import { connect as connectTcp } from 'node:net'
import { describe, expect, onTestFinished, test } from 'vitest'
import { connectAuthAsUser } from '../api/connect.ts'
import { parseCertificateLine, parseKeyLine } from '../api/lines.ts'
import {
  createLock,
  createUser,
  deleteLock,
  exportEvents,
  getLock,
  getStatus,
  listLocks,
  renewUser,
  searchEvents,
  signUser,
} from '../api/routes.ts'
import { isAccessDenied, isAlreadyExists, isBadParameter, isCompareFailed, isNotFound } from '../errors/errors.ts'
import { newKey, type TestCluster, testCluster } from './testing/cluster.ts'
import { adminCaller, testServices } from './testing/services.ts'

async function userOf(cluster: TestCluster, name: string, roles: readonly string[]) {
  await cluster.admin.call(createUser, { body: { name, roles: [...roles], traits: { logins: ['root'] } } })
  return signIn(cluster, name)
}

async function signIn(cluster: TestCluster, name: string) {
  const { key, line } = newKey()
  const credentials = await cluster.admin.call(signUser, { body: { user: name, publicKey: line } })
  const api = await connectAuthAsUser({
    stream: connectTcp(cluster.auth.address.port, '127.0.0.1'),
    user: name,
    identity: { signer: key, certificate: parseCertificateLine(credentials.certificate) },
    hostAuthorities: credentials.hostAuthorities.flatMap(({ keys }) => keys).map((text) => parseKeyLine(text)),
    clusterName: credentials.clusterName,
  })
  onTestFinished(() => api.close())
  return api
}

describe('who is locked', () => {
  test('V18 loses the connection to the API with what streams on it, and gets no certificate, whoever asks', async () => {
    const cluster = await testCluster()
    const api = await userOf(cluster, 'alice', ['auditor', 'access'])
    const other = await userOf(cluster, 'bob', ['access'])
    const lines = api.stream(exportEvents, {})[Symbol.asyncIterator]()
    await lines.next()
    const lock = await cluster.admin.call(createLock, { body: { target: { user: 'alice' }, message: 'gone fishing' } })
    await expect.poll(() => api.connected).toBe(false)
    await expect(api.call(getStatus)).rejects.toThrow()
    await expect(other.call(getStatus)).resolves.toMatchObject({ clusterName: 'test.example' })

    await expect(signIn(cluster, 'alice')).rejects.toThrow('the user "alice" is locked: gone fishing')
    const ends = () => cluster.admin.call(searchEvents, { query: { type: 'client.disconnect' } })
    await expect.poll(async () => (await ends()).items).toMatchObject([{ code: 'T3006I', user: 'alice' }])

    await cluster.admin.call(deleteLock, { params: { id: lock.id } })
    await expect.poll(() => signIn(cluster, 'alice').then(() => 'in', String)).toBe('in')
  })

  test('is whoever has a locked role; the administrator of the auth machine never is', async () => {
    const cluster = await testCluster()
    const api = await userOf(cluster, 'alice', ['access'])
    await cluster.admin.call(createLock, { body: { target: { role: 'access' }, message: '' } })
    await cluster.admin.call(createLock, { body: { target: { user: 'admin' }, message: '' } })
    await expect.poll(() => api.connected).toBe(false)
    await expect(cluster.admin.call(getStatus)).resolves.toMatchObject({ clusterName: 'test.example' })
  })

  test('cannot renew with a certificate of before', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    await admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
    const alice = await bench.user(await admin.call(signUser, { body: { user: 'alice', publicKey: newKey().line } }))
    await admin.call(createLock, { body: { target: { user: 'alice' } } })
    await expect
      .poll(() =>
        bench
          .as(alice)
          .call(renewUser, { body: { publicKey: newKey().line } })
          .then(() => 'new', isAccessDenied),
      )
      .toBe(true)
  })
})

describe('locks as records', () => {
  test('are made, listed, replaced with their revision, lifted, and told to the audit log', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    const expires = new Date(Date.now() + 3_600_000).toISOString()
    const made = await admin.call(createLock, { body: { target: { login: 'root' }, message: 'why', expires } })
    expect(made).toMatchObject({ target: { login: 'root' }, message: 'why', expires, createdBy: 'admin' })
    expect((await admin.call(listLocks)).items).toEqual([made])
    const { id, revision = '' } = made
    const again = { id, target: { login: 'root' }, overwrite: true }
    await expect(admin.call(createLock, { body: { id, target: { login: 'x' } } })).rejects.toSatisfy(isAlreadyExists)
    const next = await admin.call(createLock, { body: { ...again, revision } })
    await expect(admin.call(createLock, { body: { ...again, revision } })).rejects.toSatisfy(isCompareFailed)
    expect(await admin.call(getLock, { params: { id } })).toEqual(next)
    await admin.call(deleteLock, { params: { id } })
    await expect(admin.call(getLock, { params: { id } })).rejects.toSatisfy(isNotFound)
    await expect(admin.call(deleteLock, { params: { id } })).rejects.toSatisfy(isNotFound)
    const told = bench.events.filter(({ event }) => event.startsWith('lock.'))
    expect(told).toMatchObject([
      { code: 'TLK00I', name: id, user: 'admin', target: { login: 'root' }, message: 'why', until: expires },
      { code: 'TLK00I', name: id },
      { code: 'TLK01I', name: id },
    ])
  })

  test.each([
    { name: 'no target', body: { target: {} } },
    { name: 'an empty name', body: { target: { user: '' } } },
    { name: 'control characters in what people read', body: { target: { user: 'a' }, message: '\x1b[2J' } },
    { name: 'an end in the past', body: { target: { user: 'a' }, expires: '2020-01-01T00:00:00Z' } },
    { name: 'an id that is no uuid', body: { id: '../x', target: { user: 'a' } } },
  ])('refused: $name', async ({ body }) => {
    const bench = await testServices()
    await expect(bench.as(adminCaller).call(createLock, { body })).rejects.toSatisfy(isBadParameter)
  })
})
