/** A rotation without a grace period, seen over SSH. */

import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadIdentity } from '../api/identity.ts'
import { getStatus, rotateAuthorities } from '../api/routes.ts'
import { testCluster } from './testing/cluster.ts'

test('without a grace period the answer still arrives, the old administrator is out and the new one in', {
  timeout: 120_000,
}, async () => {
  const cluster = await testCluster()
  const [pin] = cluster.auth.caPins
  await cluster.admin.call(rotateAuthorities, { body: { mode: 'auto', gracePeriodSeconds: 0 } })
  await expect(cluster.admin.call(getStatus)).rejects.toThrow(/not a trusted host authority|closed|lost/)
  const fresh = cluster.connect(await loadIdentity(join(cluster.dataDir, 'auth', 'admin.json')))
  const status = await fresh.call(getStatus)
  expect(status.caPins).toHaveLength(1)
  expect(status.caPins[0]).not.toBe(pin)
  expect(status.authorities.map(({ rotated }) => typeof rotated)).toEqual(['string', 'string'])
})
