/** Open sessions as nodes report them and as users see them. */

import { randomUUID } from 'node:crypto'
import { beforeEach, describe, expect, test } from 'vitest'
import { roleSchema } from '../access/schema.ts'
import type { Role } from '../access/types.ts'
import type { Caller } from '../api/caller.ts'
import type { ActiveSessionRecord } from '../api/session-model.ts'
import { AccessDenied, NotFound } from '../errors/errors.ts'
import { ActiveSessions } from './sessions.ts'
import { testServices } from './testing/services.ts'

const node = randomUUID()
const other = randomUUID()
const first = randomUUID()
const nodeCaller = (name: string): Caller => ({ role: 'Node', name, address: '127.0.0.1' })
const session = (more: Partial<ActiveSessionRecord> = {}): ActiveSessionRecord => ({
  sid: randomUUID(),
  user: 'alice',
  login: 'root',
  serverId: node,
  serverHostname: 'box',
  serverLabels: {},
  started: '2026-01-01T00:00:00.000Z',
  interactive: true,
  columns: 80,
  rows: 24,
  state: 'running',
  parties: [],
  lastActive: '2026-01-01T00:00:00.000Z',
  ...more,
})
const role = (name: string, allow: Record<string, unknown> = {}): Role =>
  roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name }, spec: { allow } })
const joins = role('joins', { join_sessions: [{ name: 'j', roles: ['dev'], modes: ['observer'] }] })

const userCaller = (user: string, roles: readonly Role[]): Caller => {
  const identity: unknown = { user, roles, roleNames: roles.map(({ metadata }) => metadata.name), traits: {} }
  return { role: 'User', name: user, address: '127.0.0.1', user: identity as NonNullable<Caller['user']> }
}
const admin: Caller = { role: 'Admin', name: 'admin', address: '127.0.0.1' }
const plain = role('plain')

describe('open sessions', () => {
  let sessions: ActiveSessions
  let env: Awaited<ReturnType<typeof testServices>>['env']
  const process = randomUUID()
  const page = { limit: 1000 }

  beforeEach(async () => {
    const bench = await testServices()
    env = bench.env
    const { snapshot } = bench.services.hub
    const record: unknown = { name: 'alice', roles: ['dev'] }
    const hub = { snapshot, user: (name: string) => (name === 'alice' ? record : undefined) }
    sessions = new ActiveSessions({ hub: hub as ConstructorParameters<typeof ActiveSessions>[0]['hub'], env })
  })

  test('each sees what they may join, and how; commands without a terminal are joined by nobody', () => {
    sessions.report(nodeCaller(node), process, [
      session({ sid: first }),
      session({ interactive: false, started: '2026-01-01T00:00:01.000Z' }),
    ])
    const modes = (caller: Caller) => sessions.list(caller, page).items.map((item) => item.modes)
    expect(modes(userCaller('alice', [plain]))).toEqual([['peer', 'observer'], []])
    expect(modes(userCaller('bob', [joins]))).toEqual([['observer'], []])
    expect(modes(userCaller('bob', [plain]))).toEqual([])
    expect(modes(admin)).toEqual([[], []])
    expect(sessions.get(userCaller('bob', [joins]), first)).toMatchObject({ sid: first, modes: ['observer'] })
    expect(() => sessions.get(userCaller('bob', [plain]), first)).toThrow(NotFound)
    expect(() => sessions.get(admin, randomUUID())).toThrow(NotFound)
  })

  test('a node tells of its own alone', () => {
    expect(() => sessions.report(nodeCaller(other), process, [session()])).toThrow(AccessDenied)
    sessions.report(nodeCaller(node), process, [session({ sid: first })])
    // Its joiners would come to the liar.
    expect(() => sessions.report(nodeCaller(other), process, [session({ sid: first, serverId: other })])).toThrow(
      AccessDenied,
    )
    expect(sessions.list(admin, page).items).toMatchObject([{ sid: first, serverId: node }])
  })

  test('a list replaces the one before, of the same process; silence ends it', async () => {
    const old = randomUUID()
    sessions.report(nodeCaller(node), process, [session(), session()])
    sessions.report(nodeCaller(node), old, [session()])
    sessions.report(nodeCaller(node), process, [session()])
    expect(sessions.list(admin, page).items).toHaveLength(2)
    await env.advance(60_000)
    sessions.report(nodeCaller(node), process, [session({ sid: first })])
    await env.advance(31_000)
    expect(sessions.list(admin, page).items).toMatchObject([{ sid: first }])
    sessions.report(nodeCaller(node), process, [])
    expect(sessions.list(admin, page).items).toEqual([])
  })

  test('a node without end of processes is refused', () => {
    for (let count = 0; count < 16; count++) sessions.report(nodeCaller(node), randomUUID(), [session()])
    expect(() => sessions.report(nodeCaller(node), randomUUID(), [session()])).toThrow('processes of this node')
  })

  test('long lists come in pages', () => {
    const many = Array.from({ length: 5 }, (_, at) => session({ started: `2026-01-01T00:00:0${at}.000Z` }))
    sessions.report(nodeCaller(node), process, many.toReversed())
    const one = sessions.list(admin, { limit: 3 })
    const two = sessions.list(admin, { limit: 3, after: one.next })
    expect([...one.items, ...two.items].map(({ sid }) => sid)).toEqual(many.map(({ sid }) => sid))
    expect(two.next).toBeUndefined()
    expect(() => sessions.list(admin, { limit: 3, after: '!' })).toThrow('cursor')
  })
})
