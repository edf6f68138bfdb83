/** Which roles have to join before they start. */

import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { authorityExtension, roleExtension } from '../api/host-certificate.ts'
import { type MachineIdentity, saveIdentity } from '../api/identity.ts'
import { realEnv } from '../common/env.ts'
import type { Config } from '../config/types.ts'
import { issueCertificateSync } from '../ssh/certificate/issue.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import type { PrivateKey } from '../ssh/keys/types.ts'
import { rolesToJoin } from './join.ts'

const uuid = '11111111-1111-4111-8111-111111111111'

function identityOf(
  role: 'Admin' | 'Node' | 'Proxy',
  authority: PrivateKey,
  trusted: readonly PrivateKey[],
): MachineIdentity {
  const key = generateEd25519()
  const certificate = issueCertificateSync(
    {
      publicKey: key.publicKey,
      type: 'host',
      keyId: `${uuid}.c`,
      principals: [uuid],
      validAfter: new Date(Date.now() - 60_000),
      validBefore: new Date(Date.now() + 3_600_000),
      extensions: { [authorityExtension]: 'c', [roleExtension]: role },
    },
    authority,
    realEnv,
  )
  const keys = trusted.map(({ publicKey }) => publicKey)
  return { role, uuid, clusterName: 'c', key, certificate, hostAuthorities: keys, userAuthorities: keys }
}

const [old, fresh] = [generateEd25519(), generateEd25519()]

test.each<{
  name: string
  auth: boolean
  node: PrivateKey
  trusted: readonly PrivateKey[]
  missing: readonly string[]
}>([
  { name: 'none that has an identity', auth: true, node: old, trusted: [old], missing: [] },
  { name: 'none while its authority is still trusted', auth: true, node: old, trusted: [fresh, old], missing: [] },
  {
    name: 'one of an authority that the auth service beside it does not trust any more',
    auth: true,
    node: old,
    trusted: [fresh],
    missing: ['node'],
  },
  {
    name: 'none where auth is another machine, which knows better',
    auth: false,
    node: old,
    trusted: [fresh],
    missing: [],
  },
])('$name', async ({ auth, node, trusted, missing }) => {
  const dataDir = await mkdtemp(join(tmpdir(), 'join-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  await saveIdentity(join(dataDir, 'auth', 'admin.json'), identityOf('Admin', fresh, trusted))
  await saveIdentity(join(dataDir, 'node', 'identity.json'), identityOf('Node', node, [old]))
  const config = { dataDir, auth: { enabled: auth } } as unknown as Config
  expect(await rolesToJoin({ config, owner: undefined }, ['auth', 'node'])).toEqual(missing)
})

test('a role that has no identity', async () => {
  const dataDir = await mkdtemp(join(tmpdir(), 'join-'))
  onTestFinished(() => rm(dataDir, { recursive: true, force: true }))
  const config = { dataDir, auth: { enabled: true } } as unknown as Config
  expect(await rolesToJoin({ config, owner: undefined }, ['auth', 'proxy'])).toEqual(['proxy'])
})
