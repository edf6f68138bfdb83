/** Join tokens, names of machines and heartbeats (SECURITY J2, J3, P5, A10). */

import { describe, expect, test } from 'vitest'
import type { Caller } from '../api/caller.ts'
import { parseCertificateLine } from '../api/lines.ts'
import type { ServerRole } from '../api/model.ts'
import {
  createToken,
  deleteToken,
  heartbeat,
  join,
  listPresence,
  listTokens,
  listUsers,
  renewHost,
} from '../api/routes.ts'
import { realEnv } from '../common/env.ts'
import { AccessDenied, AlreadyExists, BadParameter, LimitExceeded } from '../errors/errors.ts'
import { newKey } from './testing/cluster.ts'
import {
  adminCaller,
  machineCaller,
  machineUuid,
  ownUuid,
  type TestServices,
  testServices,
} from './testing/services.ts'

const tokenCaller = (token: string, more: Partial<Caller> = {}): Caller => ({
  role: 'ProvisionToken',
  name: 'join',
  address: '10.0.0.9',
  token,
  ...more,
})

async function newToken(bench: TestServices, roles: ServerRole[] = ['node'], ttlSeconds?: number): Promise<string> {
  const body = { roles, ...(ttlSeconds === undefined ? {} : { ttlSeconds }) }
  return (await bench.as(adminCaller).call(createToken, { body })).token.token
}

const joinWith = (
  bench: TestServices,
  caller: Caller,
  change: Partial<{ uuid: string; hostname: string; role: ServerRole; advertisedNames: string[] }> = {},
) =>
  bench.as(caller).call(join, {
    body: {
      uuid: change.uuid ?? realEnv.randomUuid(),
      hostname: change.hostname ?? 'n1',
      keys: [{ role: change.role ?? 'node', publicKey: newKey().line }],
      advertisedNames: change.advertisedNames ?? [],
    },
  })

const beat = (change: Partial<{ hostname: string; address: string; labels: Record<string, string> }> = {}) => ({
  body: { hostname: 'n1', address: '10.0.0.9:3022', publicAddresses: [], labels: {}, version: '1', ...change },
})

describe('tokens', () => {
  test('live 15 minutes at most, and once', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    const { token } = await admin.call(createToken, { body: { roles: ['node'], ttlSeconds: 86_400 } })
    expect(Date.parse(token.expires ?? '') - bench.env.now().getTime()).toBe(15 * 60_000)
    await bench.env.advance(15 * 60_000 + 1000)
    await expect(joinWith(bench, tokenCaller(token.token))).rejects.toThrow(/not valid/)
  })

  test('of ten machines with one token, one joins (F18)', async () => {
    const bench = await testServices()
    const token = await newToken(bench)
    const results = await Promise.allSettled(Array.from({ length: 10 }, () => joinWith(bench, tokenCaller(token))))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
  })

  test('static ones work again and again', async () => {
    const bench = await testServices({ staticTokens: [{ roles: ['node', 'proxy'], value: 'a-static-token-here' }] })
    for (const role of ['node', 'proxy'] as const) {
      await expect(joinWith(bench, tokenCaller('a-static-token-here'), { role })).resolves.toBeDefined()
    }
  })

  test('a wrong one counts against its address, and then even the right one does not help (J2)', async () => {
    const bench = await testServices()
    const token = await newToken(bench)
    const { tokens } = bench.services
    for (let i = 0; i < 10; i++) expect(await tokens.check(`guess${i}`, '10.0.0.9')).toBe(false)
    expect(await tokens.check(token, '10.0.0.9')).toBe(false)
    expect(await tokens.check(token, '10.0.0.10')).toBe(true)
  })

  test('the time of a refusal does not tell how much of a token was right (J2)', async () => {
    const bench = await testServices({ staticTokens: [{ roles: ['node'], value: 'b'.repeat(32) }] })
    const token = await newToken(bench)
    const { tokens } = bench.services
    const change = (text: string, at: number) => text.slice(0, at) + (text[at] === '0' ? '1' : '0') + text.slice(at + 1)
    const guesses = [change(token, 31), change(token, 0), change('b'.repeat(32), 31), change('b'.repeat(32), 0)]
    const times = guesses.map((): number[] => [])
    // In turn, so that what else the machine does costs all of them the same.
    for (let sample = 0; sample < 300; sample++) {
      for (const [index, guess] of guesses.entries()) {
        const began = performance.now()
        expect(await tokens.check(guess, `10.1.${index}.${sample % 250}`)).toBe(false)
        times[index]?.push(performance.now() - began)
      }
    }
    const medians = times.map((list) => list.sort((a, b) => a - b)[150] ?? 0)
    // They are looked up by their SHA-256: there is no comparison that could end early.
    expect(Math.max(...medians) / Math.min(...medians)).toBeLessThan(2)
  })

  test('are removed by value or by what the listing shows; the static one is not', async () => {
    const bench = await testServices({ staticTokens: [{ roles: ['node'], value: 'static-token-value' }] })
    const admin = bench.as(adminCaller)
    const [first, second] = [await newToken(bench), await newToken(bench)]
    await admin.call(deleteToken, { params: { name: first } })
    await admin.call(deleteToken, { params: { name: second.slice(0, 6) } })
    expect((await admin.call(listTokens)).tokens).toHaveLength(1)
    await expect(admin.call(deleteToken, { params: { name: 'static…' } })).rejects.toThrow(/configuration file/)
  })
})

describe('joining (J3)', () => {
  test.each([
    { name: 'as another role', change: { role: 'proxy' as const }, kind: AccessDenied, says: /is for node/ },
    { name: 'as an auth server', change: { role: 'auth' as const }, kind: AccessDenied, says: /is for node/ },
    { name: 'with a pattern', change: { advertisedNames: ['*.example'] }, kind: BadParameter, says: /node name/ },
    { name: 'with a list in a name', change: { advertisedNames: ['a,b'] }, kind: BadParameter, says: /node name/ },
    { name: 'under the uuid of auth', change: { uuid: ownUuid }, kind: AlreadyExists, says: /already/ },
    {
      name: 'with the uuid of another',
      change: { advertisedNames: [machineUuid] },
      kind: AccessDenied,
      says: /another machine/,
    },
    { name: 'with a malformed name', change: { hostname: 'n1 evil' }, kind: BadParameter, says: /node name/ },
  ])('$name is refused and leaves the token good', async ({ change, kind, says }) => {
    const bench = await testServices()
    const token = await newToken(bench)
    const refused = joinWith(bench, tokenCaller(token), change)
    await expect(refused).rejects.toThrow(kind)
    await expect(refused).rejects.toThrow(says)
    await expect(joinWith(bench, tokenCaller(token))).resolves.toBeDefined()
  })

  test('names itself and nothing else', async () => {
    const bench = await testServices()
    const uuid = realEnv.randomUuid()
    const got = await joinWith(bench, tokenCaller(await newToken(bench)), {
      uuid,
      advertisedNames: ['10.0.0.9', 'n1.lan'],
    })
    const certificate = parseCertificateLine(got.certificates[0]?.certificate ?? '')
    expect(certificate).toMatchObject({ type: 'host', keyId: `${uuid}.example` })
    const names = [uuid, 'n1', 'n1.lan', '10.0.0.9', `${uuid}.example`, 'n1.example', 'n1.lan.example']
    expect([...certificate.principals].sort()).toEqual(names.sort())
    expect(certificate.extensions.get('x-teleport-role')?.toString()).toBe('Node')
    // The same uuid cannot join a second time.
    await expect(joinWith(bench, tokenCaller(await newToken(bench)), { uuid })).rejects.toThrow(AlreadyExists)
  })

  test('the name of a server that is there is not given to another machine', async () => {
    const bench = await testServices()
    await bench.as(machineCaller('Node', ['prod1'])).call(heartbeat, beat({ hostname: 'prod1' }))
    await expect.poll(() => bench.services.hub.snapshot.servers.all().length).toBe(1)
    const elsewhere = (token: string) => tokenCaller(token, { address: '10.0.0.66' })
    const token = await newToken(bench)
    await expect(joinWith(bench, elsewhere(token), { hostname: 'PROD1' })).rejects.toThrow(/there already/)
    const got = await joinWith(bench, elsewhere(token), { hostname: 'n2', advertisedNames: ['prod1.example'] })
    expect(parseCertificateLine(got.certificates[0]?.certificate ?? '').principals).not.toContain('prod1.example')
    // Set up anew on the same address, it is the same machine.
    await expect(joinWith(bench, tokenCaller(await newToken(bench)), { hostname: 'prod1' })).resolves.toBeDefined()
  })

  test('the name or address under which a proxy is reached is not given to a node, but to other proxies', async () => {
    const bench = await testServices()
    const proxy = { ...beat({ hostname: 'p1', address: '10.0.0.5:3023' }).body, publicAddresses: ['proxy.lan:3080'] }
    await bench.as(machineCaller('Proxy', ['p1', 'proxy.lan'])).call(heartbeat, { body: proxy })
    await expect.poll(() => bench.services.hub.snapshot.servers.all().length).toBe(1)
    const elsewhere = async (role: ServerRole) => tokenCaller(await newToken(bench, [role]), { address: '10.0.0.66' })
    await expect(joinWith(bench, await elsewhere('node'), { hostname: 'Proxy.LAN' })).rejects.toThrow(/there already/)
    const advertisedNames = ['proxy.lan', 'PROXY.lan.example', '10.0.0.5', '10.0.0.66']
    const principalsOf = async (role: ServerRole, hostname: string) => {
      const got = await joinWith(bench, await elsewhere(role), { role, hostname, advertisedNames })
      return parseCertificateLine(got.certificates[0]?.certificate ?? '').principals
    }
    const node = await principalsOf('node', 'n2')
    expect(node).toContain('10.0.0.66')
    expect(node.filter((name) => /proxy\.lan|10\.0\.0\.5/i.test(name))).toEqual([])
    expect(await principalsOf('proxy', 'p2')).toContain('proxy.lan')
  })

  test('the roles of the machine that auth runs on join one by one', async () => {
    const bench = await testServices()
    for (const role of ['proxy', 'node'] as const) {
      const caller = tokenCaller(await newToken(bench, [role]), { sameHost: true })
      await expect(joinWith(bench, caller, { uuid: ownUuid, role })).resolves.toMatchObject({ uuid: ownUuid })
    }
  })

  test('a renewed certificate keeps to the names of the old one', async () => {
    const bench = await testServices()
    const node = bench.as(machineCaller('Node', ['n1', 'n1.example']))
    const renew = (hostname: string, advertisedNames: string[]) =>
      node.call(renewHost, { body: { hostname, publicKey: newKey().line, advertisedNames } })
    await expect(renew('prod1', [])).rejects.toThrow(AccessDenied)
    const got = await renew('n1', ['prod1', '10.0.0.9'])
    const { principals } = parseCertificateLine(got.certificates[0]?.certificate ?? '')
    expect(principals).toContain('n1')
    expect(principals.join()).not.toContain('prod1')
  })
})

describe('heartbeats (P5)', () => {
  test('a server that misses some is called quiet until it is heard of again', async () => {
    const bench = await testServices()
    const node = bench.as(machineCaller('Node', ['n1']))
    const quiet = () => bench.services.hub.snapshot.servers.all().map((server) => server.quiet ?? false)
    await node.call(heartbeat, beat())
    await expect.poll(quiet).toEqual([false])
    for (let step = 0; step < 14; step++) await bench.env.advance(10_000)
    expect(quiet()).toEqual([false])
    await expect
      .poll(async () => {
        await bench.env.advance(10_000)
        return quiet()
      })
      .toEqual([true])
    await node.call(heartbeat, beat())
    await expect.poll(quiet).toEqual([false])
    await expect
      .poll(async () => {
        await bench.env.advance(10_000)
        return quiet()
      })
      .toEqual([])
  })

  test('take uuid and role from the certificate, and no name that it does not hold', async () => {
    const bench = await testServices()
    const node = bench.as(machineCaller('Node'))
    await expect(node.call(heartbeat, beat({ hostname: 'prod1' }))).rejects.toThrow(/does not hold the name/)
    const forged = { body: { ...beat().body, uuid: ownUuid, role: 'auth' } } as ReturnType<typeof beat>
    await expect(node.call(heartbeat, forged)).rejects.toThrow(BadParameter)
    await node.call(heartbeat, beat({ address: '[::]:3022', labels: { env: 'dev' } }))
    await expect
      .poll(async () => (await bench.as(adminCaller).call(listPresence)).items)
      .toMatchObject([{ uuid: machineUuid, role: 'node', address: '10.0.0.9:3022' }])
  })

  test.each([
    { name: 'no port', change: { address: '10.0.0.9' } },
    { name: 'a command', change: { address: '$(id):22' } },
    { name: 'a label with a line feed', change: { labels: { a: 'b\nc' } } },
    { name: 'a label named like an option', change: { labels: { '-a': 'b' } } },
  ])('with $name are refused', async ({ change }) => {
    const bench = await testServices()
    await expect(bench.as(machineCaller('Node')).call(heartbeat, beat(change))).rejects.toThrow(BadParameter)
  })

  test('in a flood are slowed down; in the usual rhythm hardly ever written', async () => {
    const bench = await testServices()
    const node = bench.as(machineCaller('Node'))
    const kinds: string[] = []
    for (let i = 0; i < 15; i++) await node.call(heartbeat, beat()).catch((error) => kinds.push(error.kind))
    expect(new Set(kinds)).toEqual(new Set(['LimitExceeded']))
    let writes = 0
    const put = bench.backend.put.bind(bench.backend)
    bench.backend.put = (item) => {
      writes++
      return put(item)
    }
    for (let minute = 0; minute < 20; minute++) {
      await bench.env.advance(60_000)
      await node.call(heartbeat, beat())
    }
    expect(writes).toBeLessThanOrEqual(5)
    expect((await bench.as(adminCaller).call(listPresence)).items).toHaveLength(1)
  })

  test('that stop make the server go', async () => {
    const bench = await testServices()
    await bench.as(machineCaller('Node')).call(heartbeat, beat())
    await bench.env.advance(10 * 60_000 + 20_000)
    await expect.poll(async () => (await bench.as(adminCaller).call(listPresence)).items).toEqual([])
  })
})

describe('pages (A10)', () => {
  test.each(['0', '-1', '1e9', '1001', 'NaN', '1.5'])('a limit of %s is refused', async (limit) => {
    const bench = await testServices()
    await expect(bench.as(adminCaller).call(listUsers, { query: { limit } })).rejects.toThrow(BadParameter)
  })

  test('a forged cursor is refused', async () => {
    const bench = await testServices()
    const admin = bench.as(adminCaller)
    for (const after of ['x', Buffer.from('authorities\0user\0').toString('base64url'), '%']) {
      await expect(admin.call(listUsers, { query: { after } })).rejects.toThrow(BadParameter)
    }
  })

  test('servers come in pages that together are all', async () => {
    const bench = await testServices()
    for (let n = 0; n < 7; n++) {
      const caller = { ...machineCaller('Node', [`n${n}`]), name: realEnv.randomUuid() }
      await bench.as(caller).call(heartbeat, beat({ hostname: `n${n}` }))
    }
    await expect.poll(() => bench.services.hub.snapshot.servers.all().length).toBe(7)
    const names: string[] = []
    let after: string | undefined
    do {
      const query: { limit: number; after?: string } = after === undefined ? { limit: 3 } : { limit: 3, after }
      const page = await bench.as(adminCaller).call(listPresence, { query })
      names.push(...page.items.map(({ hostname }) => hostname))
      after = page.next
    } while (after !== undefined)
    expect(names).toEqual(['n0', 'n1', 'n2', 'n3', 'n4', 'n5', 'n6'])
  })
})

test('too many wait: the queue refuses instead of growing (F20)', async () => {
  const { WorkQueue } = await import('./queue.ts')
  const queue = new WorkQueue({ running: 2, waiting: 3 })
  const { promise, resolve } = Promise.withResolvers<void>()
  const all = Array.from({ length: 6 }, () => queue.run(() => promise))
  await expect(all[5]).rejects.toThrow(LimitExceeded)
  resolve()
  await Promise.all(all.slice(0, 5))
  expect(queue.idle).toBe(true)
})
