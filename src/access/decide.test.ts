import { describe, expect, test } from 'vitest'
import { authorizeLogin, authorizeReach, isAuthorized } from './authorize.ts'
import { allLogins, canSeeNode, decideLogin, loginsFor, permissions, sessionTtlSeconds } from './decide.ts'
import { presetRoles } from './presets.ts'
import { checkRule, type Verb } from './rules.ts'
import { roleSchema } from './schema.ts'
import type { Labels, Role, Traits } from './types.ts'

interface Spec {
  readonly allow?: unknown
  readonly deny?: unknown
  readonly options?: unknown
  readonly version?: 'v3' | 'v4'
}

const role = ({ version = 'v4', ...spec }: Spec, name = 'r'): Role =>
  roleSchema.parse({ kind: 'role', version, metadata: { name }, spec })

const alice = { logins: ['alice'], node_labels: { env: 'dev' } }
const own = (text: string): Labels => JSON.parse(text)

interface Row {
  readonly name: string
  readonly roles: readonly Spec[]
  readonly login?: string
  readonly labels?: Labels
  readonly traits?: Traits
  readonly allow: boolean
  readonly reason?: RegExp
}

const rows: readonly Row[] = [
  { name: 'no roles allow nothing', roles: [], allow: false, reason: /no roles/ },
  { name: 'a role that says nothing allows nothing', roles: [{}], allow: false },
  { name: 'login and label fit', roles: [{ allow: alice }], allow: true, reason: /role "r0" allows it/ },
  {
    name: 'another login is denied',
    roles: [{ allow: alice }],
    login: 'root',
    allow: false,
    reason: /no role allows the login "root"/,
  },
  {
    name: 'another label value is denied',
    roles: [{ allow: alice }],
    labels: { env: 'prod' },
    allow: false,
    reason: /nodes with these labels/,
  },
  { name: 'a missing label is denied', roles: [{ allow: alice }], labels: {}, allow: false },
  {
    name: 'further labels of the node do not matter',
    roles: [{ allow: alice }],
    labels: { env: 'dev', x: 'y' },
    allow: true,
  },
  { name: 'case counts in values', roles: [{ allow: alice }], labels: { env: 'DEV' }, allow: false },
  { name: 'case counts in names', roles: [{ allow: alice }], labels: { Env: 'dev' }, allow: false },
  { name: 'case counts in logins', roles: [{ allow: alice }], login: 'Alice', allow: false },
  {
    name: 'an empty selector matches nothing',
    roles: [{ allow: { logins: ['alice'], node_labels: {} } }],
    allow: false,
  },
  { name: 'an absent selector of v4 matches nothing', roles: [{ allow: { logins: ['alice'] } }], allow: false },
  {
    name: 'an absent selector of v3 matches everything',
    roles: [{ version: 'v3', allow: { logins: ['alice'] } }],
    allow: true,
  },
  {
    name: 'an absent selector of v3 matches a node without labels',
    roles: [{ version: 'v3', allow: { logins: ['alice'] } }],
    labels: {},
    allow: true,
  },
  {
    name: 'an empty selector of v3 matches nothing',
    roles: [{ version: 'v3', allow: { logins: ['alice'], node_labels: {} } }],
    allow: false,
  },
  { name: 'any label', roles: [{ allow: { logins: ['alice'], node_labels: { '*': '*' } } }], labels: {}, allow: true },
  {
    name: 'all selectors must fit',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: 'dev', team: 'a' } } }],
    allow: false,
  },
  {
    name: 'two selectors that fit',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: 'dev', team: 'a' } } }],
    labels: { env: 'dev', team: 'a' },
    allow: true,
  },
  {
    name: 'a list of values',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: ['stage', 'dev'] } } }],
    allow: true,
  },
  {
    name: 'an empty list of values matches nothing',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: [] } } }],
    allow: false,
  },
  {
    name: 'any value needs the label',
    roles: [{ allow: { logins: ['alice'], node_labels: { team: '*' } } }],
    allow: false,
  },
  { name: 'any value', roles: [{ allow: { logins: ['alice'], node_labels: { env: '*' } } }], allow: true },
  { name: 'a glob', roles: [{ allow: { logins: ['alice'], node_labels: { env: 'd*v' } } }], allow: true },
  {
    name: 'a glob with two stars',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: '*-eu-*' } } }],
    labels: { env: 'dev-eu-1' },
    allow: true,
  },
  {
    name: 'a glob is anchored',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: 'd*' } } }],
    labels: { env: 'xdev' },
    allow: false,
  },
  {
    name: 'a glob does not overlap itself',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: 'ab*ba' } } }],
    labels: { env: 'aba' },
    allow: false,
  },
  {
    name: 'dots in a literal are dots',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: 'd.v' } } }],
    allow: false,
  },
  {
    name: 'a regular expression',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: '^d(e|o)v$' } } }],
    allow: true,
  },
  {
    name: 'a regular expression that does not fit',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: '^p.*$' } } }],
    allow: false,
  },
  {
    name: 'half an anchor is a literal',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: '^dev' } } }],
    allow: false,
  },
  {
    name: 'a denied login wins',
    roles: [{ allow: alice }, { deny: { logins: ['alice'] } }],
    allow: false,
    reason: /role "r1" denies the login/,
  },
  {
    name: 'a denied login wins in the same role',
    roles: [{ allow: alice, deny: { logins: ['alice'] } }],
    allow: false,
  },
  { name: 'another denied login does not matter', roles: [{ allow: alice, deny: { logins: ['root'] } }], allow: true },
  { name: 'all logins denied', roles: [{ allow: alice, deny: { logins: ['*'] } }], allow: false },
  {
    name: 'a denied label wins',
    roles: [{ allow: alice, deny: { node_labels: { env: 'dev' } } }],
    allow: false,
    reason: /denies nodes/,
  },
  {
    name: 'another denied label does not matter',
    roles: [{ allow: alice, deny: { node_labels: { env: 'prod' } } }],
    allow: true,
  },
  { name: 'an empty deny selector denies nothing', roles: [{ allow: alice, deny: { node_labels: {} } }], allow: true },
  { name: 'any label denied', roles: [{ allow: alice, deny: { node_labels: { '*': '*' } } }], allow: false },
  {
    name: 'one role has the login, another the label: denied',
    roles: [{ allow: { logins: ['alice'] } }, { allow: { node_labels: { env: 'dev' } } }],
    allow: false,
  },
  { name: 'the second role allows', roles: [{}, { allow: alice }], allow: true, reason: /role "r1"/ },
  {
    name: 'a trait as login',
    roles: [{ allow: { ...alice, logins: ['{{internal.logins}}'] } }],
    traits: { logins: ['bob', 'alice'] },
    allow: true,
  },
  {
    name: 'an external trait as login',
    roles: [{ allow: { ...alice, logins: ['{{external.user}}'] } }],
    traits: { user: ['alice'] },
    allow: true,
  },
  {
    name: 'a bracketed trait',
    roles: [{ allow: { ...alice, logins: ['{{external["my-user"]}}'] } }],
    traits: { 'my-user': ['alice'] },
    allow: true,
  },
  {
    name: 'a trait with text around it',
    roles: [{ allow: { ...alice, logins: ['al{{external.x}}e'] } }],
    traits: { x: ['ic'] },
    allow: true,
  },
  {
    name: 'an unknown trait gives no login',
    roles: [{ allow: { ...alice, logins: ['{{external.none}}'] } }],
    allow: false,
  },
  {
    name: 'a trait of the prototype gives no login',
    roles: [{ allow: { ...alice, logins: ['{{external.constructor}}'] } }],
    allow: false,
  },
  {
    name: 'a star in a trait is no wildcard for logins',
    roles: [{ allow: { ...alice, logins: ['{{internal.logins}}'] } }],
    traits: { logins: ['*'] },
    allow: false,
  },
  {
    name: 'a comma in a trait does not make two logins',
    roles: [{ allow: { ...alice, logins: ['{{internal.logins}}'] } }],
    traits: { logins: ['bob,alice'] },
    allow: false,
  },
  {
    name: 'a trait as label value',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: '{{external.envs}}' } } }],
    traits: { envs: ['dev'] },
    allow: true,
  },
  {
    name: 'an unknown trait as label value matches nothing',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: '{{external.envs}}' } } }],
    labels: { env: '' },
    allow: false,
  },
  {
    name: 'a star in a trait is literal for labels',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: '{{external.envs}}' } } }],
    traits: { envs: ['*'] },
    allow: false,
  },
  {
    name: 'a regular expression in a trait is literal',
    roles: [{ allow: { logins: ['alice'], node_labels: { env: '{{external.envs}}' } } }],
    traits: { envs: ['^.*$'] },
    allow: false,
  },
  {
    name: 'a trait as label name',
    roles: [{ allow: { logins: ['alice'], node_labels: { '{{external.n}}': 'dev' } } }],
    traits: { n: ['env'] },
    allow: true,
  },
  {
    name: 'an unknown trait as label name matches nothing',
    roles: [{ allow: { logins: ['alice'], node_labels: { '{{external.n}}': '*' } } }],
    allow: false,
  },
  {
    name: 'a star in a trait as label name is literal',
    roles: [{ allow: { logins: ['alice'], node_labels: { '{{external.n}}': '*' } } }],
    traits: { n: ['*'] },
    allow: false,
  },
  {
    name: 'a trait denies',
    roles: [{ allow: alice, deny: { node_labels: { env: '{{external.no}}' } } }],
    traits: { no: ['dev'] },
    allow: false,
  },
  {
    name: 'an unknown trait denies nothing',
    roles: [{ allow: alice, deny: { node_labels: { env: '{{external.no}}' } } }],
    allow: true,
  },
  {
    name: 'the label __proto__ is not there by itself',
    roles: [{ allow: { logins: ['alice'], node_labels: own('{"__proto__":"*"}') } }],
    allow: false,
  },
  {
    name: 'the label __proto__ is a label',
    roles: [{ allow: { logins: ['alice'], node_labels: own('{"__proto__":"x"}') } }],
    labels: own('{"__proto__":"x"}'),
    allow: true,
  },
  {
    name: 'the label constructor is not there by itself',
    roles: [{ allow: { logins: ['alice'], node_labels: { constructor: '*' } } }],
    allow: false,
  },
  {
    name: 'the label toString is not there by itself',
    roles: [{ allow: alice, deny: { node_labels: { toString: '*' } } }],
    allow: true,
  },
  {
    name: 'a login like an option is denied',
    roles: [{ allow: { ...alice, logins: ['{{internal.logins}}'] } }],
    traits: { logins: ['-froot'] },
    login: '-froot',
    allow: false,
    reason: /not a valid login/,
  },
  { name: 'a login with a space is denied', roles: [{ allow: alice }], login: 'alice ', allow: false },
  {
    name: 'a login with a path is denied',
    roles: [{ allow: { ...alice, logins: ['{{internal.logins}}'] } }],
    traits: { logins: ['a/../root'] },
    login: 'a/../root',
    allow: false,
  },
  {
    name: 'a numeric login is denied',
    roles: [{ allow: { ...alice, logins: ['{{internal.logins}}'] } }],
    traits: { logins: ['0'] },
    login: '0',
    allow: false,
  },
  {
    name: 'a look-alike login is denied',
    roles: [{ allow: { ...alice, logins: ['{{internal.logins}}'] } }],
    traits: { logins: ['аlice'] },
    login: 'аlice',
    allow: false,
  },
]

test.each(rows)('$name', ({ roles, login = 'alice', labels = { env: 'dev' }, traits = {}, allow, reason }) => {
  const decision = decideLogin({
    roles: roles.map((spec, n) => role(spec, `r${n}`)),
    traits,
    login,
    nodeLabels: labels,
  })
  expect(decision).toMatchObject({ allow })
  if (reason !== undefined) expect(decision.reason).toMatch(reason)
})

test('a stored deny rule that cannot be read denies, an allow rule allows nothing', () => {
  const broken = { env: ['^(?=x)$'] }
  const good = role({ allow: alice })
  const denying: Role = { ...good, spec: { ...good.spec, deny: { ...good.spec.deny, node_labels: broken } } }
  const allowing: Role = { ...good, spec: { ...good.spec, allow: { ...good.spec.allow, node_labels: broken } } }
  const ask = { traits: {}, login: 'alice', nodeLabels: { env: 'dev' } }
  expect(decideLogin({ ...ask, roles: [good, denying] }).allow).toBe(false)
  expect(decideLogin({ ...ask, roles: [allowing] }).allow).toBe(false)
})

describe('logins', () => {
  const roles = [
    role({ allow: { logins: ['dev', '{{internal.logins}}'], node_labels: { env: 'dev' } } }, 'a'),
    role({ allow: { logins: ['ops'], node_labels: { env: 'prod' } }, deny: { logins: ['root'] } }, 'b'),
  ]
  const traits = { logins: ['alice', 'root', 'bad name'] }
  test('for a certificate: all allowed ones, sorted, without denied and malformed ones', () => {
    expect(allLogins({ roles, traits })).toEqual(['alice', 'dev', 'ops'])
    expect(allLogins({ roles: [...roles, role({ deny: { logins: ['*'] } })], traits })).toEqual([])
    expect(allLogins({ roles: [], traits })).toEqual([])
  })
  test('for a node: those that decideLogin allows', () => {
    expect(loginsFor({ roles, traits }, { env: 'dev' })).toEqual(['alice', 'dev'])
    expect(loginsFor({ roles, traits }, { env: 'prod' })).toEqual(['ops'])
    expect(loginsFor({ roles, traits }, {})).toEqual([])
    expect(canSeeNode({ roles, traits }, { env: 'prod' })).toBe(true)
    expect(canSeeNode({ roles, traits }, { env: 'test' })).toBe(false)
  })
})

describe('lifetime of a certificate', () => {
  const hours = (text: string) => role({ options: { max_session_ttl: text } })
  test.each([
    { name: 'the default', roles: [hours('30h')], asked: undefined, expected: 82_800 },
    { name: 'what was asked', roles: [hours('30h')], asked: 600, expected: 600 },
    { name: 'the smallest role', roles: [hours('8h'), hours('1h')], asked: undefined, expected: 3600 },
    { name: 'asked above the role', roles: [hours('8h')], asked: 90_000, expected: 28_800 },
    { name: 'never above 30 h', roles: [hours('100h')], asked: 1e9, expected: 108_000 },
    { name: 'no roles, never above 30 h', roles: [], asked: Number.POSITIVE_INFINITY, expected: 82_800 },
    { name: 'never below a minute', roles: [hours('1s')], asked: 1, expected: 60 },
    { name: 'negative', roles: [], asked: -5, expected: 60 },
    { name: 'not a number', roles: [], asked: Number.NaN, expected: 82_800 },
    { name: 'whole seconds', roles: [], asked: 100.9, expected: 100 },
  ])('$name', ({ roles, asked, expected }) => expect(sessionTtlSeconds(roles, asked, 82_800)).toBe(expected))
})

describe('permissions', () => {
  test.each([
    {
      name: 'no roles',
      roles: [],
      expected: { pty: false, portForwarding: false, agentForwarding: false, x11Forwarding: false },
    },
    {
      name: 'defaults',
      roles: [{}],
      expected: { pty: true, portForwarding: true, agentForwarding: false, x11Forwarding: false },
    },
    {
      name: 'off',
      roles: [{ options: { port_forwarding: false } }],
      expected: { pty: true, portForwarding: false, agentForwarding: false, x11Forwarding: false },
    },
    {
      name: 'one role that allows is enough',
      roles: [
        { options: { port_forwarding: 'no', forward_agent: 'yes' } },
        { options: { permit_x11_forwarding: true } },
      ],
      expected: { pty: true, portForwarding: true, agentForwarding: true, x11Forwarding: true },
    },
  ])('$name', ({ roles, expected }) => expect(permissions(roles.map((spec) => role(spec)))).toEqual(expected))
})

describe('rules for resources', () => {
  const reader = role({ allow: { rules: [{ resources: ['user', 'role'], verbs: ['list', 'read'] }] } }, 'reader')
  const shy = role({ allow: { rules: [{ resources: ['token'], verbs: ['readnosecrets'] }] } }, 'shy')
  const admin = role({ allow: { rules: [{ resources: ['*'], verbs: ['*'] }] } }, 'admin')
  const noTokens = role({ deny: { rules: [{ resources: ['token'], verbs: ['*'] }] } }, 'noTokens')
  const noRead = role({ deny: { rules: [{ resources: ['user'], verbs: ['readnosecrets'] }] } }, 'noRead')
  const table: readonly { roles: readonly Role[]; resource: string; verb: Verb; allow: boolean }[] = [
    { roles: [], resource: 'user', verb: 'read', allow: false },
    { roles: [reader], resource: 'user', verb: 'read', allow: true },
    { roles: [reader], resource: 'user', verb: 'readnosecrets', allow: true },
    { roles: [reader], resource: 'user', verb: 'create', allow: false },
    { roles: [reader], resource: 'User', verb: 'read', allow: false },
    { roles: [reader], resource: 'token', verb: 'read', allow: false },
    { roles: [shy], resource: 'token', verb: 'readnosecrets', allow: true },
    { roles: [shy], resource: 'token', verb: 'read', allow: false },
    { roles: [admin], resource: 'anything', verb: 'delete', allow: true },
    { roles: [admin, noTokens], resource: 'token', verb: 'create', allow: false },
    { roles: [admin, noTokens], resource: 'user', verb: 'create', allow: true },
    { roles: [admin, noRead], resource: 'user', verb: 'read', allow: false },
    {
      roles: presetRoles.filter((preset) => preset.metadata.name === 'editor'),
      resource: 'role',
      verb: 'create',
      allow: true,
    },
    {
      roles: presetRoles.filter((preset) => preset.metadata.name === 'editor'),
      resource: 'cert_authority',
      verb: 'read',
      allow: false,
    },
    {
      roles: presetRoles.filter((preset) => preset.metadata.name === 'auditor'),
      resource: 'event',
      verb: 'list',
      allow: true,
    },
    {
      roles: presetRoles.filter((preset) => preset.metadata.name === 'access'),
      resource: 'user',
      verb: 'list',
      allow: false,
    },
  ]
  test.each(table)('$resource $verb $allow', ({ roles, resource, verb, allow }) => {
    expect(checkRule({ user: 'al', roles, traits: {} }, { kind: resource, verb }).allow).toBe(allow)
  })
})

describe('proofs', () => {
  const ask = { roles: [role({ allow: alice })], traits: {}, user: 'al', node: 'n1', nodeLabels: { env: 'dev' } }
  test('an allowed login gives a proof that holds the target and the reason', () => {
    const proof = authorizeLogin({ ...ask, login: 'alice' }, 'n1')
    expect(proof.target).toBe('n1')
    expect(proof.decision).toMatchObject({ allow: true, role: 'r' })
    expect(isAuthorized(proof)).toBe(true)
    expect(isAuthorized({ target: 'n1', decision: proof.decision })).toBe(false)
  })
  test('a refused one names user, login and node', () => {
    expect(() => authorizeLogin({ ...ask, login: 'root' }, 'n1')).toThrow(
      'access denied: user "al" may not log in as "root" on node "n1": no role allows the login "root"',
    )
    expect(() => authorizeReach({ ...ask, nodeLabels: {} }, 'n1')).toThrow(/access denied: no role of user "al"/)
    expect(authorizeReach(ask, 'n1').target).toBe('n1')
  })
})
