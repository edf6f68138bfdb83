/** A backup that restores a cluster: `tctl get all --with-secrets`, then `teleport start --bootstrap`. And who gets no secrets (SECURITY A2). */

import { randomUUID } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { ApiClient } from '../../../api/client.ts'
import {
  createLock,
  createUser,
  deleteLock,
  exportAuthorities,
  exportCredentials,
  getConfig,
  listAuthorities,
  listLocks,
  listRoles,
  listUsers,
  login,
  putNetworkingConfig,
  putRole,
  restoreCredentials,
  searchEvents,
  setPassword,
} from '../../../api/routes.ts'
import { readBootstrap } from '../../../auth/bootstrap-file.ts'
import { writeResources } from '../../../auth/bootstrap-resources.ts'
import { hashesOf } from '../../../auth/mfa/recovery-codes.ts'
import { openTables, type StoredDevice } from '../../../auth/records.ts'
import { startAuth } from '../../../auth/server.ts'
import { newKey, tempDir, testCluster } from '../../../auth/testing/cluster.ts'
import { adminCaller, machineCaller, testServices } from '../../../auth/testing/services.ts'
import { openMemoryBackend } from '../../../backend/memory.ts'
import { readYaml } from '../../../common/yaml.ts'
import { isAccessDenied } from '../../../errors/errors.ts'
import { toYaml } from '../../common/to-yaml.ts'
import { readDrafts } from './documents.ts'
import { parseReferences } from './kinds.ts'

const password = 'korrektes pferd klammert batterie'
const client = { address: '203.0.113.9' }

async function backup(api: ApiClient, what = 'all'): Promise<string> {
  const parts: string[] = []
  for (const { entry, name } of parseReferences(what)) {
    const kind = await entry.load()
    for (const { value } of await kind.list(api, name, { withSecrets: true })) parts.push(toYaml(value))
  }
  return parts.join('---\n')
}

const loginAs = (proxy: ApiClient, user: string) =>
  proxy.call(login, { body: { user, password, publicKey: newKey().line, client } })

test('a cluster restored from a backup has the same authorities, users, passwords and settings', {
  timeout: 60_000,
}, async () => {
  const settings = { secondFactor: 'off' } as const
  const old = await testCluster({ settings })
  const { admin } = old
  const role = {
    kind: 'role',
    version: 'v4',
    metadata: { name: 'dev' },
    spec: { allow: { logins: ['root'] } },
  } as const
  await admin.call(putRole, { params: { name: 'dev' }, body: { role } })
  await admin.call(createUser, { body: { name: 'alice', roles: ['dev'], traits: { logins: ['alice'], team: ['x'] } } })
  await admin.call(setPassword, { params: { name: 'alice' }, body: { password } })
  const { clientIdleTimeout: _, ...rest } = await admin.call(getConfig)
  const { keepAliveInterval, keepAliveCountMax, sessionDetachTimeout } = rest
  const spec = { clientIdleTimeout: 77, keepAliveInterval, keepAliveCountMax, sessionDetachTimeout }
  await admin.call(putNetworkingConfig, { body: { spec } })
  await admin.call(createLock, {
    body: { target: { role: 'dev' }, message: 'away', expires: '2999-01-01T00:00:00.000Z' },
  })
  await admin.call(createLock, { body: { target: { user: 'bob' }, message: '' } })
  const text = await backup(admin)
  const told = await admin.call(searchEvents, { query: { type: 'secrets.export' } })
  expect(told.items.map(({ name }) => name).sort()).toEqual(['cert_authority', 'user'])
  const before = {
    authorities: (await admin.call(listAuthorities)).items,
    locks: (await admin.call(listLocks, { query: {} })).items.map(({ id, target, message }) => ({
      id,
      target,
      message,
    })),
    roles: (await admin.call(listRoles, { query: {} })).items.map(
      ({ metadata: { revision: _, ...metadata }, ...more }) => ({ ...more, metadata }),
    ),
  }
  await old.auth.close()

  const bootstrap = { file: 'backup.yaml', text }
  const made = await testCluster({ settings, bootstrap })
  expect((await made.admin.call(listAuthorities)).items).toEqual(before.authorities)
  const roles = (await made.admin.call(listRoles, { query: {} })).items
  expect(roles.map(({ metadata: { revision: _, ...metadata }, ...more }) => ({ ...more, metadata }))).toEqual(
    before.roles,
  )
  expect((await made.admin.call(getConfig)).clientIdleTimeout).toBe(77)
  expect((await made.admin.call(listUsers, { query: {} })).items).toMatchObject([
    { name: 'alice', roles: ['dev'], traits: { team: ['x'] }, activated: true, createdBy: 'bootstrap' },
  ])
  const locks = (await made.admin.call(listLocks, { query: {} })).items
  expect(locks).toMatchObject(before.locks)
  const proxy = made.connect(await made.join('proxy', 'proxy-1'))
  await expect(loginAs(proxy, 'alice')).rejects.toThrow(/locked/)
  for (const { id } of locks) await made.admin.call(deleteLock, { params: { id } })
  expect((await loginAs(proxy, 'alice')).logins).toEqual(['root'])

  const again = startAuth({ dataDir: made.dataDir, listen: { host: '127.0.0.1', port: 0 }, bootstrap })
  await made.auth.close()
  await expect(again).rejects.toThrow()
  const second = startAuth({ dataDir: made.dataDir, listen: { host: '127.0.0.1', port: 0 }, bootstrap })
  await expect(second).rejects.toThrow(
    /--bootstrap is for the first start only: .*holds the cluster test.example already/,
  )
})

test('tctl create restores the password of a user from such a backup', async () => {
  const bench = await testServices({ secondFactor: 'off' })
  const api = bench.as(machineCaller('Admin'))
  await api.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
  await api.call(setPassword, { params: { name: 'alice' }, body: { password } })
  const text = await backup(api, 'user/alice')
  expect(text).toContain('password_hash: $argon2id$')
  await api.call(setPassword, { params: { name: 'alice' }, body: { password: `${password} neu` } })
  const proxy = bench.as(machineCaller('Proxy'))
  await expect(loginAs(proxy, 'alice')).rejects.toSatisfy(isAccessDenied)
  for (const { draft } of await readDrafts(text, 'backup'))
    await draft.put(api, { mode: 'replace', revision: undefined, confirm: false })
  expect((await loginAs(proxy, 'alice')).roles).toEqual(['access'])
})

test('second factors and recovery codes come back with the user, by tctl create and by a first start', async () => {
  const bench = await testServices({ secondFactor: 'on' })
  const api = bench.as(machineCaller('Admin'))
  const proxy = bench.as(machineCaller('Proxy'))
  await api.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
  await api.call(setPassword, { params: { name: 'alice' }, body: { password } })
  const addedAt = '2026-01-01T00:00:00.000Z'
  const devices: StoredDevice[] = [
    { kind: 'totp', id: randomUUID(), name: 'phone', addedAt, secret: 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP' },
    {
      kind: 'webauthn',
      id: randomUUID(),
      name: 'blue key',
      addedAt,
      lastUsed: addedAt,
      credentialId: 'abc_-1',
      publicKey: 'pQECAyYgASFYIA',
      counter: 7,
      rpId: 'localhost',
      transports: ['usb'],
    },
  ]
  const recoveryCodes = ['e22h-4sex-36f1-rkp4']
  const { tables } = bench.services
  const stored = await tables.credentials.find('alice')
  await bench.backend.commit([
    tables.credentials.put('alice', {
      ...stored?.value,
      devices,
      recoveryCodes: hashesOf('alice', recoveryCodes),
    }),
  ])
  const before = (await tables.credentials.find('alice'))?.value
  const text = await backup(api, 'user/alice')
  await bench.backend.commit([tables.credentials.put('alice', {})])
  for (const { draft } of await readDrafts(text, 'backup'))
    await draft.put(api, { mode: 'replace', revision: undefined, confirm: false })
  expect((await tables.credentials.find('alice'))?.value).toEqual(before)
  const body = { user: 'alice', password, publicKey: newKey().line, client }
  await expect(proxy.call(login, { body })).rejects.toSatisfy(isAccessDenied)
  const [recoveryCode] = recoveryCodes
  expect((await proxy.call(login, { body: { ...body, recoveryCode } })).logins).toEqual(['root'])

  const state = readBootstrap({ file: 'backup.yaml', text })
  expect(state.users[0]?.spec.local_auth).toMatchObject({
    mfa: [
      { type: 'totp', name: 'phone' },
      { type: 'webauthn', counter: 7, transports: ['usb'] },
    ],
    recovery_codes: hashesOf('alice', recoveryCodes),
  })
  const fresh = openMemoryBackend(bench.env)
  const other = openTables(fresh)
  await writeResources(fresh, other, state, bench.env)
  expect((await other.credentials.find('alice'))?.value).toEqual(before)
})

describe('secrets are for the administrator on the machine of the auth service', () => {
  test('no user, no machine, and no copied certificate gets any', async () => {
    const bench = await testServices()
    const elsewhere = bench.as(adminCaller)
    await expect(elsewhere.call(exportAuthorities)).rejects.toThrow(/on the machine of the auth service only/)
    await expect(elsewhere.call(exportCredentials, { query: {} })).rejects.toSatisfy(isAccessDenied)
    const restore = elsewhere.call(restoreCredentials, { params: { name: 'x' }, body: {} })
    await expect(restore).rejects.toSatisfy(isAccessDenied)
    for (const role of ['Auth', 'Node', 'Proxy'] as const) {
      const machine = bench.as({ ...machineCaller(role), sameHost: true })
      await expect(machine.call(exportAuthorities)).rejects.toSatisfy(isAccessDenied)
      await expect(machine.call(exportCredentials, { query: {} })).rejects.toSatisfy(isAccessDenied)
    }
    expect(bench.events.filter(({ event }) => event === 'secrets.export')).toEqual([])
  })

  test('what cannot be audited does not go', async () => {
    const bench = await testServices()
    bench.auditFailure = new Error('disk full')
    await expect(bench.as(machineCaller('Admin')).call(exportAuthorities)).rejects.toThrow()
  })
})

describe('a file to begin with', () => {
  const role = 'kind: role\nversion: v4\nmetadata: {name: a}\n'
  const user = (more: string) => `kind: user\nversion: v2\nmetadata: {name: u}\nspec: {${more}}\n`
  const authority = (type: string, cluster = 'test.example') =>
    `kind: cert_authority\nsub_kind: ${type}\nversion: v2\nmetadata: {name: ${cluster}}\nspec:\n  type: ${type}\n  cluster_name: ${cluster}\n`
  test.each([
    ['an unknown field', `${role}sepc: {}\n`, /^b.yaml:4: sepc: unknown key/],
    ['a kind that is none', 'kind: nodes\n', /^b.yaml:1: kind: "nodes" cannot be in this file/],
    ['two of a name', `${role}---\n${role}`, /there are two of role "a"/],
    ['a user without roles', user(''), /user "u" has no role/],
    ['a user whose role is missing', user('roles: [b]'), /user "u" has the role "b", which is not in the file/],
    [
      'a key without its public half',
      user(
        'roles: [access], local_auth: {mfa: [{type: webauthn, id: 33333333-3333-4333-8333-333333333333, name: k, added_at: 2026-01-01T00:00:00Z, credential_id: a, rp_id: h}]}',
      ),
      /public_key: is missing; a device of the type webauthn has one/,
    ],
    ['a lock of nobody', 'kind: lock\nversion: v2\nspec: {target: {}}\n', /^b.yaml:\d: spec.target/],
    ['a hash that is none', user('roles: [access], local_auth: {password_hash: x}'), /password_hash: must be the hash/],
    [
      'a costly hash',
      user(
        'roles: [access], local_auth: {password_hash: "$argon2id$v=19$m=9999999,t=3,p=1$AAAAAAAAAAAAAAAAAAAAAA$AAAAAAAAAAAAAAAAAAAAAA"}',
      ),
      /must be the hash/,
    ],
    ['an authority without its key', authority('user'), /signing_key.*must be a section|signing_key: is required/],
    [
      'a key that is none',
      `${authority('user')}  signing_key: {public_key: a, private_key: b}\n`,
      /private_key is not an Ed25519 key/,
    ],
    [
      'aliases without end',
      `a: &a [x]\nb: &b [${'*a, '.repeat(60)}]\nc: &c [${'*b, '.repeat(60)}]\n`,
      /alias|cannot be in this file/,
    ],
  ])('with %s is refused, and no cluster is made', async (_name, text, message) => {
    const dataDir = await tempDir()
    const start = () =>
      startAuth({
        dataDir,
        listen: { host: '127.0.0.1', port: 0 },
        clusterName: 'test.example',
        bootstrap: { file: 'b.yaml', text },
      })
    await expect(start()).rejects.toThrow(message)
    await writeFile(join(dataDir, 'x'), '')
    await expect(start()).rejects.toThrow(message)
  })
})

describe('what is printed is read back to the same', () => {
  const name = fc.stringMatching(/^[A-Za-z_][A-Za-z0-9_.-]{0,20}$/)
  const text = fc.oneof(
    name,
    fc.constantFrom(
      '*',
      '^a.*$',
      'yes',
      'null',
      '1e3',
      '0x10',
      '~',
      '2026-01-01',
      'a: b',
      '# no',
      "it's",
      '"q"',
      '- x',
    ),
  )
  test('roles of all kinds', async () => {
    const role = fc.record({
      kind: fc.constant('role'),
      version: fc.constantFrom('v3', 'v4'),
      metadata: fc.record({ name, description: text }, { requiredKeys: ['name'] }),
      spec: fc.record(
        {
          allow: fc.record(
            {
              logins: fc.array(name, { maxLength: 3 }),
              node_labels: fc.dictionary(
                name,
                fc.array(
                  text.filter((each) => !each.startsWith('^')),
                  { minLength: 1, maxLength: 3 },
                ),
                { maxKeys: 3 },
              ),
            },
            { requiredKeys: [] },
          ),
          options: fc.record(
            { forward_agent: fc.boolean(), max_session_ttl: fc.constantFrom('1h', '90m') },
            { requiredKeys: [] },
          ),
        },
        { requiredKeys: [] },
      ),
    })
    const bench = await testServices()
    const api = bench.as(machineCaller('Admin'))
    await fc.assert(
      fc.asyncProperty(role, async (made) => {
        const put = async (source: string) => {
          for (const { draft } of await readDrafts(source, 'f'))
            await draft.put(api, { mode: 'replace', revision: undefined, confirm: false })
        }
        const plain = async () => (await backup(api, `role/${made.metadata.name}`)).replace(/^ *revision: .*\n/m, '')
        await put(JSON.stringify(made))
        const first = await plain()
        await put(first)
        expect(await plain()).toBe(first)
        expect(readYaml(first, 'f')).toHaveLength(1)
      }),
      { numRuns: 40 },
    )
  })
})
