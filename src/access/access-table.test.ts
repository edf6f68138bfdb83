/**
 * The table of who may do what: roles × user × node × login, roles × resource × verb, and what several roles come to together. Each row
 * has the reason that people read, so that a decision for another reason is a failure too.
 */

import { describe, expect, test } from 'vitest'
import {
  canSeeNode,
  decideHostUser,
  decideLogin,
  loginsFor,
  permissions,
  pinsSourceAddress,
  sessionTtlSeconds,
} from './decide.ts'
import { effectiveOptions, explainLogin } from './explain.ts'
import type { NamedResource, ResourceFacts } from './facts.ts'
import { presetRoles } from './presets.ts'
import { checkRule, type Verb } from './rules.ts'
import { roleSchema } from './schema.ts'
import { sessionOptions } from './session-options.ts'
import type { Labels, Role, Traits } from './types.ts'

const spec = (text: string): unknown => JSON.parse(text)
const make = (name: string, allow: unknown, deny: unknown = {}, version = 'v4', options: unknown = {}): Role =>
  roleSchema.parse({ kind: 'role', version, metadata: { name }, spec: { allow, deny, options } })

const any = { '*': '*' }
const roles: Readonly<Record<string, Role>> = Object.fromEntries(
  [
    make('dev', { logins: ['dev'], node_labels: { env: 'dev' } }),
    make('ops', { logins: ['root', 'ops'], node_labels: { env: ['stage', 'prod'] } }),
    make('own', { logins: ['{{internal.logins}}'], node_labels: any }),
    make('team', { logins: ['dev'], node_labels: { team: '{{external.team}}' } }),
    make('mine', { logins: ['svc-{{external.team}}'], node_labels: { 'team-{{external.team}}': '*' } }),
    make('us', { logins: ['dev'], node_labels: { region: '^us-(east|west)-[0-9]+$' } }),
    make('glob', { logins: ['dev'], node_labels: { host: 'web-*-eu' } }),
    make('both', { logins: ['dev'], node_labels: { env: 'dev', team: 'db' } }),
    make('slow', { logins: ['dev'], node_labels: { env: '^(a+)+$' } }),
    make('empty', { logins: ['dev'], node_labels: {} }),
    make('none', { logins: ['dev'], node_labels: { env: [] } }),
    make('absent', { logins: ['dev'] }),
    make('old', { logins: ['dev'] }, {}, 'v3'),
    make('old-empty', { logins: ['dev'], node_labels: {} }, {}, 'v3'),
    make('nologin', { node_labels: any }),
    make('proto', spec('{"logins":["dev"],"node_labels":{"__proto__":"x"}}')),
    make('ctor', spec('{"logins":["constructor"],"node_labels":{"constructor":"x"}}')),
    make('no-root', {}, { logins: ['root'] }),
    make('nobody', {}, { logins: ['*'] }),
    make('no-prod', {}, { node_labels: { env: 'prod' } }),
    make('nowhere', {}, { node_labels: any }),
    make('no-team', {}, { node_labels: { team: '{{external.team}}' } }),
    make('no-own', {}, { logins: ['{{internal.logins}}'] }),
    make('no-regex', {}, { node_labels: { env: '^p.*$' } }),
    make('deny-empty', {}, { node_labels: {} }),
    make('deny-proto', {}, spec('{"node_labels":{"__proto__":"x"}}')),
    make('self-deny', { logins: ['dev'], node_labels: any }, { logins: ['dev'] }),
  ].map((role) => [role.metadata.name, role]),
)
const named = (names: string): readonly Role[] =>
  names === '' ? [] : names.split('+').map((name) => roles[name] ?? expect.fail(`no role ${name}`))

const people: Readonly<Record<string, Traits>> = {
  al: { logins: ['al', 'root'], team: ['db', 'web'] },
  // What an identity provider might send to widen a role.
  eve: { logins: ['*', '^.*$', '-froot', 'a b', 'root;id', '../root', ''], team: ['*', '^.*$', '{{internal.logins}}'] },
  nil: {},
  odd: spec('{"__proto__":["db"],"logins":["__proto__","constructor"],"team":["__proto__"]}') as Traits,
}

/** `env=dev,team=db` as the labels of a node. */
const labelsOf = (text: string): Labels =>
  text === ''
    ? {}
    : (Object.assign(
        Object.create(null),
        Object.fromEntries(text.split(',').map((pair) => pair.split('=') as [string, string])),
        text.startsWith('__proto__=') ? JSON.parse(`{"${text.replace('=', '":"')}"}`) : {},
      ) as Labels)

const yes = (role: string, condition: string) => ({ allow: true, role, condition })
const no = (reason: string) => ({ allow: false, reason })
const noLogin = (login: string) => no(`no role allows the login "${login}"`)
const noNode = no('no role allows that login on nodes with these labels')
const deniesLogin = (role: string, login: string) => no(`role "${role}" denies the login "${login}"`)
const deniesNode = (role: string) => no(`role "${role}" denies nodes with these labels`)
const invalid = (login: string) => no(`${JSON.stringify(login)} is not a valid login`)

type Expected = ReturnType<typeof yes> | ReturnType<typeof no>
/** Roles, user, login, labels of the node. */
const logins: readonly (readonly [string, string, string, string, Expected])[] = [
  ['', 'al', 'dev', 'env=dev', no('the user has no roles')],
  ['dev', 'al', 'dev', 'env=dev', yes('dev', 'allow.node_labels env=dev')],
  ['dev', 'al', 'dev', 'env=dev,x=y', yes('dev', 'allow.logins dev')],
  ['dev', 'al', 'root', 'env=dev', noLogin('root')],
  ['dev', 'al', 'dev', 'env=prod', noNode],
  ['dev', 'al', 'dev', 'env=DEV', noNode],
  ['dev', 'al', 'dev', 'ENV=dev', noNode],
  ['dev', 'al', 'dev', 'env=dev ', noNode],
  ['dev', 'al', 'dev', 'env=', noNode],
  ['dev', 'al', 'dev', '', noNode],
  ['dev', 'al', 'Dev', 'env=dev', noLogin('Dev')],
  ['dev', 'al', 'de', 'env=dev', noLogin('de')],
  ['dev', 'al', '', 'env=dev', invalid('')],
  ['dev', 'al', '-froot', 'env=dev', invalid('-froot')],
  ['dev', 'al', 'dev\n', 'env=dev', no('is not a valid login')],
  ['dev', 'al', '0', 'env=dev', invalid('0')],
  ['dev', 'al', 'a/../root', 'env=dev', invalid('a/../root')],
  ['dev', 'al', '*', 'env=dev', invalid('*')],
  ['dev', 'al', 'dеv', 'env=dev', invalid('dеv')],
  ['ops', 'al', 'root', 'env=prod', yes('ops', 'allow.node_labels env=stage|prod')],
  ['ops', 'al', 'ops', 'env=stage', yes('ops', 'allow.logins ops')],
  ['ops', 'al', 'root', 'env=dev', noNode],
  // Allows do not mix: a login of one role does not go with the nodes of another.
  ['dev+ops', 'al', 'root', 'env=dev', noNode],
  ['dev+ops', 'al', 'dev', 'env=prod', noNode],
  ['dev+ops', 'al', 'dev', 'env=dev', yes('dev', 'allow.logins dev')],
  ['dev+ops', 'al', 'root', 'env=prod', yes('ops', 'allow.logins root')],
  // The first role that allows it is the one that is named.
  ['dev+old', 'al', 'dev', 'env=dev', yes('dev', 'allow.node_labels env=dev')],
  ['old+dev', 'al', 'dev', 'env=dev', yes('old', 'allow.node_labels *=*')],
  ['own', 'al', 'al', 'env=prod', yes('own', 'allow.logins {{internal.logins}}')],
  ['own', 'al', 'root', '', yes('own', 'allow.node_labels *=*')],
  ['own', 'al', 'dev', '', noLogin('dev')],
  ['own', 'nil', 'al', '', noLogin('al')],
  // Hostile trait values are literal, and what is no login is nobody's.
  ['own', 'eve', 'root', '', noLogin('root')],
  ['own', 'eve', '*', '', invalid('*')],
  ['own', 'eve', '-froot', '', invalid('-froot')],
  ['own', 'eve', 'root;id', '', invalid('root;id')],
  ['own', 'eve', 'a', '', noLogin('a')],
  ['own', 'odd', '__proto__', '', yes('own', 'allow.logins {{internal.logins}}')],
  ['own', 'odd', 'constructor', '', yes('own', 'allow.logins {{internal.logins}}')],
  ['own', 'odd', 'toString', '', noLogin('toString')],
  ['team', 'al', 'dev', 'team=db', yes('team', 'allow.node_labels team={{external.team}}')],
  ['team', 'al', 'dev', 'team=web', yes('team', 'allow.logins dev')],
  ['team', 'al', 'dev', 'team=ops', noNode],
  ['team', 'nil', 'dev', 'team=db', noNode],
  ['team', 'nil', 'dev', 'team=', noNode],
  ['team', 'eve', 'dev', 'team=db', noNode],
  ['team', 'eve', 'dev', 'team=*', yes('team', 'allow.logins dev')],
  ['team', 'eve', 'dev', 'team=^.*$', yes('team', 'allow.logins dev')],
  ['team', 'odd', 'dev', 'team=db', noNode],
  ['mine', 'al', 'svc-db', 'team-db=x', yes('mine', 'allow.logins svc-{{external.team}}')],
  ['mine', 'al', 'svc-web', 'team-db=x', yes('mine', 'allow.node_labels team-{{external.team}}=*')],
  // Of several names, the first counts, as in the original.
  ['mine', 'al', 'svc-web', 'team-web=x', noNode],
  ['mine', 'nil', 'svc-', 'team-=x', noLogin('svc-')],
  ['us', 'al', 'dev', 'region=us-east-1', yes('us', 'allow.node_labels region=^us-(east|west)-[0-9]+$')],
  ['us', 'al', 'dev', 'region=us-west-22', yes('us', 'allow.logins dev')],
  ['us', 'al', 'dev', 'region=us-east-', noNode],
  ['us', 'al', 'dev', 'region=xus-east-1', noNode],
  ['us', 'al', 'dev', 'region=us-east-1\n', noNode],
  ['us', 'al', 'dev', 'region=us-north-1', noNode],
  ['glob', 'al', 'dev', 'host=web-1-eu', yes('glob', 'allow.node_labels host=web-*-eu')],
  ['glob', 'al', 'dev', 'host=web--eu', yes('glob', 'allow.logins dev')],
  ['glob', 'al', 'dev', 'host=web-eu', noNode],
  ['glob', 'al', 'dev', 'host=web-1-eu.x', noNode],
  ['glob', 'al', 'dev', 'host=xweb-1-eu', noNode],
  ['both', 'al', 'dev', 'env=dev,team=db', yes('both', 'allow.node_labels env=dev, team=db')],
  ['both', 'al', 'dev', 'env=dev', noNode],
  ['both', 'al', 'dev', 'team=db', noNode],
  ['both', 'al', 'dev', 'env=dev,team=web', noNode],
  ['slow', 'al', 'dev', 'env=aaaa', yes('slow', 'allow.logins dev')],
  ['slow', 'al', 'dev', `env=${'a'.repeat(1000)}b`, noNode],
  ['empty', 'al', 'dev', 'env=dev', noNode],
  ['empty', 'al', 'dev', '', noNode],
  ['none', 'al', 'dev', 'env=dev', noNode],
  ['none', 'al', 'dev', 'env=', noNode],
  ['absent', 'al', 'dev', 'env=dev', noNode],
  ['absent', 'al', 'dev', '', noNode],
  ['old', 'al', 'dev', '', yes('old', 'allow.node_labels *=*')],
  ['old', 'al', 'dev', 'env=prod', yes('old', 'allow.logins dev')],
  ['old-empty', 'al', 'dev', 'env=dev', noNode],
  ['nologin', 'al', 'dev', 'env=dev', noLogin('dev')],
  ['proto', 'al', 'dev', '', noNode],
  ['proto', 'al', 'dev', 'env=dev', noNode],
  ['proto', 'al', 'dev', '__proto__=x', yes('proto', 'allow.node_labels __proto__=x')],
  ['proto', 'al', 'dev', '__proto__=y', noNode],
  ['ctor', 'al', 'constructor', '', noNode],
  ['ctor', 'al', 'constructor', 'constructor=x', yes('ctor', 'allow.logins constructor')],
  ['ctor', 'al', 'dev', 'constructor=x', noLogin('dev')],
  // A deny of any role wins, wherever it stands.
  ['ops+no-root', 'al', 'root', 'env=prod', deniesLogin('no-root', 'root')],
  ['no-root+ops', 'al', 'root', 'env=prod', deniesLogin('no-root', 'root')],
  ['ops+no-root', 'al', 'ops', 'env=prod', yes('ops', 'allow.logins ops')],
  ['own+no-root', 'al', 'root', '', deniesLogin('no-root', 'root')],
  ['own+no-root', 'al', 'al', '', yes('own', 'allow.node_labels *=*')],
  ['own+nobody', 'al', 'al', '', deniesLogin('nobody', 'al')],
  ['own+nobody', 'al', 'root', 'env=dev', deniesLogin('nobody', 'root')],
  ['ops+no-prod', 'al', 'root', 'env=prod', deniesNode('no-prod')],
  ['ops+no-prod', 'al', 'root', 'env=stage', yes('ops', 'allow.logins root')],
  // A denied login is denied on every node, a denied node for every login.
  ['own+no-prod', 'al', 'al', 'env=prod', deniesNode('no-prod')],
  ['own+no-prod', 'al', 'al', 'env=prod,team=db', deniesNode('no-prod')],
  ['own+no-prod', 'al', 'al', '', yes('own', 'allow.node_labels *=*')],
  ['own+nowhere', 'al', 'al', '', deniesNode('nowhere')],
  ['own+no-team', 'al', 'al', 'team=db', deniesNode('no-team')],
  ['own+no-team', 'al', 'al', 'team=web', deniesNode('no-team')],
  ['own+no-team', 'al', 'al', 'team=ops', yes('own', 'allow.node_labels *=*')],
  ['own+no-team', 'nil', 'al', 'team=db', noLogin('al')],
  ['own+no-own', 'al', 'al', '', deniesLogin('no-own', 'al')],
  ['own+dev+no-own', 'al', 'dev', 'env=dev', yes('dev', 'allow.logins dev')],
  ['own+no-regex', 'al', 'al', 'env=prod', deniesNode('no-regex')],
  ['own+no-regex', 'al', 'al', 'env=dev', yes('own', 'allow.node_labels *=*')],
  ['own+deny-empty', 'al', 'al', 'env=dev', yes('own', 'allow.node_labels *=*')],
  ['own+deny-empty', 'al', 'al', '', yes('own', 'allow.node_labels *=*')],
  ['own+deny-proto', 'al', 'al', '', yes('own', 'allow.node_labels *=*')],
  ['own+deny-proto', 'al', 'al', '__proto__=x', deniesNode('deny-proto')],
  ['self-deny', 'al', 'dev', '', deniesLogin('self-deny', 'dev')],
  ['no-root', 'al', 'dev', '', noLogin('dev')],
]

describe('roles × user × node × login', () => {
  test.each(logins)('%s, %s as %j on [%s]', (names, person, login, labels, expected) => {
    const traits = people[person] ?? {}
    const ask = { roles: named(names), traits, login, nodeLabels: labelsOf(labels) }
    const decision = decideLogin(ask)
    expect(decision.allow).toBe(expected.allow)
    if ('reason' in expected) expect(decision.reason).toContain(expected.reason)
    else {
      expect(decision).toMatchObject({ role: expected.role, reason: `role "${expected.role}" allows it` })
      expect(decision.conditions).toContain(expected.condition)
    }
    // Every way to ask gives the same answer.
    const allowedThere = loginsFor(ask, ask.nodeLabels)
    expect(allowedThere.includes(login)).toBe(expected.allow)
    expect(canSeeNode(ask, ask.nodeLabels)).toBe(allowedThere.length > 0)
    const explained = explainLogin(ask, { clientIdleTimeout: 0, disconnectExpiredCert: false }, 3600)
    expect(explained.allow).toBe(expected.allow)
    const effects = explained.roles.map(({ effect }) => effect)
    if (expected.allow) expect(effects).not.toContain('denies')
    if (decision.role !== undefined && !decision.allow) expect(effects).toContain('denies')
  })
})

const where = (text: string, verbs: readonly string[] = ['*'], resources: readonly string[] = ['role']) => ({
  rules: [{ resources, verbs, where: text }],
})
const rules = (resources: readonly string[], verbs: readonly string[]) => ({ rules: [{ resources, verbs }] })
const isDev = 'equals(resource.metadata.labels["env"], "dev")'
const ruleRoles: Readonly<Record<string, Role>> = Object.fromEntries(
  [
    ...presetRoles,
    make('all', rules(['*'], ['*'])),
    make('readers', rules(['user', 'role'], ['list', 'read'])),
    make('nosecrets', rules(['user'], ['readnosecrets'])),
    make('nothing', rules(['user'], [])),
    make('nokind', rules([], ['*'])),
    make('no-users', {}, rules(['user'], ['*'])),
    make('no-delete', {}, rules(['*'], ['delete'])),
    make('no-nosecrets', {}, rules(['user'], ['readnosecrets'])),
    make('dev-only', where(isDev)),
    make('not-dev', where(`!${isDev}`)),
    make('by-name', where('equals(resource.metadata.name, "dev")')),
    make('by-user', where('contains(user.spec.traits["team"], "db")')),
    make('mixed', where(`${isDev} || contains(user.spec.traits["team"], "sre")`)),
    make('deny-prod', {}, where('equals(resource.metadata.labels["env"], "prod")')),
    make('deny-db', {}, where('contains(user.spec.traits["team"], "db")')),
    make('own-recordings', where('contains(session.participants, user.metadata.name)', ['list', 'read'], ['session'])),
    make('db-recordings', where('equals(session.server_labels["team"], "db")', ['read'], ['session'])),
    make('host-ca', where('equals(system.catype(), "host")', ['read'], ['cert_authority'])),
    make('own-teams', where('contains(resource.spec.traits["team"], "db")', ['update'], ['user'])),
    make('not-editors', where('!contains(resource.spec.roles, "editor")', ['update'], ['user'])),
  ].map((role) => [role.metadata.name, role]),
)
const dev: ResourceFacts = { name: 'dev', labels: { env: 'dev' } }
const prod: ResourceFacts = { name: 'prod', labels: { env: 'prod' } }
const bare: ResourceFacts = { name: 'bare' }
const unread: NamedResource = { name: 'dev', unread: true }
const recording = (participants: readonly string[], serverLabels: Labels = {}): ResourceFacts => ({
  name: 's1',
  session: { user: 'bo', login: 'root', participants, serverId: 'n', serverHostname: 'n', serverLabels },
})
const denies = (role: string, verb: string, what: string) => `role "${role}" denies to ${verb} ${what}`
const nobody = (verb: string, what: string) => `no role allows to ${verb} ${what}`

/** Roles, verb, kind, resource if any; what is said. `true`: allowed. */
const ruleRows: readonly (readonly [string, Verb, string, ResourceFacts | NamedResource | undefined, true | string])[] =
  [
    ['', 'list', 'user', undefined, nobody('list', 'user')],
    ['all', 'delete', 'user', bare, true],
    ['all', 'rotate', 'cert_authority', undefined, true],
    ['readers', 'list', 'user', undefined, true],
    ['readers', 'read', 'role', dev, true],
    ['readers', 'readnosecrets', 'role', dev, true],
    ['readers', 'update', 'role', dev, nobody('update', 'role')],
    ['readers', 'create', 'user', bare, nobody('create', 'user')],
    ['readers', 'list', 'token', undefined, nobody('list', 'token')],
    ['readers', 'list', 'User', undefined, nobody('list', 'User')],
    ['nosecrets', 'readnosecrets', 'user', bare, true],
    ['nosecrets', 'read', 'user', bare, nobody('read', 'user')],
    ['nothing', 'read', 'user', bare, nobody('read', 'user')],
    ['nokind', 'read', 'user', bare, nobody('read', 'user')],
    ['all+no-users', 'list', 'user', undefined, denies('no-users', 'list', 'user')],
    ['no-users+all', 'delete', 'user', bare, denies('no-users', 'delete', 'user "bare"')],
    ['all+no-users', 'list', 'role', undefined, true],
    ['all+no-delete', 'delete', 'token', bare, denies('no-delete', 'delete', 'token "bare"')],
    ['all+no-delete', 'update', 'token', bare, true],
    ['all+no-nosecrets', 'read', 'user', bare, denies('no-nosecrets', 'read', 'user "bare"')],
    ['all+no-nosecrets', 'list', 'user', undefined, true],
    ['editor', 'update', 'role', dev, true],
    ['editor', 'list', 'auth_server', undefined, true],
    ['editor', 'list', 'proxy', undefined, true],
    ['editor', 'delete', 'proxy', undefined, nobody('delete', 'proxy')],
    ['editor', 'read', 'cert_authority', undefined, nobody('read', 'cert_authority')],
    ['editor', 'read', 'session', recording([]), nobody('read', 'session')],
    ['auditor', 'read', 'session', recording([]), true],
    ['auditor', 'list', 'event', undefined, true],
    ['auditor', 'delete', 'session', recording([]), nobody('delete', 'session')],
    ['access', 'list', 'user', undefined, nobody('list', 'user')],
    ['dev-only', 'read', 'role', dev, true],
    ['dev-only', 'read', 'role', prod, `${nobody('read', 'role')} "prod" (there are conditions)`],
    ['dev-only', 'read', 'role', bare, nobody('read', 'role')],
    ['dev-only', 'read', 'user', dev, nobody('read', 'user')],
    // What was not read is not granted, in the same words as what is excluded.
    ['dev-only', 'read', 'role', unread, `${nobody('read', 'role')} "dev" (there are conditions)`],
    ['dev-only', 'list', 'role', undefined, nobody('list', 'role')],
    ['not-dev', 'read', 'role', dev, nobody('read', 'role')],
    ['not-dev', 'read', 'role', prod, true],
    ['not-dev', 'read', 'role', unread, nobody('read', 'role')],
    ['by-name', 'update', 'role', dev, true],
    ['by-name', 'update', 'role', unread, true],
    ['by-name', 'update', 'role', prod, nobody('update', 'role')],
    ['by-user', 'list', 'role', undefined, true],
    ['by-user', 'read', 'role', prod, true],
    ['mixed', 'read', 'role', dev, true],
    ['mixed', 'read', 'role', prod, nobody('read', 'role')],
    ['all+deny-prod', 'read', 'role', prod, denies('deny-prod', 'read', 'role "prod"')],
    ['all+deny-prod', 'read', 'role', dev, true],
    ['all+deny-prod', 'read', 'role', unread, denies('deny-prod', 'read', 'role "dev"')],
    ['all+deny-prod', 'list', 'role', undefined, denies('deny-prod', 'list', 'role')],
    ['all+deny-db', 'read', 'role', dev, denies('deny-db', 'read', 'role "dev"')],
    ['all+deny-db', 'read', 'user', dev, true],
    ['dev-only+all', 'read', 'role', prod, true],
    ['own-recordings', 'read', 'session', recording(['al', 'bo']), true],
    ['own-recordings', 'read', 'session', recording(['bo']), nobody('read', 'session')],
    ['own-recordings', 'read', 'session', recording([]), nobody('read', 'session')],
    ['db-recordings', 'read', 'session', recording([], { team: 'db' }), true],
    ['db-recordings', 'read', 'session', recording([]), nobody('read', 'session')],
    ['db-recordings', 'list', 'session', recording([], { team: 'db' }), nobody('list', 'session')],
    ['host-ca', 'read', 'cert_authority', { name: 'c', authority: 'host' }, true],
    ['host-ca', 'read', 'cert_authority', { name: 'c', authority: 'user' }, nobody('read', 'cert_authority')],
    ['own-teams', 'update', 'user', { name: 'bo', traits: { team: ['db'] } }, true],
    ['own-teams', 'update', 'user', { name: 'bo', traits: { team: ['web'] } }, nobody('update', 'user')],
    [
      'own-teams',
      'update',
      'user',
      { name: 'bo', traits: spec('{"__proto__":["db"]}') as Traits },
      nobody('update', 'user'),
    ],
    ['not-editors', 'update', 'user', { name: 'bo', roles: ['access'] }, true],
    ['not-editors', 'update', 'user', { name: 'bo', roles: ['access', 'editor'] }, nobody('update', 'user')],
  ]

describe('roles × verb × resource', () => {
  test.each(ruleRows)('%s may %s %s %j: %s', (names, verb, kind, resource, said) => {
    const held = names === '' ? [] : names.split('+').map((name) => ruleRoles[name] ?? expect.fail(`no role ${name}`))
    const subject = { user: 'al', roles: held, traits: people.al ?? {} }
    const ask = { kind, verb, ...(resource === undefined ? {} : { resource }) }
    const decision = checkRule(subject, ask)
    expect(decision.allow).toBe(said === true)
    if (said === true) expect(decision.conditions?.[0]).toContain('allow.rules ')
    else expect(decision.reason).toContain(said)
    // "Perhaps" may let in more than the strict question, never less.
    if (decision.allow) expect(checkRule(subject, { ...ask, perhaps: true }).allow).toBe(true)
  })

  test.each([
    ['dev-only', true],
    ['by-user', true],
    ['own-teams', false],
    ['all+deny-prod', true],
    ['all+deny-db', false],
    ['all+no-delete', true],
  ])('before the resource is read, %s perhaps: %s', (names, allow) => {
    const held = names.split('+').map((name) => ruleRoles[name] ?? expect.fail(name))
    const subject = { user: 'al', roles: held, traits: people.al ?? {} }
    expect(checkRule(subject, { kind: 'role', verb: 'update', perhaps: true }).allow).toBe(allow)
  })
})

const cluster = { clientIdleTimeout: 0, disconnectExpiredCert: false }
const merge = (...options: readonly object[]) => {
  const held = options.map((option, index) => make(`r${index}`, {}, {}, 'v4', option))
  return {
    ...sessionOptions(held, cluster),
    ...permissions(held),
    ttl: sessionTtlSeconds(held, undefined, 23 * 3600),
    pin: pinsSourceAddress(held),
    ...(({ requireSessionMfa, forwardTo, lock }) => ({ requireSessionMfa, forwardTo, lock }))(
      effectiveOptions(held, cluster, 3600),
    ),
  }
}

describe('several roles together', () => {
  test.each([
    ['the shortest life counts', [{ max_session_ttl: '8h' }, { max_session_ttl: '2h' }], { ttl: 7200 }],
    ['a life of 0 is the default', [{ max_session_ttl: '0' }, {}], { ttl: 23 * 3600 }],
    ['no life is below a minute', [{ max_session_ttl: '1s' }], { ttl: 60 }],
    ['no life is above 30 hours', [{ max_session_ttl: '300h' }], { ttl: 23 * 3600 }],
    [
      'one role that allows agent forwarding is enough',
      [{ forward_agent: true }, { forward_agent: false }],
      { agentForwarding: true },
    ],
    ['no role allows agent forwarding by itself', [{}, {}], { agentForwarding: false }],
    ['port forwarding is allowed unless said otherwise', [{}], { portForwarding: true }],
    ['one role that allows port forwarding is enough', [{ port_forwarding: false }, {}], { portForwarding: true }],
    [
      'port forwarding is off when every role says so',
      [{ port_forwarding: false }, { port_forwarding: false }],
      { portForwarding: false },
    ],
    ['one role that allows X11 is enough', [{ permit_x11_forwarding: true }, {}], { x11Forwarding: true }],
    ['no role allows X11 by itself', [{}], { x11Forwarding: false }],
    [
      'targets of all roles count once one has some',
      [{ forward_to: ['a:1'] }, {}, { forward_to: ['b:2'] }],
      { forwardTo: ['a:1', 'b:2'] },
    ],
    ['without targets any is allowed', [{}, { forward_to: [] }], { forwardTo: undefined }],
    [
      'the shortest idle time counts',
      [{ client_idle_timeout: '10m' }, { client_idle_timeout: '5m' }],
      { idleTimeoutMs: 300_000 },
    ],
    [
      'an idle time of 0 is none, and does not win',
      [{ client_idle_timeout: '0' }, { client_idle_timeout: '5m' }],
      { idleTimeoutMs: 300_000 },
    ],
    ['no idle time at all', [{}, {}], { idleTimeoutMs: 0 }],
    [
      'one role that ends expired connections is enough',
      [{ disconnect_expired_cert: true }, {}],
      { disconnectExpiredCert: true },
    ],
    ['the fewest connections count', [{ max_connections: 5 }, { max_connections: 3 }], { maxConnections: 3 }],
    [
      '0 connections is any number, and does not win',
      [{ max_connections: 0 }, { max_connections: 3 }],
      { maxConnections: 3 },
    ],
    ['the fewest sessions count', [{ max_sessions: 2 }, { max_sessions: 7 }, {}], { maxSessions: 2 }],
    [
      'one role that forbids copying files is enough',
      [{ ssh_file_copy: false }, { ssh_file_copy: true }],
      { fileCopy: false },
    ],
    [
      'one role that records strictly is enough',
      [{ record_session: { default: 'strict' } }, {}],
      { recordStrict: true },
    ],
    [
      'strict for SSH is strict',
      [{ record_session: { ssh: 'strict', default: 'best_effort' } }],
      { recordStrict: true },
    ],
    [
      'one role that keeps the output of commands is enough',
      [{ record_session: { exec_output: true } }, {}],
      { recordExecOutput: true },
    ],
    [
      'one role that binds certificates to an address is enough',
      [{ pin_source_ip: true }, { pin_source_ip: false }],
      { pin: true },
    ],
    ['nothing is bound to an address by itself', [{}, {}], { pin: false }],
    ['no role asks for a second factor by itself', [{}], { requireSessionMfa: false }],
    ['locks are best effort unless said otherwise', [{}, {}], { lock: 'best_effort' }],
    ['no roles allow nothing', [], { pty: false, portForwarding: false, agentForwarding: false, x11Forwarding: false }],
  ] as const)('%s', (_name, options, expected) => {
    expect(merge(...options)).toMatchObject(expected)
  })

  test.each([
    ['the cluster is among them', { clientIdleTimeout: 60, disconnectExpiredCert: true }, '5m', 60_000, true],
    ['the role is among them', { clientIdleTimeout: 600, disconnectExpiredCert: false }, '5m', 300_000, false],
  ] as const)(
    'for idle time and expired certificates, %s',
    (_name, own, timeout, idleTimeoutMs, disconnectExpiredCert) => {
      const held = [make('r', {}, {}, 'v4', { client_idle_timeout: timeout })]
      expect(sessionOptions(held, own)).toMatchObject({ idleTimeoutMs, disconnectExpiredCert })
    },
  )
})

test.each([
  { name: 'a role that allows it and says so', env: 'dev', options: { create_host_user: true }, more: [], allow: true },
  { name: 'a role that does not say so', env: 'dev', options: {}, more: [], allow: false },
  {
    name: 'a role that says so for other nodes only',
    env: 'prod',
    options: { create_host_user: true },
    more: ['own', 'old'],
    allow: false,
  },
  { name: 'a denied login', env: 'dev', options: { create_host_user: true }, more: ['nobody'], allow: false },
])('accounts are made by $name: $allow', ({ env, options, more, allow }) => {
  const maker = make('maker', { logins: ['dev'], node_labels: { env: 'dev' } }, {}, 'v4', options)
  const ask = { roles: [maker, ...named(more.join('+'))], traits: people.al ?? {}, login: 'dev', nodeLabels: { env } }
  expect(decideHostUser(ask).allow).toBe(allow)
})

test('the table is as long as it has to be', () => {
  expect(logins.length + ruleRows.length).toBeGreaterThan(150)
})
