/**
 * Who may call what: every route against every kind of caller (SECURITY A1, A2, A3): nobody, each built-in role, users without a right,
 * with it and with every other one, users who were denied it, users whose identity is not complete, and users whose certificate outlived
 * what it stands for.
 *
 * A new route needs one row in `table`: `callers` are the built-in roles that may call it, written down here by hand and not copied from
 * the endpoint. With `User` among them, `users` says which: `anybody`, `rule` (the roles must have the endpoint's `userRule`), or `self`
 * (the handler limits them to what is their own: then it needs a test of its own, below or beside the handler, that it does).
 * A new kind of caller (somebody locked, somebody half way through a login) is a row of `outlived` or of `nobodies`.
 */

import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import type { Caller } from '../api/caller.ts'
import { settingsKinds } from '../api/cluster-settings.ts'
import type { BuiltinRole, Endpoint } from '../api/endpoint.ts'
import * as routes from '../api/routes.ts'
import { createUser, listTokens, putRole, putUser, signUser } from '../api/routes.ts'
import { AccessDenied, isAccessDenied } from '../errors/errors.ts'
import { newKey } from './testing/cluster.ts'
import { adminCaller, machineCaller, type TestServices, testServices } from './testing/services.ts'

const all: readonly BuiltinRole[] = ['Auth', 'Node', 'Proxy', 'Admin', 'User', 'Web', 'Signup', 'ProvisionToken']
/** Roles whose rules a user with the right in question has. */
const everyone = 'anybody' as const

/** One row a route, written by hand: a route without a row, or a row that the route does not keep, fails. */
const table: Readonly<Record<string, { callers: readonly BuiltinRole[]; users?: 'anybody' | 'rule' | 'self' }>> = {
  getStatus: { callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'], users: everyone },
  getConfig: { callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'], users: everyone },
  listAuthorities: { callers: ['Auth', 'Admin', 'Node', 'Proxy', 'User'], users: everyone },
  watch: { callers: ['Node', 'Proxy', 'Auth', 'Admin'] },
  join: { callers: ['ProvisionToken'] },
  renewHost: { callers: ['Node', 'Proxy', 'Auth'] },
  heartbeat: { callers: ['Node', 'Proxy', 'Auth'] },
  listPresence: { callers: ['Admin', 'Proxy', 'Node', 'Auth', 'User'], users: 'self' },
  explainAccess: { callers: ['Admin', 'User'], users: 'rule' },
  deletePresence: { callers: ['Admin', 'User'], users: 'rule' },
  createToken: { callers: ['Admin', 'User'], users: 'rule' },
  listTokens: { callers: ['Admin', 'User'], users: 'rule' },
  deleteToken: { callers: ['Admin', 'User'], users: 'rule' },
  createUser: { callers: ['Admin', 'User'], users: 'rule' },
  listUsers: { callers: ['Admin', 'User'], users: 'rule' },
  getUser: { callers: ['Admin', 'User'], users: 'self' },
  putUser: { callers: ['Admin', 'User'], users: 'rule' },
  deleteUser: { callers: ['Admin', 'User'], users: 'rule' },
  resetUser: { callers: ['Admin', 'User'], users: 'rule' },
  listUserDevices: { callers: ['Admin', 'User'], users: 'rule' },
  removeUserDevice: { callers: ['Admin', 'User'], users: 'rule' },
  setPassword: { callers: ['Admin'] },
  listRoles: { callers: ['Admin', 'User'], users: 'rule' },
  getRole: { callers: ['Admin', 'User'], users: 'rule' },
  putRole: { callers: ['Admin', 'User'], users: 'rule' },
  deleteRole: { callers: ['Admin', 'User'], users: 'rule' },
  getAuthPreference: { callers: ['Admin', 'User'], users: 'rule' },
  putAuthPreference: { callers: ['Admin', 'User'], users: 'rule' },
  resetAuthPreference: { callers: ['Admin', 'User'], users: 'rule' },
  getNetworkingConfig: { callers: ['Admin', 'User'], users: 'rule' },
  putNetworkingConfig: { callers: ['Admin', 'User'], users: 'rule' },
  resetNetworkingConfig: { callers: ['Admin', 'User'], users: 'rule' },
  getRecordingConfig: { callers: ['Admin', 'User'], users: 'rule' },
  putRecordingConfig: { callers: ['Admin', 'User'], users: 'rule' },
  resetRecordingConfig: { callers: ['Admin', 'User'], users: 'rule' },
  login: { callers: ['Proxy'] },
  // And then on the machine of the auth service only.
  exportAuthorities: { callers: ['Admin'] },
  exportCredentials: { callers: ['Admin'] },
  restoreCredentials: { callers: ['Admin'] },
  openWebSession: { callers: ['Proxy'] },
  checkWebSession: { callers: ['Proxy'] },
  renewWebSession: { callers: ['Proxy'] },
  endWebSession: { callers: ['Proxy'] },
  listWebSessions: { callers: ['User'], users: 'self' },
  deleteWebSession: { callers: ['User'], users: 'self' },
  changePassword: { callers: ['Proxy'] },
  getInvite: { callers: ['Proxy'] },
  acceptInvite: { callers: ['Proxy'] },
  signUser: { callers: ['Admin'] },
  signHost: { callers: ['Admin'] },
  renewUser: { callers: ['User'], users: 'self' },
  rotateAuthorities: { callers: ['Admin', 'User'], users: 'rule' },
  getRotation: { callers: ['Admin', 'User'], users: 'rule' },
  listMfaDevices: { callers: ['User'], users: 'self' },
  beginMfaDevice: { callers: ['User'], users: 'self' },
  addMfaDevice: { callers: ['User'], users: 'self' },
  removeMfaDevice: { callers: ['User'], users: 'self' },
  newRecoveryCodes: { callers: ['User'], users: 'self' },
  startCeremony: { callers: ['User'], users: 'self' },
  checkSessionMfa: { callers: ['User'], users: 'self' },
  sessionCertificate: { callers: ['User'], users: 'self' },
  grantCertificate: { callers: ['User'], users: 'self' },
  beginLogin: { callers: ['Proxy'] },
  startLoginCeremony: { callers: ['Proxy'] },
  openCeremony: { callers: ['Proxy'] },
  answerCeremony: { callers: ['Proxy'] },
  beginInviteKey: { callers: ['Proxy'] },
  acquireLease: { callers: ['Node'] },
  renewLeases: { callers: ['Node'] },
  releaseLease: { callers: ['Node'] },
  listLeases: { callers: ['Admin'] },
  deleteLeases: { callers: ['Admin'] },
  createLock: { callers: ['Admin', 'User'], users: 'rule' },
  listLocks: { callers: ['Admin', 'User'], users: 'rule' },
  getLock: { callers: ['Admin', 'User'], users: 'rule' },
  deleteLock: { callers: ['Admin', 'User'], users: 'rule' },
  createAccessRequest: { callers: ['Admin', 'User'], users: 'self' },
  listAccessRequests: { callers: ['Admin', 'User'], users: 'self' },
  listRequestableRoles: { callers: ['User'], users: 'self' },
  getAccessRequest: { callers: ['Admin', 'User'], users: 'self' },
  reviewAccessRequest: { callers: ['Admin', 'User'], users: 'self' },
  resolveAccessRequest: { callers: ['Admin', 'User'], users: 'rule' },
  deleteAccessRequest: { callers: ['Admin', 'User'], users: 'self' },
  emitEvents: { callers: ['Node', 'Proxy'] },
  searchEvents: { callers: ['Admin', 'User'], users: 'rule' },
  exportEvents: { callers: ['Admin', 'User'], users: 'rule' },
  verifyEvents: { callers: ['Admin', 'User'], users: 'rule' },
  reportSessions: { callers: ['Node'] },
  listSessions: { callers: ['Admin', 'User'], users: 'self' },
  getSession: { callers: ['Admin', 'User'], users: 'self' },
  beginRecording: { callers: ['Node'] },
  appendChunk: { callers: ['Node'] },
  completeRecording: { callers: ['Node'] },
  listRecordings: { callers: ['Admin', 'User'], users: 'self' },
  getRecording: { callers: ['Admin', 'User'], users: 'self' },
  readRecording: { callers: ['Admin', 'User'], users: 'self' },
}

const endpoints: readonly [string, Endpoint][] = Object.entries(routes)

/** Signs in `name` with these roles, as `tctl auth sign` would. */
async function userWith(bench: TestServices, name: string, roles: readonly string[]): Promise<Caller> {
  const admin = bench.as(adminCaller)
  await admin.call(createUser, { body: { name, roles: [...roles], traits: { logins: [name] } } })
  const credentials = await admin.call(signUser, { body: { user: name, publicKey: newKey().line } })
  return bench.user(credentials)
}

/** The status of a request with an empty body: 403 when refused, anything else when the gate was passed. */
async function status(
  bench: TestServices,
  endpoint: Endpoint,
  caller: Caller | (() => Caller) | undefined,
): Promise<number> {
  const path = endpoint.path
    .replace(':role', 'node')
    .replace(':uuid', '33333333-3333-4333-8333-333333333333')
    .replace(':id', '33333333-3333-4333-8333-333333333333')
    .replace(':name', 'somebody')
  const stream = bench.callers.open(bench.app, caller)
  stream.on('error', () => undefined)
  const body = endpoint.method === 'GET' || endpoint.method === 'DELETE' ? '' : '{'
  const type = body === '' ? '' : 'content-type: application/json\r\n'
  stream.write(
    `${endpoint.method} ${path} HTTP/1.1\r\nhost: a\r\n${type}content-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`,
  )
  for await (const chunk of stream) {
    stream.destroy()
    return Number(String(chunk).slice(9, 12))
  }
  return 0
}

const isEndpoint = (value: unknown): value is Endpoint =>
  typeof value === 'object' && value !== null && 'method' in value && 'path' in value && 'callers' in value

test('every route has a row, and every row a route', async () => {
  expect(endpoints.map(([name]) => name).sort()).toEqual(Object.keys(table).sort())
  // What is mounted without being among the routes, and what stands in a file that nobody exports.
  const bench = await testServices()
  const known = endpoints.map(([, { method, path }]) => `${method} ${path}`)
  expect([...bench.mounted].sort()).toEqual([...known].sort())
  const directory = join(import.meta.dirname, '../api')
  for (const file of readdirSync(directory).filter((name) => /routes\.ts$/.test(name))) {
    const exported: Readonly<Record<string, unknown>> = await import(join(directory, file))
    for (const [name, value] of Object.entries(exported)) {
      if (isEndpoint(value)) expect(known, `${name} of ${file}`).toContain(`${value.method} ${value.path}`)
    }
  }
})

describe('each route against each caller', () => {
  test('lets in whom its row names, and nobody else', async () => {
    const bench = await testServices()
    const plain = await userWith(bench, 'alice', ['access'])
    for (const [name, endpoint] of endpoints) {
      const row = table[name]
      expect(await status(bench, endpoint, undefined), `${name} without identity`).toBe(403)
      for (const role of all) {
        const caller = role === 'User' ? plain : machineCaller(role)
        const allowed = row?.callers.includes(role) === true && (role !== 'User' || row.users !== 'rule')
        const own = role === 'User' && name === 'getUser'
        const got = await status(bench, endpoint, caller)
        expect(got === 403, `${name} as ${role}: ${got}`).toBe(!allowed || own)
        expect(got, `${name} as ${role}`).not.toBe(500)
        expect(got, `${name} is not mounted`).not.toBe(0)
      }
    }
  })

  test('lets in users whose roles have the rule, and only for it', async () => {
    const bench = await testServices()
    const editor = await userWith(bench, 'edith', ['editor'])
    const auditor = await userWith(bench, 'audrey', ['auditor'])
    for (const [name, endpoint] of endpoints.filter(([name]) => table[name]?.users === 'rule')) {
      const rule = endpoint.userRule
      const resource = typeof rule === 'object' ? rule.resource : ''
      const editors = ['user', 'role', 'token', 'lock', ...settingsKinds].includes(resource)
      expect((await status(bench, endpoint, editor)) === 403, `${name} as editor`).toBe(!editors)
      expect((await status(bench, endpoint, auditor)) === 403, `${name} as auditor`).toBe(resource !== 'event')
    }
  })
})

/** A role that gives and takes rights over resources. */
const roleOf = (name: string, allow: readonly Right[], deny: readonly Right[] = []) => {
  const rules = (rights: readonly Right[]) =>
    rights.map(({ resource, verb }) => ({ resources: [resource], verbs: [verb] }))
  return {
    kind: 'role' as const,
    version: 'v4',
    metadata: { name },
    spec: { allow: { rules: rules(allow) }, deny: { rules: rules(deny) } },
  }
}
type Right = Pick<Extract<Endpoint['userRule'], object>, 'resource' | 'verb'>

describe('a right by itself', () => {
  /** Each right that any route asks for, once. */
  const rights = [
    ...new Map(
      endpoints.flatMap(([, { userRule }]) =>
        typeof userRule === 'object' ? [[`${userRule.resource}.${userRule.verb}`, userRule] as const] : [],
      ),
    ).values(),
  ]

  test.each(rights.map(({ resource, verb }) => ({ name: `${verb} ${resource}`, resource, verb })))(
    '$name opens the routes that ask for it and no other; without it nothing else opens them; deny wins',
    async ({ resource, verb }) => {
      const right = { resource, verb }
      const bench = await testServices()
      const admin = bench.as(adminCaller)
      const others = rights.filter((each) => each.resource !== resource || each.verb !== verb)
      const callers: Record<string, Caller> = {}
      for (const role of [
        roleOf('only', [right]),
        roleOf('every-other', others),
        roleOf('denied', [{ resource: '*', verb: '*' as Right['verb'] }], [right]),
      ]) {
        const { name } = role.metadata
        await admin.call(putRole, { params: { name }, body: { role } })
        callers[name] = await userWith(bench, `user-${name}`, [name])
      }
      for (const [name, endpoint] of endpoints.filter(([name]) => table[name]?.users === 'rule')) {
        const { userRule } = endpoint
        const asked = typeof userRule === 'object' && userRule.resource === resource && userRule.verb === verb
        const got = async (who: string) => (await status(bench, endpoint, callers[who])) === 403
        expect(await got('only'), `${name} with nothing but it`).toBe(!asked)
        expect(await got('every-other'), `${name} with everything but it`).toBe(asked)
        if (asked) expect(await got('denied'), `${name} although it is denied`).toBe(true)
      }
    },
  )
})

describe('no route answers', () => {
  /** Identities that are not complete: whoever holds them has got half of the way. */
  const nobodies: readonly { readonly name: string; readonly caller: Caller | undefined }[] = [
    { name: 'a connection without identity', caller: undefined },
    { name: 'a user of whom only the name is known', caller: { role: 'User', name: 'alice', address: '10.0.0.9' } },
    {
      name: 'a user who has the name of a built-in role',
      caller: { role: 'User', name: 'Admin', address: '127.0.0.1' },
    },
  ]
  test.each(nobodies)('$name', async ({ caller }) => {
    const bench = await testServices()
    await userWith(bench, 'alice', ['access', 'editor', 'auditor'])
    for (const [name, endpoint] of endpoints) expect(await status(bench, endpoint, caller), name).toBe(403)
  })

  type Admin = ReturnType<TestServices['as']>
  /** What happens to a user whose connection is open and whose certificate is in order. */
  const outlived: readonly { readonly name: string; happens(bench: TestServices, admin: Admin): Promise<unknown> }[] = [
    {
      name: 'a user who was removed',
      happens: (_, admin) => admin.call(routes.deleteUser, { params: { name: 'alice' } }),
    },
    {
      name: 'a user who was removed and made again',
      async happens(bench, admin) {
        await admin.call(routes.deleteUser, { params: { name: 'alice' } })
        await bench.env.advance(5)
        await admin.call(createUser, { body: { name: 'alice', roles: ['access', 'editor'], traits: {} } })
      },
    },
    {
      name: 'a user who is locked',
      happens: (_, admin) => admin.call(routes.createLock, { body: { target: { user: 'alice' } } }),
    },
    {
      name: 'a user one of whose roles is locked',
      happens: (_, admin) => admin.call(routes.createLock, { body: { target: { role: 'auditor' } } }),
    },
    { name: 'a user whose certificate has expired', happens: (bench) => bench.env.advance(31 * 3_600_000) },
  ]
  test.each(outlived)('$name', async ({ happens }) => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    await admin.call(createUser, { body: { name: 'alice', roles: ['access', 'editor', 'auditor'], traits: {} } })
    const credentials = await admin.call(signUser, { body: { user: 'alice', publicKey: newKey().line } })
    const alice = () => bench.user(credentials)
    expect(await status(bench, routes.getStatus, alice)).toBe(200)
    await happens(bench, admin)
    await expect.poll(() => status(bench, routes.getStatus, alice)).toBe(403)
    for (const [name, endpoint] of endpoints) expect(await status(bench, endpoint, alice), name).toBe(403)
  })
})

describe('a user without rights', () => {
  test.each([
    {
      name: 'changes the own user',
      call: putUser,
      input: { params: { name: 'alice' }, body: { roles: ['editor'], traits: {} } },
    },
    {
      name: 'changes a role',
      call: putRole,
      input: {
        params: { name: 'access' },
        body: { role: { kind: 'role', version: 'v4', metadata: { name: 'access' }, spec: {} } },
      },
    },
    { name: 'makes a user', call: createUser, input: { body: { name: 'x', roles: ['editor'], traits: {} } } },
    { name: 'signs a key for another', call: signUser, input: { body: { user: 'root', publicKey: 'x' } } },
  ])('who $name is refused', async ({ call, input }) => {
    const bench = await testServices()
    const alice = bench.as(await userWith(bench, 'alice', ['access']))
    const before = bench.events.length
    await expect((alice.call as (...args: unknown[]) => Promise<unknown>)(call, input)).rejects.toThrow(AccessDenied)
    expect(bench.events).toHaveLength(before)
  })

  test('reads the own record and no other, whatever the case of the name', async () => {
    const bench = await testServices()
    const alice = bench.as(await userWith(bench, 'alice', ['access']))
    await userWith(bench, 'bob', ['access'])
    expect(await alice.call(routes.getUser, { params: { name: 'alice' } })).toMatchObject({ name: 'alice' })
    for (const name of ['bob', 'Alice', 'nobody', 'a/../bob']) {
      await expect(alice.call(routes.getUser, { params: { name } })).rejects.toThrow(AccessDenied)
    }
  })

  test('is out with the next request once the user or the role is gone', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    await userWith(bench, 'alice', ['access'])
    const credentials = await admin.call(signUser, { body: { user: 'alice', publicKey: newKey().line } })
    expect(bench.user(credentials).name).toBe('alice')
    await admin.call(routes.deleteUser, { params: { name: 'alice' } })
    await expect.poll(() => bench.services.hub.user('alice')).toBeUndefined()
    expect(() => bench.user(credentials)).toThrow(/does not exist any more/)
    // A new user of the same name does not inherit the certificate.
    await bench.env.advance(5)
    await userWith(bench, 'alice', ['access'])
    expect(() => bench.user(credentials)).toThrow(/earlier user/)
  })
})

test('private keys of the authorities are in no answer (A2)', async () => {
  const bench = await testServices()
  const secret = bench.services.authorities.user
  const stored = await bench.services.tables.authorities.find('user')
  const inner = stored?.value.key.privateKey.split('\n')[1] ?? ''
  expect(inner.length).toBeGreaterThan(40)
  const answers: string[] = []
  const admin = bench.as(adminCaller)
  for (const [name, endpoint] of endpoints.filter(([, endpoint]) => endpoint.method === 'GET' && !endpoint.stream)) {
    const call = admin.call as (...args: unknown[]) => Promise<unknown>
    answers.push(`${name} ${JSON.stringify(await call(endpoint, { params: { name: 'access' } }).catch(String))}`)
  }
  for await (const event of admin.stream(routes.watch)) {
    answers.push(JSON.stringify(event))
    if (event.op === 'ready') break
  }
  expect(answers.join('\n')).not.toContain(inner)
  expect(answers.join('\n')).not.toMatch(/PRIVATE/)
  expect(answers.join('\n')).toContain(secret.publicKey.blob.toString('base64'))
})

test('a listing of tokens shows their beginnings only', async () => {
  const bench = await testServices({ staticTokens: [{ roles: ['node'], value: 'static-secret-token' }] })
  const admin = bench.as(adminCaller)
  const { token } = await admin.call(routes.createToken, { body: { roles: ['node'] } })
  expect(token.token).toMatch(/^[0-9a-f]{32}$/)
  const text = JSON.stringify(await admin.call(listTokens))
  expect(text).toContain('static…')
  expect(text).not.toContain('static-secret')
  expect(text).not.toContain(token.token)
  expect(
    isAccessDenied(
      await bench
        .as(machineCaller('Node'))
        .call(listTokens)
        .catch((error: unknown) => error),
    ),
  ).toBe(true)
})
