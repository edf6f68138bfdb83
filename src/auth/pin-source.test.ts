/** `pin_source_ip`: a certificate is good from the address of the login only, for proxy, node and auth alike. */

import { expect, test } from 'vitest'
import { authenticateUser } from '../api/authenticate-user.ts'
import { parseCertificateLine } from '../api/lines.ts'
import { createUser, putRole, signUser } from '../api/routes.ts'
import { newKey } from './testing/cluster.ts'
import { adminCaller, type TestServices, testServices } from './testing/services.ts'

const role = (pin: boolean) => ({
  params: { name: 'pinned' },
  body: {
    role: {
      kind: 'role' as const,
      version: 'v4',
      metadata: { name: 'pinned' },
      spec: { options: { pin_source_ip: pin }, allow: { logins: ['al'] } },
    },
  },
})

async function benchWith(pin: boolean): Promise<TestServices> {
  const bench = await testServices()
  const admin = bench.as(adminCaller)
  await admin.call(putRole, role(pin))
  // Another role, which does not ask for it, does not take it away.
  await admin.call(createUser, { body: { name: 'al', roles: ['access', 'pinned'], traits: { logins: ['al'] } } })
  return bench
}

async function loggedIn(bench: TestServices, address: string) {
  const { users, issuer } = bench.services
  const user = (await users.get('al')).value
  const roles = await users.rolesOf(user)
  const { certificate } = await issuer.user({
    user,
    roles,
    publicKey: newKey().key.publicKey,
    ttlSeconds: undefined,
    address,
  })
  return parseCertificateLine(certificate)
}

test.each([
  { login: '203.0.113.7', option: '203.0.113.7/32', from: '203.0.113.7', good: true },
  { login: '203.0.113.7', option: '203.0.113.7/32', from: '::ffff:203.0.113.7', good: true },
  { login: '203.0.113.7', option: '203.0.113.7/32', from: '203.0.113.8', good: false },
  { login: '203.0.113.7', option: '203.0.113.7/32', from: '127.0.0.1', good: false },
  { login: '::ffff:203.0.113.7', option: '203.0.113.7/32', from: '203.0.113.7', good: true },
  { login: '::ffff:cb00:7107', option: '203.0.113.7/32', from: '203.0.113.7', good: true },
  { login: '::1', option: '::1/128', from: '::1', good: true },
  { login: '::1', option: '::1/128', from: '0:0:0:0:0:0:0:1', good: true },
  { login: '2001:db8::7', option: '2001:db8::7/128', from: '2001:db8::8', good: false },
])('a login from $login, used from $from: $good', async ({ login, option, from, good }) => {
  const bench = await benchWith(true)
  const certificate = await loggedIn(bench, login)
  expect(certificate.criticalOptions.get('source-address')?.toString()).toBe(option)
  const ask = { certificate, login: 'al', sourceAddress: from, now: bench.env.now() }
  expect(authenticateUser(bench.services.hub, ask).ok).toBe(good)
})

test('a certificate from before the role said so is good for nothing any more', async () => {
  const bench = await benchWith(false)
  const certificate = await loggedIn(bench, '203.0.113.7')
  expect(certificate.criticalOptions.size).toBe(0)
  const judge = () =>
    authenticateUser(bench.services.hub, {
      certificate,
      login: 'al',
      sourceAddress: '203.0.113.7',
      now: bench.env.now(),
    })
  expect(judge().ok).toBe(true)
  await bench.as(adminCaller).call(putRole, role(true))
  await expect.poll(judge).toMatchObject({ ok: false, reason: expect.stringContaining('pin_source_ip') })
})

test('an administrator cannot sign around it', async () => {
  const bench = await benchWith(true)
  const body = { user: 'al', publicKey: newKey().line }
  await expect(bench.as(adminCaller).call(signUser, { body })).rejects.toThrow('let the user run tsh login')
})
