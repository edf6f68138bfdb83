/** What an administrator sees of other users' second factors, and takes from them. */

import { Secret, TOTP } from 'otpauth'
import { describe, expect, test } from 'vitest'
import * as routes from '../../api/routes.ts'
import { AccessDenied, NotFound } from '../../errors/errors.ts'
import { newKey } from '../testing/cluster.ts'
import { adminCaller, machineCaller, type TestServices, testServices } from '../testing/services.ts'

const password = 'correct horse battery'
const client = { address: '203.0.113.7' }

/** alice, who has an app, and somebody with a role that allows what `where` says. */
async function bench(where?: string) {
  const made = await testServices({ secondFactor: 'on' })
  const admin = made.as(adminCaller)
  const proxy = made.as(machineCaller('Proxy'))
  const { invite } = await admin.call(routes.createUser, {
    body: { name: 'alice', roles: ['access'], traits: { logins: ['root'], team: ['a'] }, inviteTtlSeconds: 600 },
  })
  const token = invite?.token ?? ''
  const { otp } = await proxy.call(routes.getInvite, { body: { token, client } })
  const secret = otp?.secret ?? ''
  const codeNow = () =>
    new TOTP({ secret: Secret.fromBase32(secret) }).generate({ timestamp: made.env.now().getTime() })
  await proxy.call(routes.acceptInvite, { body: { token, password, client, otp: codeNow() } })
  await made.env.advance(60_000)
  const rule = { resources: ['user'], verbs: ['update'], ...(where === undefined ? {} : { where }) }
  const role = {
    kind: 'role' as const,
    version: 'v4',
    metadata: { name: 'helpers' },
    spec: { allow: { rules: [rule] } },
  }
  await admin.call(routes.putRole, { params: { name: 'helpers' }, body: { role } })
  return { made, secret, codeNow, helper: await signedIn(made, 'helper', ['helpers']) }
}

async function signedIn(made: TestServices, name: string, roles: string[]) {
  const admin = made.as(adminCaller)
  await admin.call(routes.createUser, { body: { name, roles, traits: {} } })
  const credentials = await admin.call(routes.signUser, { body: { user: name, publicKey: newKey().line } })
  return made.as(made.user(credentials))
}

const params = { name: 'alice' }
const deviceOf = async (made: TestServices) => {
  const { items } = await made.as(adminCaller).call(routes.listUserDevices, { params })
  return items[0]?.id ?? ''
}

describe('second factors of another user', () => {
  test('are seen by who may change the user, without anything that proves something', async () => {
    const { helper, secret } = await bench()
    const seen = await helper.call(routes.listUserDevices, { params })
    expect(seen).toMatchObject({ items: [{ name: 'otp', kind: 'totp' }] })
    expect(Object.keys(seen.items[0] ?? {}).sort()).toEqual(['addedAt', 'id', 'kind', 'name'])
    expect(seen.recoveryCodes).toBeGreaterThan(4)
    expect(JSON.stringify(seen)).not.toContain(secret)
  })

  test('one that is removed is gone, and opens nothing; the event says who took it from whom', async () => {
    const { made, helper, codeNow } = await bench()
    const id = await deviceOf(made)
    made.auditFailure = new Error('the disk is full')
    await expect(helper.call(routes.removeUserDevice, { params: { ...params, id } })).rejects.toThrow()
    expect(await deviceOf(made)).toBe(id)
    made.auditFailure = undefined
    await helper.call(routes.removeUserDevice, { params: { ...params, id } })
    expect(made.events.at(-1)).toMatchObject({
      ...{ event: 'mfa.delete', user: 'helper', name: 'alice', mfa_device_uuid: id, mfa_device_type: 'totp' },
    })
    const login = { user: 'alice', password, otp: codeNow(), publicKey: newKey().line, client }
    await expect(made.as(machineCaller('Proxy')).call(routes.login, { body: login })).rejects.toThrow(AccessDenied)
    await expect(helper.call(routes.removeUserDevice, { params: { ...params, id } })).rejects.toThrow(NotFound)
  })

  test.each([
    { name: 'a role that may read users', rule: { resources: ['user'], verbs: ['list', 'read'] } },
    {
      name: 'a role that may change other users only',
      rule: { resources: ['user'], verbs: ['update'], where: 'equals(resource.metadata.name, "bob")' },
    },
  ])('$name sees and removes none, and does not find out whether there is such a user', async ({ rule }) => {
    const { made } = await bench()
    const role = {
      kind: 'role' as const,
      version: 'v4',
      metadata: { name: 'some' },
      spec: { allow: { rules: [rule] } },
    }
    await made.as(adminCaller).call(routes.putRole, { params: { name: 'some' }, body: { role } })
    const eve = await signedIn(made, 'eve', ['some'])
    const id = await deviceOf(made)
    for (const name of ['alice', 'nobody']) {
      await expect(eve.call(routes.listUserDevices, { params: { name } })).rejects.toThrow(AccessDenied)
      await expect(eve.call(routes.removeUserDevice, { params: { name, id } })).rejects.toThrow(AccessDenied)
    }
    expect(await deviceOf(made)).toBe(id)
  })

  test("a device's id is good for its own user only", async () => {
    const { made, helper } = await bench('equals(resource.metadata.name, "bob")')
    await made.as(adminCaller).call(routes.createUser, { body: { name: 'bob', roles: ['access'], traits: {} } })
    const id = await deviceOf(made)
    await expect(helper.call(routes.removeUserDevice, { params: { name: 'bob', id } })).rejects.toThrow(NotFound)
    expect(await deviceOf(made)).toBe(id)
  })
})
