import { describe, expect, test } from 'vitest'
import { canJoinOthers, joinModes, moderationOf, type PresentParty, whenMissing, whoIsMissing } from './join.ts'
import { roleSchema } from './schema.ts'

const role = (name: string, allow: Record<string, unknown> = {}) =>
  roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name }, spec: { allow } })
const joins = (roles: string[], modes: string[]) => role('joins', { join_sessions: [{ name: 'j', roles, modes }] })
const owner = { user: 'alice', roles: ['dev', 'db'] }

describe('who may join', () => {
  test.each([
    { name: 'one without a rule joins nobody else', user: 'bob', roles: [role('plain')], modes: [] },
    {
      name: 'one joins their own, and does not moderate them',
      user: 'alice',
      roles: [role('plain')],
      modes: ['peer', 'observer'],
    },
    { name: 'one without any role joins nothing, not even their own', user: 'alice', roles: [], modes: [] },
    { name: 'a rule for a role of the owner', user: 'bob', roles: [joins(['dev'], ['observer'])], modes: ['observer'] },
    {
      name: 'a rule for a role that the owner does not have',
      user: 'bob',
      roles: [joins(['ops'], ['observer'])],
      modes: [],
    },
    { name: 'a rule for everybody', user: 'bob', roles: [joins(['*'], ['peer'])], modes: ['peer'] },
    { name: 'a rule without roles is for nobody', user: 'bob', roles: [joins([], ['peer'])], modes: [] },
    {
      name: 'rules of several roles add up',
      user: 'bob',
      roles: [joins(['db'], ['moderator']), joins(['dev'], ['peer'])],
      modes: ['peer', 'moderator'],
    },
    { name: 'a name is no pattern', user: 'bob', roles: [joins(['d*', 'De'], ['peer'])], modes: [] },
    {
      name: 'a rule does not make one moderate themselves',
      user: 'alice',
      roles: [joins(['*'], ['moderator'])],
      modes: ['peer', 'observer'],
    },
  ])('$name', ({ user, roles, modes }) => expect(joinModes({ user, roles }, owner)).toEqual(modes))

  test('an owner without roles is covered by no rule', () => {
    expect(joinModes({ user: 'bob', roles: [joins(['*'], ['peer'])] }, { user: 'alice', roles: [] })).toEqual([])
  })

  test.each([
    { name: 'no rule', roles: [role('plain')], can: false },
    { name: 'a rule', roles: [role('plain'), joins(['dev'], ['observer'])], can: true },
    { name: 'a rule for nobody', roles: [joins([], ['observer'])], can: false },
  ])('a proxy lets joiners through: $name', ({ roles, can }) => expect(canJoinOthers(roles)).toBe(can))
})

const requires = (name: string, ...list: Record<string, unknown>[]) => role(name, { require_session_join: list })
const auditor = { roles: ['auditor'], modes: ['moderator'] }
const party = (user: string, roles: string[], mode: PresentParty['mode'] = 'moderator'): PresentParty => ({
  user,
  roles,
  mode,
})

describe('who must be there', () => {
  test('roles that demand nothing', () => {
    expect(moderationOf({ user: 'alice', roles: [role('a'), role('b')] })).toBeUndefined()
  })

  const two = requires('two', { ...auditor, count: 2 })
  const either = requires('either', auditor, { roles: ['boss'], modes: ['observer', 'peer'] })
  test.each([
    {
      name: 'nobody is there',
      roles: [requires('r', auditor)],
      present: [],
      missing: '1 more of role "auditor" as moderator',
    },
    {
      name: 'the right one',
      roles: [requires('r', auditor)],
      present: [party('bob', ['auditor'])],
      missing: undefined,
    },
    {
      name: 'with another mode',
      roles: [requires('r', auditor)],
      present: [party('bob', ['auditor'], 'peer')],
      missing: '1 more of role "auditor" as moderator',
    },
    {
      name: 'with another role',
      roles: [requires('r', auditor)],
      present: [party('bob', ['x'])],
      missing: '1 more of role "auditor" as moderator',
    },
    {
      name: 'the owner, who has the role',
      roles: [requires('r', auditor)],
      present: [party('alice', ['auditor'])],
      missing: '1 more of role "auditor" as moderator',
    },
    {
      name: 'one person twice',
      roles: [two],
      present: [party('bob', ['auditor']), party('bob', ['auditor'])],
      missing: '1 more of role "auditor" as moderator',
    },
    {
      name: 'two people',
      roles: [two],
      present: [party('bob', ['auditor']), party('carol', ['auditor'])],
      missing: undefined,
    },
    { name: 'one of two ways', roles: [either], present: [party('eve', ['boss'], 'observer')], missing: undefined },
    {
      name: 'neither of two ways',
      roles: [either],
      present: [],
      missing: '1 more of role "auditor" as moderator, or 1 more of role "boss" as observer or peer',
    },
    {
      name: 'each role is met by itself',
      roles: [requires('r', auditor), requires('s', { roles: ['boss'], modes: ['observer'] })],
      present: [party('bob', ['auditor'])],
      missing: '1 more of role "boss" as observer',
    },
    {
      name: 'anybody will do',
      roles: [requires('r', { roles: ['*'], modes: ['peer'] })],
      present: [party('bob', ['x'], 'peer')],
      missing: undefined,
    },
  ])('$name', ({ roles, present, missing }) => {
    const moderation = moderationOf({ user: 'alice', roles })
    expect(moderation && whoIsMissing(moderation, present)).toBe(missing)
  })

  test.each([
    { name: 'the default ends the session', roles: [requires('r', auditor)], present: [], action: 'terminate' },
    {
      name: 'a pause where that is asked for',
      roles: [requires('r', { ...auditor, on_leave: 'pause' })],
      present: [],
      action: 'pause',
    },
    {
      name: 'the strictest of two',
      roles: [requires('r', { ...auditor, on_leave: 'pause' }), requires('s', auditor)],
      present: [],
      action: 'terminate',
    },
    {
      name: 'only of what is not met',
      roles: [requires('r', { ...auditor, on_leave: 'pause' }), requires('s', { roles: ['boss'], modes: ['peer'] })],
      present: [party('eve', ['boss'], 'peer')],
      action: 'pause',
    },
  ])('$name', ({ roles, present, action }) => {
    const moderation = moderationOf({ user: 'alice', roles })
    expect(moderation && whenMissing(moderation, present)).toBe(action)
  })
})
