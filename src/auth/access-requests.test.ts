/** Requests for roles at the auth service: who may ask, review and decide, two at once, and what certificates get (SECURITY A3, F18, V18). */

import { describe, expect, test } from 'vitest'
import type { Caller } from '../api/caller.ts'
import {
  createAccessRequest,
  createUser,
  deleteAccessRequest,
  deleteUser,
  getAccessRequest,
  listAccessRequests,
  putRole,
  renewUser,
  resolveAccessRequest,
  reviewAccessRequest,
  signUser,
} from '../api/routes.ts'
import { isAccessDenied, isAlreadyExists, isCompareFailed, isNotFound } from '../errors/errors.ts'
import { newKey } from './testing/cluster.ts'
import { adminCaller, type TestServices, testServices } from './testing/services.ts'

const roles = {
  dba: { allow: { logins: ['root'], node_labels: { '*': '*' } }, options: { max_session_ttl: '4h' } },
  dev: { allow: { request: { roles: ['dba'], thresholds: [{ approve: 2, deny: 1 }] } } },
  lead: { allow: { review_requests: { roles: ['dba'] }, request: { roles: ['dba'] } } },
}

async function setUp() {
  const bench = await testServices()
  const admin = bench.as(adminCaller)
  for (const [name, spec] of Object.entries(roles)) {
    const role = { kind: 'role' as const, version: 'v4', metadata: { name }, spec }
    await admin.call(putRole, { params: { name }, body: { role } })
  }
  const callers: Record<string, Caller> = {}
  for (const [name, role] of [
    ['alice', 'dev'],
    ['bob', 'lead'],
    ['carol', 'lead'],
    ['mallory', 'access'],
  ] as const) {
    await admin.call(createUser, { body: { name, roles: [role], traits: { logins: [name] } } })
    callers[name] = await bench.user(await admin.call(signUser, { body: { user: name, publicKey: newKey().line } }))
  }
  const as = (name: string) => bench.as(callers[name] ?? adminCaller)
  return { bench, admin, as }
}
type SetUp = Awaited<ReturnType<typeof setUp>>

const ask = ({ as }: SetUp, who = 'alice') =>
  as(who).call(createAccessRequest, { body: { roles: ['dba'], reason: 'ticket 4711' } })
const review = ({ as }: SetUp, who: string, id: string, approve = true) =>
  as(who).call(reviewAccessRequest, { params: { id }, body: { approve } })
/** The certificate that alice gets with the request, as the caller that she is with it. */
async function elevated({ bench, as }: SetUp, id: string): Promise<Caller> {
  return bench.user(await as('alice').call(renewUser, { body: { publicKey: newKey().line, accessRequests: [id] } }))
}
const namesOf = (bench: TestServices, type: string) =>
  (bench.events as readonly { event: string; code: string; user?: string }[])
    .filter(({ event }) => event === type)
    .map(({ code, user }) => [code, user])

describe('asking and reviewing', () => {
  test('two different people approve; the certificate then has the role, and ends with the request', async () => {
    const all = await setUp()
    const { id, expires } = await ask(all)
    await expect(elevated(all, id)).rejects.toThrow(`the request ${id} is pending`)
    expect(await review(all, 'bob', id)).toMatchObject({ state: 'pending' })
    await expect(review(all, 'bob', id)).rejects.toSatisfy(isAlreadyExists)
    expect(await review(all, 'carol', id)).toMatchObject({ state: 'approved' })
    const caller = await elevated(all, id)
    expect(caller.user?.roleNames).toEqual(['dev', 'dba'])
    expect(caller.user?.certificate.principals).toEqual(['root'])
    expect(caller.user?.expires.getTime()).toBeLessThanOrEqual(Date.parse(expires))
    expect(namesOf(all.bench, 'access_request.create')).toEqual([['T5000I', 'alice']])
    expect(namesOf(all.bench, 'access_request.review')).toEqual([
      ['T5002I', 'bob'],
      ['T5002I', 'carol'],
    ])
    expect(namesOf(all.bench, 'access_request.update')).toEqual([['T5001I', 'carol']])
  })

  test('F18 two reviewers at once: both count, and it is decided once', async () => {
    const all = await setUp()
    const { id } = await ask(all)
    await Promise.all([review(all, 'bob', id), review(all, 'carol', id)])
    const found = await all.admin.call(getAccessRequest, { params: { id } })
    expect(found.state).toBe('approved')
    expect(found.reviews.map(({ author }) => author).sort()).toEqual(['bob', 'carol'])
    expect(namesOf(all.bench, 'access_request.update')).toHaveLength(1)
  })

  test('A3 nobody decides about their own request, and nobody acts for another', async () => {
    const all = await setUp()
    const own = await ask(all, 'bob')
    await expect(review(all, 'bob', own.id)).rejects.toSatisfy(isAccessDenied)
    const { id } = await ask(all)
    const forCarol = { params: { id }, body: { approve: true, author: 'carol' } }
    await expect(all.as('bob').call(reviewAccessRequest, forCarol)).rejects.toSatisfy(isAccessDenied)
    const forBob = { body: { roles: ['dba'], user: 'bob' } }
    await expect(all.as('alice').call(createAccessRequest, forBob)).rejects.toSatisfy(isAccessDenied)
    for (const name of ['alice', 'bob'])
      await expect(
        all.as(name).call(resolveAccessRequest, { params: { id }, body: { state: 'approved' } }),
      ).rejects.toSatisfy(isAccessDenied)
    await expect(all.as('mallory').call(createAccessRequest, { body: { roles: ['dba'] } })).rejects.toSatisfy(
      isAccessDenied,
    )
    // One who may neither see nor review it.
    for (const call of [getAccessRequest, deleteAccessRequest] as const)
      await expect(all.as('mallory').call(call, { params: { id } })).rejects.toThrow()
    await expect(review(all, 'mallory', id)).rejects.toSatisfy(isNotFound)
    expect((await all.as('mallory').call(listAccessRequests)).items).toEqual([])
    expect((await all.as('bob').call(listAccessRequests)).items).toHaveLength(2)
  })

  test('what a request gave serves neither to review nor to ask for more', async () => {
    const all = await setUp()
    const role = {
      kind: 'role' as const,
      version: 'v4',
      metadata: { name: 'dba' },
      spec: { allow: { review_requests: { roles: ['*'] } } },
    }
    await all.admin.call(putRole, { params: { name: 'dba' }, body: { role } })
    const { id } = await ask(all)
    await all.admin.call(resolveAccessRequest, { params: { id }, body: { state: 'approved' } })
    const withRole = all.bench.as(await elevated(all, id))
    const other = await ask(all, 'bob')
    await expect(
      withRole.call(reviewAccessRequest, { params: { id: other.id }, body: { approve: true } }),
    ).rejects.toThrow()
  })
})

describe('taking back', () => {
  test.each(['denied', 'removed', 'the user is removed'] as const)(
    'V18 %s later: the certificate loses the role',
    async (how) => {
      const all = await setUp()
      const { id } = await ask(all)
      await all.admin.call(resolveAccessRequest, { params: { id }, body: { state: 'approved', reason: 'ok' } })
      const credentials = await all
        .as('alice')
        .call(renewUser, { body: { publicKey: newKey().line, accessRequests: [id] } })
      expect((await all.bench.user(credentials)).user?.roleNames).toEqual(['dev', 'dba'])
      if (how === 'denied') await all.admin.call(resolveAccessRequest, { params: { id }, body: { state: 'denied' } })
      else if (how === 'removed') await all.admin.call(deleteAccessRequest, { params: { id } })
      else await all.admin.call(deleteUser, { params: { name: 'alice' } })
      const now = async () => {
        try {
          return (await all.bench.user(credentials)).user?.roleNames
        } catch (error) {
          return String(error)
        }
      }
      if (how === 'the user is removed') await expect.poll(now).toContain('does not exist any more')
      else await expect.poll(now).toEqual(['dev'])
    },
  )

  test('denied is denied; the administrator may give less than was asked for', async () => {
    const all = await setUp()
    const { id } = await ask(all)
    const denied = await all.admin.call(resolveAccessRequest, {
      params: { id },
      body: { state: 'denied', reason: 'no' },
    })
    expect(denied).toMatchObject({ state: 'denied', resolveReason: 'no' })
    await expect(
      all.admin.call(resolveAccessRequest, { params: { id }, body: { state: 'approved' } }),
    ).rejects.toSatisfy(isCompareFailed)
    await expect(review(all, 'bob', id)).rejects.toSatisfy(isCompareFailed)
    const second = await ask(all)
    const more = { params: { id: second.id }, body: { state: 'approved' as const, roles: ['editor'] } }
    await expect(all.admin.call(resolveAccessRequest, more)).rejects.toThrow('was not asked for')
  })

  test('a request that nobody answers is over after an hour, and one that was granted at its end', async () => {
    const all = await setUp()
    const [waiting, granted] = [await ask(all), await ask(all)]
    await all.admin.call(resolveAccessRequest, { params: { id: granted.id }, body: { state: 'approved' } })
    await all.bench.env.advance(3_601_000)
    await expect(all.admin.call(getAccessRequest, { params: { id: waiting.id } })).rejects.toSatisfy(isNotFound)
    await expect(review(all, 'bob', waiting.id)).rejects.toThrow()
    expect((await elevated(all, granted.id)).user?.roleNames).toEqual(['dev', 'dba'])
    // Four hours, as the role says.
    await all.bench.env.advance(3 * 3_600_000)
    await expect(elevated(all, granted.id)).rejects.toThrow('it is over')
    await expect.poll(() => namesOf(all.bench, 'access_request.expire')).toHaveLength(2)
  })
})
