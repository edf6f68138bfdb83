/** `where` of rules through the whole API: a condition holds for each resource that a request touches, and hides nothing by another error. */

import { describe, expect, test } from 'vitest'
import { authorizeResource } from '../access/authorize.ts'
import type { Caller } from '../api/caller.ts'
import {
  createToken,
  createUser,
  deleteRole,
  deleteToken,
  deleteUser,
  getRole,
  getUser,
  listRoles,
  listTokens,
  listUsers,
  putRole,
  putUser,
  resetUser,
  signUser,
} from '../api/routes.ts'
import { AccessDenied, NotFound } from '../errors/errors.ts'
import { newKey } from './testing/cluster.ts'
import { adminCaller, type TestServices, testServices } from './testing/services.ts'

const rule = (resource: string, where: string) => ({
  resources: [resource],
  verbs: ['list', 'read', 'create', 'update', 'delete'],
  where,
})
const role = (name: string, spec: object, labels: Record<string, string> = {}) => ({
  kind: 'role' as const,
  version: 'v4',
  metadata: { name, labels },
  spec: { ...spec },
})

async function userWith(
  bench: TestServices,
  name: string,
  rules: readonly object[],
  deny: readonly object[] = [],
): Promise<Caller> {
  const admin = bench.as(adminCaller)
  const body = { role: role(`of-${name}`, { allow: { logins: ['x'], rules }, deny: { rules: deny } }) }
  await admin.call(putRole, { params: { name: `of-${name}` }, body })
  await admin.call(createUser, { body: { name, roles: [`of-${name}`], traits: { logins: ['x'], team: ['db'] } } })
  return bench.user(await admin.call(signUser, { body: { user: name, publicKey: newKey().line } }))
}

const devRole = (name: string, env = 'dev') => ({
  params: { name },
  body: { role: role(name, { allow: { logins: ['dev'] } }, { env }) },
})

describe('roles by label', () => {
  test('are read, listed, written and removed when the condition holds, and do not exist otherwise', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    await admin.call(putRole, devRole('dev1'))
    await admin.call(putRole, devRole('prod1', 'prod'))
    const lead = bench.as(
      await userWith(bench, 'lead', [rule('role', 'equals(resource.metadata.labels["env"], "dev")')]),
    )
    const names = (await lead.call(listRoles, { query: {} })).items.map(({ metadata }) => metadata.name)
    expect(names).toEqual(['dev1'])
    expect((await lead.call(getRole, { params: { name: 'dev1' } })).metadata.name).toBe('dev1')
    // The same words for one that is hidden and one that does not exist.
    const refusal = async (name: string) => lead.call(getRole, { params: { name } }).then(String, String)
    expect((await refusal('nobody')).replace('nobody', 'prod1')).toBe(await refusal('prod1'))
    await expect(lead.call(deleteRole, { params: { name: 'prod1' } })).rejects.toThrow(AccessDenied)
    await expect(lead.call(deleteRole, { params: { name: 'nobody' } })).rejects.toThrow(AccessDenied)
    // Neither out of the condition nor into it.
    await expect(lead.call(putRole, devRole('dev1', 'prod'))).rejects.toThrow(AccessDenied)
    await expect(lead.call(putRole, devRole('prod1', 'dev'))).rejects.toThrow(AccessDenied)
    await lead.call(putRole, devRole('dev2'))
    await lead.call(deleteRole, { params: { name: 'dev2' } })
    expect((await admin.call(getRole, { params: { name: 'prod1' } })).metadata.labels).toEqual({ env: 'prod' })
  })

  test('a denial with a condition wins over everything, and what it hides is not told from what does not exist', async () => {
    const bench = await testServices()
    await bench.as(adminCaller).call(putRole, devRole('prod1', 'prod'))
    const all = { resources: ['*'], verbs: ['*'] }
    const deny = [rule('role', 'equals(resource.metadata.labels["env"], "prod")')]
    const lead = bench.as(await userWith(bench, 'lead', [all], deny))
    await expect(lead.call(getRole, { params: { name: 'prod1' } })).rejects.toThrow(
      'role "of-lead" denies to read role "prod1"',
    )
    await expect(lead.call(getRole, { params: { name: 'prod2' } })).rejects.toThrow(
      'role "of-lead" denies to read role "prod2"',
    )
    expect((await lead.call(getRole, { params: { name: 'access' } })).metadata.name).toBe('access')
  })
})

test('users by their name, their roles and the own traits', async () => {
  const bench = await testServices()
  const admin = bench.as(adminCaller)
  for (const name of ['ann', 'bea']) {
    await admin.call(createUser, {
      body: { name, roles: ['access'], traits: { team: [name === 'ann' ? 'db' : 'web'] } },
    })
  }
  const where =
    'contains(user.spec.traits["team"], "db") && contains(resource.spec.traits["team"], "db") && !contains(resource.spec.roles, "editor")'
  const lead = bench.as(await userWith(bench, 'lead', [rule('user', where)]))
  expect((await lead.call(listUsers, { query: {} })).items.map(({ name }) => name)).toEqual(['ann', 'lead'])
  await lead.call(resetUser, { params: { name: 'ann' }, body: {} })
  await expect(lead.call(resetUser, { params: { name: 'bea' }, body: {} })).rejects.toThrow(AccessDenied)
  await expect(lead.call(getUser, { params: { name: 'bea' } })).rejects.toThrow(AccessDenied)
  await expect(lead.call(getUser, { params: { name: 'nobody' } })).rejects.toThrow(AccessDenied)
  const more = { roles: ['access', 'editor'], traits: { team: ['db'] } }
  await expect(lead.call(putUser, { params: { name: 'ann' }, body: more })).rejects.toThrow(AccessDenied)
  await expect(lead.call(createUser, { body: { name: 'cat', ...more } })).rejects.toThrow(AccessDenied)
  await lead.call(createUser, { body: { name: 'cat', roles: ['access'], traits: { team: ['db'] } } })
  await lead.call(deleteUser, { params: { name: 'cat' } })
  await expect(lead.call(deleteUser, { params: { name: 'bea' } })).rejects.toThrow(AccessDenied)
})

test('tokens by what they are for', async () => {
  const bench = await testServices()
  const admin = bench.as(adminCaller)
  await admin.call(createToken, { body: { roles: ['proxy'], value: 'proxy-token-0123456789' } })
  const where = 'contains(resource.spec.roles, "node") && !contains(resource.spec.roles, "proxy")'
  const lead = bench.as(await userWith(bench, 'lead', [rule('token', where)]))
  await expect(lead.call(createToken, { body: { roles: ['node', 'proxy'] } })).rejects.toThrow(AccessDenied)
  const { token } = await lead.call(createToken, { body: { roles: ['node'] } })
  expect((await lead.call(listTokens, {})).tokens.map(({ roles }) => roles)).toEqual([['node']])
  await expect(lead.call(deleteToken, { params: { name: 'proxy-token-0123456789' } })).rejects.toThrow(AccessDenied)
  await lead.call(deleteToken, { params: { name: token.token } })
  await expect(admin.call(deleteToken, { params: { name: token.token } })).rejects.toThrow(NotFound)
})

describe('a forgotten check', () => {
  test('does not compile, and does nothing if a type was cast', async () => {
    const { openTables } = await import('./records.ts')
    const bench = await testServices()
    const { users, roles } = openTables(bench.backend)
    const admin = { builtin: 'Admin' }
    // @ts-expect-error A name alone is no permission.
    expect(() => users.remove('alice')).toThrow(AccessDenied)
    // @ts-expect-error Nor is something that looks like one.
    expect(() => users.remove({ target: { kind: 'user', verb: 'delete', name: 'alice' } })).toThrow(AccessDenied)
    // @ts-expect-error The permission to update is none to remove.
    users.remove(authorizeResource(admin, 'update', 'user', { name: 'alice' }))
    // @ts-expect-error The permission for a user is none for a role.
    roles.remove(authorizeResource(admin, 'delete', 'user', { name: 'alice' }))
    expect(users.remove(authorizeResource(admin, 'delete', 'user', { name: 'alice' }))).toEqual({
      op: 'delete',
      key: ['users', 'alice'],
    })
  })

  test('of a recording, too', async () => {
    const { GuardedRecordings } = await import('./guarded-recordings.ts')
    const { openMemoryRecordings } = await import('../audit/recording/memory.ts')
    const guarded = new GuardedRecordings(openMemoryRecordings())
    // @ts-expect-error An id alone is no permission.
    expect(() => guarded.read({ target: { sid: 'x' } }, 0, new AbortController().signal)).toThrow(AccessDenied)
  })
})
