import { describe, expect, test } from 'vitest'
import { acquireLease, deleteLeases, listLeases, releaseLease, renewLeases } from '../api/routes.ts'
import { LimitExceeded } from '../errors/errors.ts'
import { Leases, leaseLifetime } from './leases.ts'
import { adminCaller, machineCaller, type TestServices, testServices } from './testing/services.ts'

const other = { ...machineCaller('Node'), name: '33333333-3333-4333-8333-333333333333' }
const id = (number: number): string => `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`
const one = (number: number, user = 'alice') => ({ user, id: id(number) })
const ask = (bench: TestServices, caller: typeof other, number: number, maximum = 2) =>
  bench.as(caller).call(acquireLease, { body: { ...one(number), maximum } })

describe('connections of a user in the whole cluster', () => {
  test('are counted over all nodes, each user for themself', async () => {
    const bench = await testServices()
    const node = machineCaller('Node')
    await ask(bench, node, 1)
    await ask(bench, other, 2)
    await expect(ask(bench, node, 3)).rejects.toThrow(/2 connections in the cluster already/)
    await expect(ask(bench, other, 3)).rejects.toThrow(LimitExceeded)
    await bench.as(node).call(acquireLease, { body: { ...one(3, 'bob'), maximum: 1 } })
  })

  test('a place that is given back is free, by the node that had it and no other', async () => {
    const bench = await testServices()
    const node = machineCaller('Node')
    await ask(bench, node, 1, 1)
    await bench.as(other).call(releaseLease, { body: one(1) })
    await expect(ask(bench, other, 2, 1)).rejects.toThrow(LimitExceeded)
    await bench.as(node).call(releaseLease, { body: one(1) })
    await ask(bench, other, 2, 1)
    // Nothing to give back is no error.
    await bench.as(node).call(releaseLease, { body: one(9, 'nobody') })
  })

  test('what a node does not renew expires; what it renews stays, after a gap too', async () => {
    const bench = await testServices()
    const node = machineCaller('Node')
    await ask(bench, node, 1)
    await ask(bench, other, 2)
    await bench.env.advance(leaseLifetime * 0.7)
    await bench.as(node).call(renewLeases, { body: { leases: [one(1)] } })
    await bench.env.advance(leaseLifetime * 0.7)
    await ask(bench, node, 3)
    await expect(ask(bench, node, 4)).rejects.toThrow(LimitExceeded)
    // The other node was cut off for a while: its connection is there, so it counts.
    await bench.as(other).call(renewLeases, { body: { leases: [one(2)] } })
    await expect(ask(bench, node, 4, 3)).rejects.toThrow(/3 connections/)
  })

  test('of many that come at once, as many get in as there are places; two auth servers give the last place once', async () => {
    const bench = await testServices()
    const { tables, env } = bench.services
    const second = new Leases({ backend: bench.backend, tables, env })
    const node = machineCaller('Node')
    const asks = Array.from({ length: 12 }, (_, index) =>
      index % 2 === 0 ? ask(bench, node, index, 5) : second.acquire(other, { ...one(index), maximum: 5 }),
    )
    const results = await Promise.allSettled(asks)
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(5)
    expect((await tables.leases.find('alice'))?.value.holders).toHaveLength(5)
  })

  test('are listed and forgotten by administrators', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    await ask(bench, machineCaller('Node'), 1)
    await ask(bench, other, 2)
    const { items } = await admin.call(listLeases)
    expect(items).toMatchObject([{ user: 'alice', leases: [{ id: id(1) }, { id: id(2), serverId: other.name }] }])
    await admin.call(deleteLeases, { params: { name: 'alice' } })
    expect((await admin.call(listLeases)).items).toEqual([])
    await expect(admin.call(deleteLeases, { params: { name: 'alice' } })).rejects.toThrow(/no connections of "alice"/)
    await ask(bench, other, 3, 1)
    await bench.env.advance(leaseLifetime)
    expect((await admin.call(listLeases)).items).toEqual([])
  })

  test('survive a restart of auth', async () => {
    const bench = await testServices()
    const { tables, env } = bench.services
    await ask(bench, machineCaller('Node'), 1, 1)
    const restarted = new Leases({ backend: bench.backend, tables, env })
    await expect(restarted.acquire(other, { ...one(2), maximum: 1 })).rejects.toThrow(LimitExceeded)
  })
})
