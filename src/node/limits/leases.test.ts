/** What happens between a node and auth while connections with a limit come and go. */

import { describe, expect, test } from 'vitest'
import { roleSchema } from '../../access/schema.ts'
import type { Lease } from '../../api/lease-routes.ts'
import { fakeEnv } from '../../common/fake-env.ts'
import { silentLogger } from '../../common/log.ts'
import { ConnectionProblem } from '../../errors/errors.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import { ConnectionLeases, type LeaseApi } from './leases.ts'
import type { Rejections } from './rejections.ts'

const role = (max_connections: number) =>
  roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name: 'r' }, spec: { options: { max_connections } } })

function bench(api: Partial<LeaseApi>, limit = 2) {
  const env = fakeEnv()
  const calls: string[] = []
  const told: string[] = []
  const all: LeaseApi = {
    acquire: async ({ id }) => void calls.push(`acquire ${id}`),
    renew: async (leases) => void calls.push(`renew ${leases.map(({ id }) => id).join(' ')}`),
    release: async ({ id }) => void calls.push(`release ${id}`),
    ...api,
  }
  const node = { env, logger: silentLogger, state: { role: () => undefined, config: {} } } as unknown as NodeContext
  const rejections = { record: (_: unknown, reason: string) => void told.push(reason) } as unknown as Rejections
  const connection = (id: string, signal = new AbortController().signal) =>
    ({ id, signal, identity: { identity: { user: 'alice', roles: [role(limit)] } } }) as unknown as NodeConnection
  return { env, calls, told, connection, leases: new ConnectionLeases(node, all, rejections) }
}

describe('leases of connections', () => {
  test('without a limit auth is not asked', () => {
    const { leases, connection, calls } = bench({}, 0)
    expect(leases.enter(connection('a'))).toBeUndefined()
    leases.leave(connection('a'))
    expect(calls).toEqual([])
  })

  test('are renewed while they are held, and no longer', async () => {
    const { leases, connection, calls, env } = bench({})
    const [a, b] = [connection('a'), connection('b')]
    await leases.enter(a)
    await leases.enter(b)
    await env.advance(40_000)
    leases.leave(a)
    await env.advance(40_000)
    leases.leave(b)
    await env.advance(400_000)
    expect(calls).toEqual(['acquire a', 'acquire b', 'renew a b', 'release a', 'renew b', 'release b'])
  })

  test('auth that does not answer refuses in bounded time, and what it may have counted is given back', async () => {
    const { leases, connection, calls, told, env } = bench({ acquire: () => new Promise(() => undefined) })
    const entering = leases.enter(connection('a'))
    const outcome = expect(entering).rejects.toThrow(/cannot be asked how many there are: the auth service timed out/)
    await env.advance(5000)
    await outcome
    expect(calls).toEqual(['release a'])
    expect(told).toHaveLength(1)
  })

  test('one that ends while it is being renewed is given back once more', async () => {
    const renewing = Promise.withResolvers<void>()
    const { leases, connection, calls, env } = bench({ renew: () => renewing.promise })
    const a = connection('a')
    await leases.enter(a)
    await env.advance(40_000)
    leases.leave(a)
    renewing.resolve()
    await expect.poll(() => calls).toEqual(['acquire a', 'release a', 'release a'])
  })

  test('auth that is away for a while hears of what is still there', async () => {
    const heard: (readonly Lease[])[] = []
    let away = true
    const { leases, connection, env } = bench({
      async renew(held) {
        if (away) throw new ConnectionProblem('away')
        heard.push(held)
      },
    })
    await leases.enter(connection('a'))
    await env.advance(80_000)
    away = false
    await env.advance(40_000)
    expect(heard).toEqual([[{ user: 'alice', id: 'a' }]])
  })
})
