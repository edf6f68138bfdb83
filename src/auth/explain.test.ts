/** Who is told why somebody may log in somewhere, and who sees which machines. */

import { expect, test } from 'vitest'
import { createUser, explainAccess, getStatus, heartbeat, listPresence, putRole, signUser } from '../api/routes.ts'
import { isAccessDenied, isNotFound } from '../errors/errors.ts'
import { newKey } from './testing/cluster.ts'
import { adminCaller, machineCaller, testServices } from './testing/services.ts'

const rule = (resource: string, verb: string, where?: string) => ({
  resources: [resource],
  verbs: [verb],
  ...(where === undefined ? {} : { where }),
})

/** A node with `env=prod`, a proxy, and alice who may be root on it. */
async function bench() {
  const made = await testServices()
  const admin = made.as(adminCaller)
  const report = { hostname: 'db-1', address: '10.0.0.1:3022', publicAddresses: [], version: '1' }
  await made.as(machineCaller('Node', ['db-1'])).call(heartbeat, { body: { ...report, labels: { env: 'prod' } } })
  await made
    .as(machineCaller('Proxy', ['proxy-1']))
    .call(heartbeat, { body: { ...report, hostname: 'proxy-1', labels: {} } })
  const rolesOf = async (name: string, allow: Record<string, unknown>) => {
    const role = { kind: 'role' as const, version: 'v4', metadata: { name }, spec: { allow } }
    await admin.call(putRole, { params: { name }, body: { role } })
  }
  await rolesOf('dba', { logins: ['root'], node_labels: { env: ['prod'] } })
  await admin.call(createUser, { body: { name: 'alice', roles: ['dba'], traits: {} } })
  const somebody = async (rules: readonly object[]) => {
    const name = `user-${rules.length}-${JSON.stringify(rules).length}`
    await rolesOf(name, { rules })
    await admin.call(createUser, { body: { name, roles: [name], traits: {} } })
    const credentials = await admin.call(signUser, { body: { user: name, publicKey: newKey().line } })
    return made.as(made.user(credentials))
  }
  await expect.poll(() => made.services.hub.snapshot.servers.all().length).toBe(2)
  return { made, admin, somebody }
}

const ask = { user: 'alice', login: 'root', node: 'db-1' }

test('administrators are told, by name and by uuid, what each role has to say', async () => {
  const { admin } = await bench()
  const { items } = await admin.call(explainAccess, { query: ask })
  expect(items).toMatchObject([
    { allow: true, role: 'dba', node: 'db-1', labels: { env: 'prod' }, roles: [{ role: 'dba', effect: 'allows' }] },
  ])
  const node = items[0]?.nodeId ?? ''
  expect(await admin.call(explainAccess, { query: { ...ask, login: 'mail', node } })).toMatchObject({
    items: [{ allow: false, roles: [{ effect: 'nothing' }] }],
  })
  await expect(admin.call(explainAccess, { query: { ...ask, node: 'db-2' } })).rejects.toSatisfy(isNotFound)
  await expect(admin.call(explainAccess, { query: { ...ask, user: 'bob' } })).rejects.toSatisfy(isNotFound)
})

const [role, user, node] = [rule('role', 'read'), rule('user', 'read'), rule('node', 'read')]
test.each([
  { name: 'the rules for roles, users and nodes are enough', rules: [role, user, node], answer: 'told' },
  { name: 'without the rule for users one is refused', rules: [role, node], answer: 'refused' },
  { name: 'without the rule for roles one is refused', rules: [user, node], answer: 'refused' },
  {
    name: 'a role that a condition hides is not quoted',
    rules: [rule('role', 'read', 'equals(resource.metadata.name, "other")'), user, node],
    answer: 'refused',
  },
  { name: 'a node that one neither reaches nor may read does not exist', rules: [role, user], answer: 'no node' },
])('A3 $name', async ({ rules, answer }) => {
  const { somebody } = await bench()
  const asked = (await somebody(rules)).call(explainAccess, { query: ask })
  if (answer === 'told') expect((await asked).items).toHaveLength(1)
  else await expect(asked).rejects.toSatisfy(answer === 'refused' ? isAccessDenied : isNotFound)
})

test.each([
  { name: 'nobody sees proxies without the rule for them', rules: [rule('node', 'list')], sees: [] },
  { name: 'with it they are listed', rules: [rule('proxy', 'list')], sees: ['proxy-1'] },
])('A3 $name', async ({ rules, sees }) => {
  const { somebody } = await bench()
  const { items } = await (await somebody(rules)).call(listPresence, { query: { role: 'proxy' } })
  expect(items.map(({ hostname }) => hostname)).toEqual(sees)
})

test('how the audit log fares is told to those who may read it', async () => {
  const { somebody } = await bench()
  expect((await (await somebody([rule('event', 'list')])).call(getStatus)).audit).toBeDefined()
  expect((await (await somebody([rule('user', 'list')])).call(getStatus)).audit).toBeUndefined()
})
