import { describe, expect, test } from 'vitest'
import {
  type AccessGrant,
  isRequestable,
  judgeRequest,
  type Review,
  requestStrategy,
  rolesOfGrant,
  stateOf,
  thresholdsFor,
  whyNoReview,
} from './requests.ts'
import { roleSchema } from './schema.ts'
import type { Role } from './types.ts'

const role = (name: string, spec: Record<string, unknown>): Role =>
  roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name }, spec })
const asks = (request: Record<string, unknown>, deny: Record<string, unknown> = {}, name = 'dev') =>
  role(name, { allow: { request }, deny: { request: deny } })
const reviews = (review: Record<string, unknown>, deny: Record<string, unknown> = {}, name = 'lead') =>
  role(name, { allow: { review_requests: review }, deny: { review_requests: deny } })
const alice = (...roles: readonly Role[]) => ({ user: 'alice', roles, traits: { team: ['db', 'web'] } })
const bob = (...roles: readonly Role[]) => ({ user: 'bob', roles, traits: { team: ['db'] } })

describe('which roles may be asked for', () => {
  test.each([
    { name: 'named', roles: [asks({ roles: ['dba'] })], yes: true },
    { name: 'another', roles: [asks({ roles: ['ops'] })], yes: false },
    { name: 'a pattern', roles: [asks({ roles: ['d*'] })], yes: true },
    { name: 'an expression', roles: [asks({ roles: ['^db[ab]$'] })], yes: true },
    { name: 'an expression that does not fit', roles: [asks({ roles: ['^ops.*$'] })], yes: false },
    { name: 'no list at all', roles: [asks({})], yes: false },
    { name: 'no roles at all', roles: [], yes: false },
    {
      name: 'a deny of another role wins',
      roles: [asks({ roles: ['*'] }), asks({}, { roles: ['dba'] }, 'no')],
      yes: false,
    },
    { name: 'a denied pattern', roles: [asks({ roles: ['*'] }, { roles: ['d*'] })], yes: false },
    {
      name: 'a claim that the traits have',
      roles: [asks({ claims_to_roles: [{ claim: 'team', value: 'db', roles: ['dba'] }] })],
      yes: true,
    },
    {
      name: 'a claim that they do not have',
      roles: [asks({ claims_to_roles: [{ claim: 'team', value: 'sales', roles: ['dba'] }] })],
      yes: false,
    },
    {
      name: 'a claim called like a property of every object',
      roles: [asks({ claims_to_roles: [{ claim: 'constructor', value: '*', roles: ['dba'] }] })],
      yes: false,
    },
    {
      name: 'a denied claim',
      roles: [asks({ roles: ['*'] }, { claims_to_roles: [{ claim: 'team', value: 'd*', roles: ['dba'] }] })],
      yes: false,
    },
  ])('$name', ({ roles, yes }) => {
    expect(isRequestable(alice(...roles), 'dba')).toBe(yes)
    expect(judgeRequest(alice(...roles), ['dba']).allow).toBe(yes)
  })
  test('all of what is asked for must be allowed, and something must be asked for', () => {
    expect(judgeRequest(alice(asks({ roles: ['dba'] })), ['dba', 'ops'])).toMatchObject({
      allow: false,
      reason: 'no role allows to ask for the role "ops"',
    })
    expect(judgeRequest(alice(asks({ roles: ['*'] })), []).allow).toBe(false)
  })
  test('reviewers and annotations come from the roles that allow it; a deny takes annotations away', () => {
    const one = asks({
      roles: ['dba'],
      suggested_reviewers: ['{{internal.team}}', 'carol'],
      annotations: { team: ['a', 'b'] },
    })
    const other = asks({ roles: ['ops'], suggested_reviewers: ['nobody'] }, { annotations: { team: ['b'] } }, 'other')
    expect(judgeRequest(alice(one, other), ['dba'])).toMatchObject({
      suggestedReviewers: ['carol', 'db', 'web'],
      annotations: { team: ['a'] },
    })
  })
})

describe('who may review', () => {
  const request = { user: 'alice', roles: ['dba', 'ops'], reason: 'ticket 4711', annotations: { team: ['a'] } }
  test.each([
    { name: 'for all roles that are asked for', who: bob(reviews({ roles: ['*'] })), yes: true },
    {
      name: 'for each by another role',
      who: bob(reviews({ roles: ['dba'] }), reviews({ roles: ['ops'] }, {}, 'b')),
      yes: true,
    },
    { name: 'for one of them only', who: bob(reviews({ roles: ['dba'] })), yes: false },
    { name: 'no rule', who: bob(asks({ roles: ['*'] })), yes: false },
    { name: 'no roles', who: bob(), yes: false },
    { name: 'A3 the person who asks, whatever the roles', who: alice(reviews({ roles: ['*'] })), yes: false },
    { name: 'a deny for one of them wins', who: bob(reviews({ roles: ['*'] }, { roles: ['ops'] })), yes: false },
    {
      name: 'a condition that holds',
      who: bob(reviews({ roles: ['*'], where: 'contains(reviewer.traits["team"], "db")' })),
      yes: true,
    },
    {
      name: 'a condition that does not',
      who: bob(reviews({ roles: ['*'], where: 'equals(request.reason, "x")' })),
      yes: false,
    },
    {
      name: 'a deny with a condition that does not hold',
      who: bob(reviews({ roles: ['*'] }, { roles: ['*'], where: 'equals(request.reason, "x")' })),
      yes: true,
    },
  ])('$name', ({ who, yes }) => expect(whyNoReview(who, request) === undefined).toBe(yes))
})

describe('when enough have decided', () => {
  const yes = (author: string, ...thresholds: number[]): Review => ({ author, approve: true, thresholds })
  const no = (author: string, ...thresholds: number[]): Review => ({ author, approve: false, thresholds })
  const terms = (thresholds: readonly Record<string, unknown>[], ...more: readonly Role[]) => {
    const answer = judgeRequest(alice(asks({ roles: ['dba'], thresholds }), ...more), ['dba'])
    if (!answer.allow) throw new Error(answer.reason)
    return answer.terms
  }
  const one = terms([])
  const two = terms([{ approve: 2, deny: 1 }])
  const either = terms([
    { approve: 1, deny: 1 },
    { approve: 3, deny: 2 },
  ])
  const both = terms([{ approve: 1 }], asks({ roles: ['dba'], thresholds: [{ approve: 2 }] }, {}, 'b'))
  test.each([
    { name: 'nobody', terms: one, said: [], state: 'pending' },
    { name: 'without thresholds one approval is enough', terms: one, said: [yes('bob', 0)], state: 'approved' },
    { name: 'without thresholds one denial is enough', terms: one, said: [no('bob', 0)], state: 'denied' },
    { name: 'one of two', terms: two, said: [yes('bob', 0)], state: 'pending' },
    {
      name: 'dual authorization: two different people',
      terms: two,
      said: [yes('bob', 0), yes('carol', 0)],
      state: 'approved',
    },
    { name: 'the same person twice is one', terms: two, said: [yes('bob', 0), yes('bob', 0)], state: 'pending' },
    {
      name: 'a denial wins over approvals',
      terms: two,
      said: [yes('bob', 0), no('carol', 0), yes('dave', 0)],
      state: 'denied',
    },
    { name: 'reviews that count for no threshold', terms: one, said: [yes('bob'), no('carol')], state: 'pending' },
    { name: 'one threshold of a role is enough', terms: either, said: [yes('bob', 0, 1)], state: 'approved' },
    { name: 'a review for the larger threshold only', terms: either, said: [yes('bob', 1)], state: 'pending' },
    { name: 'each role that allows it wants its own', terms: both, said: [yes('bob', 0, 1)], state: 'pending' },
    { name: 'all of them have it', terms: both, said: [yes('bob', 0, 1), yes('carol', 0, 1)], state: 'approved' },
    {
      name: 'deny 0: denials by this threshold never deny',
      terms: terms([{ approve: 1, deny: 0 }]),
      said: [no('bob', 0)],
      state: 'pending',
    },
    {
      name: 'no requirement grants nothing',
      terms: { thresholds: [], requirements: [] },
      said: [yes('bob', 0)],
      state: 'pending',
    },
  ])('$name: $state', ({ terms: wanted, said, state }) => expect(stateOf(wanted, said)).toBe(state))

  test('a review counts for the thresholds whose filter fits', () => {
    const request = { user: 'alice', roles: ['dba'], reason: '', annotations: {} }
    const wanted = terms([
      { approve: 1 },
      { approve: 1, filter: 'contains(reviewer.roles, "lead")' },
      { approve: 1, filter: 'contains(reviewer.roles, "boss")' },
    ])
    expect(thresholdsFor(wanted, bob(reviews({ roles: ['*'] })), request, { approve: true, reason: '' })).toEqual([
      0, 1,
    ])
  })
})

test.each([
  { name: 'nothing said', options: [{}], mode: 'optional', prompt: '' },
  { name: 'always', options: [{}, { request_access: 'always' }], mode: 'always', prompt: '' },
  {
    name: 'a reason is more',
    options: [{ request_access: 'reason', request_prompt: 'Ticket?' }, { request_access: 'always' }],
    mode: 'reason',
    prompt: 'Ticket?',
  },
])('at a login: $name', ({ options, mode, prompt }) =>
  expect(requestStrategy(options.map((each, index) => role(`r${index}`, { options: each })))).toEqual({ mode, prompt }),
)

describe('what a grant gives', () => {
  const user = { name: 'alice', created: '2026-01-01T00:00:00.000Z' }
  const now = Date.parse('2026-03-01T12:00:00Z')
  const grant: AccessGrant = {
    id: 'x',
    user: 'alice',
    userCreated: user.created,
    roles: ['dba'],
    expires: '2026-03-01T13:00:00Z',
  }
  test.each([
    { name: 'its roles', change: {}, roles: ['dba'] },
    { name: 'none for another user', change: { user: 'bob' }, roles: [] },
    { name: 'none for a new user of the same name', change: { userCreated: '2025-01-01T00:00:00.000Z' }, roles: [] },
    { name: 'none in the moment it ends', change: { expires: '2026-03-01T12:00:00Z' }, roles: [] },
    { name: 'none when its end cannot be read', change: { expires: 'never' }, roles: [] },
  ])('$name', ({ change, roles }) => expect(rolesOfGrant({ ...grant, ...change }, user, now)).toEqual(roles))
  test('none without one', () => expect(rolesOfGrant(undefined, user, now)).toEqual([]))
})
