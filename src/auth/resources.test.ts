/** Resources through the API: revisions, conflicts of two editors (SECURITY A10), names that look like something else (A3). */

import { describe, expect, test } from 'vitest'
import type { Caller } from '../api/caller.ts'
import type { RoleRecord } from '../api/model.ts'
import { createUser, deleteRole, getRole, getUser, listRoles, putRole, putUser } from '../api/routes.ts'
import { isAlreadyExists, isCompareFailed } from '../errors/errors.ts'
import { adminCaller, testServices } from './testing/services.ts'

const other: Caller = { ...adminCaller, name: 'zoe' }
const role = (name: string, logins: readonly string[] = ['root']): RoleRecord => ({
  kind: 'role',
  version: 'v4',
  metadata: { name },
  spec: { allow: { logins: [...logins], node_labels: { env: 'dev' } } },
})

describe('two editors of one role', () => {
  test('the second is told who was first, and nothing is overwritten', async () => {
    const bench = await testServices()
    const [mine, theirs] = [bench.as(adminCaller), bench.as(other)]
    const made = await mine.call(putRole, { params: { name: 'dev' }, body: { role: role('dev') } })
    const { revision } = made.metadata
    expect(revision).toBe((await mine.call(getRole, { params: { name: 'dev' } })).metadata.revision)
    const put = (api: typeof mine, login: string) =>
      api.call(putRole, { params: { name: 'dev' }, body: { role: role('dev', [login]), revision } })
    const changed = await put(theirs, 'zoe')
    expect(changed.metadata.revision).not.toBe(revision)
    const refused = put(mine, 'admin')
    await expect(refused).rejects.toSatisfy(isCompareFailed)
    await expect(refused).rejects.toThrow(/^role "dev" was changed meanwhile by "zoe" at 20.*; get it again/)
    expect((await mine.call(getRole, { params: { name: 'dev' } })).spec).toMatchObject({ allow: { logins: ['zoe'] } })
    // A refused change is no event.
    expect(bench.events.filter(({ event }) => event === 'role.created')).toHaveLength(2)
  })

  test('one of many at the same time wins', async () => {
    const bench = await testServices()
    const api = bench.as(adminCaller)
    const { metadata } = await api.call(putRole, { params: { name: 'dev' }, body: { role: role('dev') } })
    const { revision } = metadata
    const tries = await Promise.allSettled(
      Array.from({ length: 20 }, (_, n) =>
        api.call(putRole, { params: { name: 'dev' }, body: { role: role('dev', [`u${n}`]), revision } }),
      ),
    )
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const each of tries) if (each.status === 'rejected') expect(each.reason).toSatisfy(isCompareFailed)
  })

  test('what was removed meanwhile does not come back', async () => {
    const bench = await testServices()
    const api = bench.as(adminCaller)
    const { metadata } = await api.call(putRole, { params: { name: 'dev' }, body: { role: role('dev') } })
    await bench.as(other).call(deleteRole, { params: { name: 'dev' } })
    const again = api.call(putRole, {
      params: { name: 'dev' },
      body: { role: role('dev'), revision: metadata.revision },
    })
    await expect(again).rejects.toThrow(/changed meanwhile by "zoe"/)
    expect((await api.call(listRoles, { query: {} })).items.map((each) => each.metadata.name)).not.toContain('dev')
  })

  test('creating twice is refused, at the same time too', async () => {
    const api = (await testServices()).as(adminCaller)
    const create = () => api.call(putRole, { params: { name: 'dev' }, body: { role: role('dev'), overwrite: false } })
    const tries = await Promise.allSettled([create(), create(), create()])
    expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const each of tries) if (each.status === 'rejected') expect(each.reason).toSatisfy(isAlreadyExists)
  })
})

test('two auth servers on one store: of parallel edits one wins', async () => {
  const one = await testServices()
  const two = await testServices({}, one.backend)
  const [a, b] = [one.as(adminCaller), two.as(other)]
  const { metadata } = await a.call(putRole, { params: { name: 'dev' }, body: { role: role('dev') } })
  const { revision } = metadata
  const tries = await Promise.allSettled(
    Array.from({ length: 20 }, (_, n) =>
      (n % 2 === 0 ? a : b).call(putRole, {
        params: { name: 'dev' },
        body: { role: role('dev', [`u${n}`]), revision },
      }),
    ),
  )
  expect(tries.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  const spec = async (api: typeof a) => (await api.call(getRole, { params: { name: 'dev' } })).spec
  expect(await spec(a)).toEqual(await spec(b))
})

test('two editors of one user', async () => {
  const bench = await testServices()
  const api = bench.as(adminCaller)
  const { user } = await api.call(createUser, { body: { name: 'alice', roles: ['access'], traits: {} } })
  const put = (caller: Caller, roles: string[]) =>
    bench.as(caller).call(putUser, {
      params: { name: 'alice' },
      body: { roles, traits: {}, ...(user.revision === undefined ? {} : { revision: user.revision }) },
    })
  await put(other, ['access', 'auditor'])
  await expect(put(adminCaller, ['access', 'editor'])).rejects.toThrow(/user "alice" was changed meanwhile by "zoe"/)
  expect((await api.call(getUser, { params: { name: 'alice' } })).roles).toEqual(['access', 'auditor'])
})

describe('names that look like something else', () => {
  const names = ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'valueOf']
  test.each(names)('a role and a user called %s are like any other', async (name) => {
    const api = (await testServices()).as(adminCaller)
    await expect(api.call(getRole, { params: { name } })).rejects.toThrow(/there is no role/)
    await api.call(putRole, { params: { name }, body: { role: role(name), overwrite: false } })
    expect((await api.call(getRole, { params: { name } })).metadata.name).toBe(name)
    await expect(api.call(getUser, { params: { name } })).rejects.toThrow(/there is no user/)
    await api.call(createUser, { body: { name, roles: [name], traits: { logins: ['x'] } } })
    expect((await api.call(getUser, { params: { name } })).roles).toEqual([name])
  })

  test.each(['../etc', 'a/b', 'a b', 'a\u0000b', 'a\nb', 'а', '-rf', '.hidden', '', 'x'.repeat(200)])(
    'a role called %j is refused',
    async (name) => {
      const api = (await testServices()).as(adminCaller)
      const put = api.call(putRole, { params: { name: name || 'x' }, body: { role: role(name) } })
      await expect(put).rejects.toThrow()
    },
  )
})
