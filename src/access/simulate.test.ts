import { expect, test } from 'vitest'
import { roleSchema } from './schema.ts'
import { type PastLogin, simulate } from './simulate.ts'
import type { Role } from './types.ts'

const role = (name: string, allow: object, deny: object = {}): readonly [string, Role] => [
  name,
  roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name }, spec: { allow, deny } }),
]
const dev = role('dev', { logins: ['dev'], node_labels: { env: 'dev' } })
const wide = role(
  'dev',
  { logins: ['dev', 'root'], node_labels: { env: ['dev', 'stage'] } },
  { node_labels: { env: 'old' } },
)
const ops = role('ops', { logins: ['ops'], node_labels: { env: 'old' } })
const nodes = ['dev', 'stage', 'old'].map((env) => ({ uuid: `id-${env}`, hostname: `n-${env}`, labels: { env } }))
const users = [
  { name: 'al', roles: ['dev', 'ops'], traits: {} },
  { name: 'bo', roles: ['ops'], traits: {} },
]
const past = (user: string, login: string, env: string, took: PastLogin['took'], then = env): PastLogin => ({
  time: '2026-11-01T00:00:00.000Z',
  user,
  login,
  serverId: `id-${env}`,
  hostname: `n-${env}`,
  ...(then === env ? {} : { labels: { env: then } }),
  took,
})

test('who gains, who loses, and which logins of the past would have gone the other way', () => {
  const logins = [
    past('al', 'ops', 'old', 'place'),
    past('al', 'dev', 'dev', 'place'),
    past('al', 'root', 'dev', 'no place'),
    past('al', 'root', 'old', 'no place'),
    // What the node was labelled then counts.
    past('al', 'ops', 'gone', 'place', 'old'),
    past('bo', 'ops', 'old', 'place'),
    past('zoe', 'ops', 'old', 'place'),
    past('al', 'dev', 'gone', 'place'),
  ]
  const result = simulate({ before: new Map([dev, ops]), after: new Map([wide, ops]), users, nodes, past: logins })
  expect(result.gained.map(({ user, login, node }) => `${user} ${login}@${node}`)).toEqual([
    'al root@n-dev',
    'al dev@n-stage',
    'al root@n-stage',
  ])
  expect(result.lost.map(({ user, login, node, reason }) => `${user} ${login}@${node}: ${reason}`)).toEqual([
    'al ops@n-old: role "dev" denies nodes with these labels',
  ])
  expect(result.refused.map(({ login, node }) => `${login}@${node}`)).toEqual(['ops@n-old', 'ops@n-gone'])
  expect(result.allowed.map(({ login, node }) => `${login}@${node}`)).toEqual(['root@n-dev'])
  expect([result.judged, result.unknown]).toEqual([6, 2])
})

test('a role that a user would get', () => {
  const result = simulate({
    before: new Map([dev, ops]),
    after: new Map([dev, ops]),
    users: [{ name: 'bo', roles: ['ops', 'dev'], traits: {} }],
    rolesNow: new Map([['bo', ['ops']]]),
    nodes,
    past: [],
  })
  expect(result.gained.map(({ user, login, node }) => `${user} ${login}@${node}`)).toEqual(['bo dev@n-dev'])
  expect(result.lost).toEqual([])
})
