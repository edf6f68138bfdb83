/** Browser sessions at auth: what opens them, what ends them, and the key that stays here (SECURITY W5, W6). */

import { randomUUID } from 'node:crypto'
import { duplexPair } from 'node:stream'
import { describe, expect, test } from 'vitest'
import { parseCertificateLine } from '../api/lines.ts'
import * as routes from '../api/routes.ts'
import { silentLogger } from '../common/log.ts'
import { AccessDenied, LimitExceeded, NotFound } from '../errors/errors.ts'
import { AgentClient } from '../ssh/agent/client.ts'
import { verifySignature } from '../ssh/keys/signature.ts'
import { adminCaller, machineCaller, type TestServices, testServices } from './testing/services.ts'
import { WebSessionIndex } from './web-session-index.ts'

const password = 'correct horse battery'
const client = { address: '203.0.113.7' }

async function bench(settings: Parameters<typeof testServices>[0] = {}): Promise<TestServices> {
  const made = await testServices({ secondFactor: 'off', ...settings })
  const admin = made.as(adminCaller)
  await admin.call(routes.createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
  await admin.call(routes.setPassword, { params: { name: 'alice' }, body: { password } })
  return made
}

const proxyOf = (made: TestServices) => made.as(machineCaller('Proxy'))
const open = (made: TestServices, secret = password, user = 'alice') =>
  proxyOf(made).call(routes.openWebSession, { body: { user, password: secret, client } })
const check = (made: TestServices, token: string, touch = true) =>
  proxyOf(made).call(routes.checkWebSession, { body: { token, touch, client } })
const end = (made: TestServices, token: string, everywhere = false) =>
  proxyOf(made).call(routes.endWebSession, { body: { token, everywhere, client } })

/** The agent of a session, after its greeting; rejects when there is none. */
async function agentOf(made: TestServices, token: string): Promise<{ agent: AgentClient; ended: Promise<void> }> {
  const [near, far] = duplexPair()
  void made.services.webSessions.serveAgent(far)
  const ended = new Promise<void>((resolve) => near.once('close', resolve).once('end', resolve))
  near.write(`${token}\n`)
  const greeting = await new Promise<string>((resolve) => {
    near.once('readable', () => resolve(String(near.read(3) ?? '')))
    near.once('close', () => resolve(''))
  })
  if (greeting !== 'ok\n') throw new Error('no agent')
  return { agent: new AgentClient(near), ended }
}

describe('a browser session', () => {
  test('its key is with auth alone, signs through an agent, and its certificate is that of the user', async () => {
    const made = await bench()
    const { token, session } = await open(made)
    expect(session).toMatchObject({ user: 'alice', logins: ['root'] })
    expect(JSON.stringify(session)).not.toContain('PRIVATE')
    const { agent } = await agentOf(made, token)
    const [identity] = await agent.list()
    const certificate = parseCertificateLine(session.certificate)
    expect(identity?.blob.equals(certificate.blob)).toBe(true)
    const data = Buffer.from('to be signed')
    const signature = await agent.sign(certificate.blob, data)
    expect(verifySignature(certificate.publicKey, data, signature, 'ssh-ed25519')).toBe(true)
  })

  test('is opened by the checks of every login, with their words and their limits', async () => {
    const made = await bench()
    for (const user of ['alice', 'nobody']) {
      for (let attempt = 0; attempt < 5; attempt++) {
        await expect(open(made, 'wrong', user)).rejects.toThrow('access denied: wrong user name, password or code')
      }
      await expect(open(made, password, user)).rejects.toThrow(LimitExceeded)
    }
    const failures = made.events.filter((event) => event.event === 'user.login' && event.success === false)
    expect(failures).toHaveLength(12)
  })

  test.each([
    { name: 'a proxy only', role: 'Node' as const },
    { name: 'not by a user', role: 'User' as const },
  ])('is for $name', async ({ role }) => {
    const made = await bench()
    const call = made.as(machineCaller(role)).call(routes.openWebSession, { body: { user: 'alice', password, client } })
    await expect(call).rejects.toThrow(AccessDenied)
  })

  test('the store holds no token', async () => {
    const made = await bench()
    const { token } = await open(made)
    for await (const found of made.services.tables.webSessions.all()) {
      expect(`${found.id} ${JSON.stringify(found.value)}`).not.toContain(token)
    }
  })
})

describe('the end of a browser session', () => {
  const changes: readonly { name: string; change: (made: TestServices, token: string) => Promise<unknown> }[] = [
    { name: 'logout', change: (made, token) => end(made, token) },
    {
      name: 'logout everywhere from another session',
      change: async (made) => end(made, (await open(made)).token, true),
    },
    {
      name: 'another password',
      change: (made) =>
        made
          .as(adminCaller)
          .call(routes.setPassword, { params: { name: 'alice' }, body: { password: 'another password' } }),
    },
    {
      name: 'a reset',
      change: (made) => made.as(adminCaller).call(routes.resetUser, { params: { name: 'alice' }, body: {} }),
    },
    {
      name: 'removal of the user',
      change: (made) => made.as(adminCaller).call(routes.deleteUser, { params: { name: 'alice' } }),
    },
    {
      name: 'the loss of the last role it was opened with',
      change: (made) =>
        made.as(adminCaller).call(routes.putUser, {
          params: { name: 'alice' },
          body: { roles: ['auditor'], traits: { logins: ['root'] } },
        }),
    },
  ]
  test.each(changes)('$name: token and agent are dead at once', async ({ change }) => {
    const made = await bench()
    const { token } = await open(made)
    const { ended, agent } = await agentOf(made, token)
    await change(made, token)
    await expect(check(made, token)).rejects.toThrow('the session is over; log in again')
    await ended
    await expect(agent.list()).rejects.toThrow()
    await expect(agentOf(made, token)).rejects.toThrow('no agent')
  })

  test('idle for half an hour; what is used lives on; the certificate is the last word', async () => {
    const made = await bench()
    const [idle, used] = [await open(made), await open(made)]
    const { ended } = await agentOf(made, idle.token)
    for (let minutes = 0; minutes < 40; minutes += 10) {
      await made.env.advance(10 * 60_000)
      await check(made, used.token)
    }
    await expect(check(made, idle.token)).rejects.toThrow(AccessDenied)
    await ended
    // A look that does not count as use.
    await made.env.advance(29 * 60_000)
    await check(made, used.token, false)
    await made.env.advance(2 * 60_000)
    await expect(check(made, used.token)).rejects.toThrow(AccessDenied)

    const longest = await bench({ webIdleMs: 48 * 3_600_000 })
    const last = await open(longest)
    await longest.env.advance(23 * 3_600_000 + 1_000)
    await expect(check(longest, last.token)).rejects.toThrow(AccessDenied)
  })

  test('renewal gives another token, the old one is dead, the end and the agent stay', async () => {
    const made = await bench()
    const { token, session } = await open(made)
    const { agent } = await agentOf(made, token)
    const renewed = await proxyOf(made).call(routes.renewWebSession, { body: { token, client } })
    expect(renewed.session).toMatchObject({ id: session.id, expires: session.expires })
    await expect(check(made, token)).rejects.toThrow(AccessDenied)
    await expect(check(made, renewed.token)).resolves.toMatchObject({ id: session.id })
    expect(await agent.list()).toHaveLength(1)
    await end(made, renewed.token)
    await expect(agent.list()).rejects.toThrow()
  })

  test('a logout is in the audit log before it happens, and one that cannot be told does not happen', async () => {
    const made = await bench()
    const { token } = await open(made)
    made.auditFailure = new Error('the disk is full')
    await expect(end(made, token)).rejects.toThrow()
    await check(made, token)
    made.auditFailure = undefined
    await end(made, token)
    expect(made.events.at(-1)).toMatchObject({ event: 'user.logout', user: 'alice', everywhere: false })
  })

  test('one user has so many and no more; the one unused for longest goes', async () => {
    const made = await bench()
    const first = await open(made)
    await made.env.advance(1_000)
    const { tables } = made.services
    const [known] = await Array.fromAsync(tables.webSessions.all())
    if (known === undefined) throw new Error('no session')
    for (let count = 0; count < 31; count++) {
      const record = { ...known.value, id: randomUUID(), lastSeen: made.env.now().toISOString() }
      await made.backend.put(tables.webSessions.item(`hash ${count}`, record))
    }
    await open(made)
    await expect(check(made, first.token)).rejects.toThrow(AccessDenied)
  })
})

describe("a user's own browser sessions", () => {
  const agent = 'Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0'
  const userOf = (made: TestServices, session: { certificate: string }) => {
    const certificate = { certificate: session.certificate } as Parameters<TestServices['user']>[0]
    return made.as(made.user(certificate))
  }
  const opened = (made: TestServices, user: string, userAgent?: string) =>
    proxyOf(made).call(routes.openWebSession, {
      body: { user, password, client: { ...client, ...(userAgent === undefined ? {} : { userAgent }) } },
    })
  async function withBob() {
    const made = await bench()
    const admin = made.as(adminCaller)
    await admin.call(routes.createUser, { body: { name: 'bob', roles: ['access', 'editor'], traits: {} } })
    await admin.call(routes.setPassword, { params: { name: 'bob' }, body: { password } })
    return made
  }

  test('are listed with where and when, the last used first, and nothing that opens one', async () => {
    const made = await withBob()
    const old = await opened(made, 'alice', agent)
    await made.env.advance(60_000)
    const here = await opened(made, 'alice')
    await opened(made, 'bob')
    await made.env.advance(60_000)
    const elsewhere = { token: old.token, touch: true, client: { address: '198.51.100.2' } }
    await proxyOf(made).call(routes.checkWebSession, { body: elsewhere })
    const { items } = await userOf(made, here.session).call(routes.listWebSessions, {})
    expect(items).toMatchObject([
      { id: old.session.id, address: '198.51.100.2', userAgent: agent, current: false },
      { id: here.session.id, address: client.address, current: true },
    ])
    expect(items[0]?.lastSeen).not.toBe(items[0]?.created)
    expect(JSON.stringify(items)).not.toMatch(/PRIVATE|ssh-ed25519/)
    for (const { id } of items) await expect(check(made, id)).rejects.toThrow(AccessDenied)
  })

  test('one is ended by its user: token and agent are dead, the audit log was told before, others live on', async () => {
    const made = await bench()
    const [stolen, here] = [await open(made), await open(made)]
    const { ended } = await agentOf(made, stolen.token)
    const { id } = stolen.session
    const alice = userOf(made, here.session)
    made.auditFailure = new Error('the disk is full')
    await expect(alice.call(routes.deleteWebSession, { params: { id } })).rejects.toThrow()
    await check(made, stolen.token)
    made.auditFailure = undefined
    await alice.call(routes.deleteWebSession, { params: { id } })
    await ended
    await expect(check(made, stolen.token)).rejects.toThrow(AccessDenied)
    await check(made, here.token)
    expect(made.events.at(-1)).toMatchObject({ event: 'user.logout', user: 'alice', 'addr.remote': '203.0.113.7' })
    await expect(alice.call(routes.deleteWebSession, { params: { id } })).rejects.toThrow(NotFound)
  })

  test("another user's is as one that never was, whatever the roles", async () => {
    const made = await withBob()
    const [alices, bobs] = [await open(made), await opened(made, 'bob')]
    const bob = userOf(made, bobs.session)
    const messages = []
    for (const id of [alices.session.id, randomUUID()]) {
      const refused = await bob.call(routes.deleteWebSession, { params: { id } }).catch((error: unknown) => error)
      messages.push(String(refused))
    }
    expect(messages[0]).toContain('no such browser session')
    expect(messages[0]).toBe(messages[1])
    await check(made, alices.token)
    expect(made.events.filter(({ event }) => event === 'user.logout')).toEqual([])
  })

  test('one that was renewed at that very moment ends too', async () => {
    const made = await bench()
    const { token, session } = await open(made)
    const { backend } = made
    const { tables } = made.services
    // One that is not told of changes, as when the renewal is on its way.
    const index = new WebSessionIndex({ backend, tables, env: made.env, logger: silentLogger })
    for await (const { id, value } of tables.webSessions.all()) index.add(id, value)
    const renewed = await proxyOf(made).call(routes.renewWebSession, { body: { token, client } })
    await index.end(new Set([session.id]))
    await expect(check(made, renewed.token)).rejects.toThrow(AccessDenied)
    expect(await Array.fromAsync(tables.webSessions.all())).toEqual([])
  })
})

describe('a browser session with the roles of an approved request', () => {
  const ops = {
    allow: { logins: ['root'], node_labels: { '*': '*' } },
    options: { max_session_ttl: '2h', port_forwarding: false },
  }
  const hour = 3_600_000
  async function withRequest(spec: Record<string, unknown> = ops) {
    const made = await bench()
    const admin = made.as(adminCaller)
    const asker = { allow: { request: { roles: ['ops'] } } }
    for (const [name, each] of Object.entries({ ops: spec, asker })) {
      const role = { kind: 'role' as const, version: 'v4', metadata: { name }, spec: each }
      await admin.call(routes.putRole, { params: { name }, body: { role } })
    }
    await admin.call(routes.createUser, { body: { name: 'bob', roles: ['asker'], traits: {} } })
    await admin.call(routes.setPassword, { params: { name: 'bob' }, body: { password } })
    const opened = await open(made, password, 'bob')
    const { id } = await admin.call(routes.createAccessRequest, { body: { user: 'bob', roles: ['ops'] } })
    const decide = (state: 'approved' | 'denied') =>
      admin.call(routes.resolveAccessRequest, { params: { id }, body: { state } })
    const renew = (token: string, accessRequests?: readonly string[], from = client) =>
      proxyOf(made).call(routes.renewWebSession, {
        body: {
          token,
          client: from,
          ...(accessRequests === undefined ? {} : { accessRequests: [...accessRequests] }),
        },
      })
    return { made, admin, opened, id, decide, renew }
  }

  test('it has them when it asks, keeps them when it is renewed, and gives them back', async () => {
    const { made, opened, id, decide, renew } = await withRequest()
    await expect(renew(opened.token, [id])).rejects.toThrow(`the request ${id} is pending`)
    await decide('approved')
    const more = await renew(opened.token, [id])
    expect(more.session).toMatchObject({
      id: opened.session.id,
      accessRequests: [id],
      expires: opened.session.expires,
    })
    expect(more.session.roles).toEqual(['asker', 'ops'])
    expect(more.session.logins).toEqual(['root'])
    const certificate = parseCertificateLine(more.session.certificate)
    expect(Number(certificate.validBefore) * 1000).toBeLessThanOrEqual(made.env.now().getTime() + 2 * hour)
    expect(made.events).toContainEqual(
      expect.objectContaining({ event: 'cert.create', identity: expect.objectContaining({ access_requests: [id] }) }),
    )
    const { agent } = await agentOf(made, more.token)
    expect((await agent.list()).map(({ blob }) => blob)).toEqual([certificate.blob])
    const kept = await renew(more.token)
    expect(kept.session).toMatchObject({ accessRequests: [id], certificate: more.session.certificate })
    const own = await renew(kept.token, [])
    expect(own.session).toMatchObject({
      roles: ['asker'],
      logins: [],
      accessRequests: [],
      expires: opened.session.expires,
    })
    await expect(renew(own.token, [randomUUID()])).rejects.toThrow('you have no request')
    await check(made, own.token)
  })

  test('it goes on with its own when they end', async () => {
    const { made, opened, id, decide, renew } = await withRequest()
    await decide('approved')
    const more = await renew(opened.token, [id])
    for (let passed = 0; passed < 2.5 * hour; passed += hour / 4) {
      await made.env.advance(hour / 4)
      await check(made, more.token)
    }
    const now = await check(made, more.token)
    expect(now).toMatchObject({ id: opened.session.id, roles: ['asker'], accessRequests: [] })
    expect(Date.parse(now.expires)).toBe(Date.parse(opened.session.expires))
    const { agent } = await agentOf(made, more.token)
    expect((await agent.list()).map(({ blob }) => blob)).toEqual([parseCertificateLine(now.certificate).blob])
  })

  test('once they have ended it is still listed and can be ended, and it is not of a later user of that name', async () => {
    const { made, admin, opened, id, decide, renew } = await withRequest()
    await decide('approved')
    const more = await renew(opened.token, [id])
    const { tables } = made.services
    const [stored] = await Array.fromAsync(tables.webSessions.all())
    if (stored === undefined) throw new Error('no session')
    const over = { ...stored.value, expires: new Date(made.env.now().getTime() - 1000).toISOString() }
    await made.backend.put(tables.webSessions.item(stored.id, over))
    const bob = { role: 'User' as const, name: 'bob', address: client.address }
    await expect.poll(() => made.services.webSessions.list(bob).map((each) => each.id)).toEqual([opened.session.id])
    await admin.call(routes.deleteUser, { params: { name: 'bob' } })
    await made.env.advance(1_000)
    await admin.call(routes.createUser, { body: { name: 'bob', roles: ['asker'], traits: {} } })
    await made.backend.put(tables.webSessions.item(stored.id, over))
    await expect(check(made, more.token)).rejects.toThrow('the session is over')
  })

  test('one that is denied after all gives nothing at once, and the session goes on', async () => {
    const { made, opened, id, decide, renew } = await withRequest()
    await decide('approved')
    const more = await renew(opened.token, [id])
    const rolesOf = () => made.user(more.session).user?.roleNames
    expect(rolesOf()).toEqual(['asker', 'ops'])
    await decide('denied')
    await expect.poll(rolesOf).toEqual(['asker'])
    await check(made, more.token)
    const { agent } = await agentOf(made, more.token)
    expect(await agent.list()).toHaveLength(1)
    await expect(renew((await renew(more.token, [])).token, [id])).rejects.toThrow(`the request ${id} is denied`)
  })

  test('roles that would shut it out are refused, and it stays as it is', async () => {
    const { made, opened, id, decide, renew } = await withRequest({ ...ops, options: { pin_source_ip: true } })
    await decide('approved')
    await expect(renew(opened.token, [id], { address: '198.51.100.9' })).rejects.toThrow('shut this session out')
    expect(await check(made, opened.token)).toMatchObject({ roles: ['asker'] })
    expect((await renew(opened.token, [id])).session.roles).toEqual(['asker', 'ops'])
  })
})

test.each([
  ['a wrong token', `${'0'.repeat(32)}\n`],
  ['an endless line', 'a'.repeat(1000)],
  ['no line', ''],
])('an agent for %s is not served', async (_name, text) => {
  const made = await bench()
  const [near, far] = duplexPair()
  const served = made.services.webSessions.serveAgent(far)
  near.on('error', () => {})
  if (text === '') near.end()
  else near.write(text)
  await served
  expect(far.destroyed).toBe(true)
})
