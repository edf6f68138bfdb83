/** Users who change their own password: who may, and what a refusal tells (SECURITY W6, W10). */

import { expect, test } from 'vitest'
import { changePassword, createUser, login, openWebSession, setPassword } from '../api/routes.ts'
import { isAccessDenied, isLimitExceeded } from '../errors/errors.ts'
import { newKey } from './testing/cluster.ts'
import { adminCaller, machineCaller, testServices } from './testing/services.ts'

const password = 'korrektes pferd klammert batterie'
const next = 'ein anderes pferd klammert nicht'
const client = { address: '203.0.113.9' }

async function setUp() {
  const bench = await testServices({ secondFactor: 'off' })
  const admin = bench.as(adminCaller)
  await admin.call(createUser, { body: { name: 'alice', roles: ['access'], traits: { logins: ['root'] } } })
  await admin.call(setPassword, { params: { name: 'alice' }, body: { password } })
  const proxy = bench.as(machineCaller('Proxy'))
  return {
    bench,
    proxy,
    change: (old: string, newPassword: string, user = 'alice') =>
      proxy.call(changePassword, { body: { user, password: old, newPassword, client } }),
    logIn: (secret: string) =>
      proxy.call(login, { body: { user: 'alice', password: secret, publicKey: newKey().line, client } }),
  }
}

test('with the old password a new one is set, browser sessions end, and the log knows it', async () => {
  const { bench, proxy, change, logIn } = await setUp()
  await proxy.call(openWebSession, { body: { user: 'alice', password, client } })
  const sessions = async () => (await Array.fromAsync(bench.services.tables.webSessions.all())).length
  expect(await sessions()).toBe(1)
  await change(password, next)
  expect(await sessions()).toBe(0)
  await expect(logIn(password)).rejects.toSatisfy(isAccessDenied)
  expect((await logIn(next)).logins).toEqual(['root'])
  expect(bench.events.filter(({ event }) => event === 'user.password_change').at(-1)).toMatchObject({
    code: 'T1005I',
    user: 'alice',
    'addr.remote': client.address,
  })
  expect(JSON.stringify(bench.events)).not.toMatch(/pferd/)
})

test('a wrong one is refused in the words of a login, whoever it is, and counts for the lock', async () => {
  const { change, logIn } = await setUp()
  const words = /^access denied: wrong user name, password or code$/
  await expect(change('wrong', next, 'nobody')).rejects.toThrow(words)
  for (let i = 0; i < 5; i++) await expect(change('wrong', next)).rejects.toThrow(words)
  await expect(change(password, next)).rejects.toSatisfy(isLimitExceeded)
  await expect(logIn(password)).rejects.toSatisfy(isLimitExceeded)
})

test('a weak new one is refused after the old one was right, and nothing changes', async () => {
  const { change, logIn } = await setUp()
  await expect(change('wrong', 'short')).rejects.toSatisfy(isAccessDenied)
  await expect(change(password, 'short')).rejects.toThrow(/at least 12/)
  await expect(change(password, 'alicealicealice')).rejects.toThrow(/name of the user/)
  await expect(change(password, 'Password2026!')).rejects.toThrow(/one of the commonest/)
  await expect(change(password, password)).rejects.toThrow(/the new password is the old one/)
  expect((await logIn(password)).logins).toEqual(['root'])
})
