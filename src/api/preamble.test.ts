import fc from 'fast-check'
import { expect, test } from 'vitest'
import { type FakeEnv, fakeEnv } from '../common/fake-env.ts'
import { AccessDenied } from '../errors/errors.ts'
import { issueCertificateSync } from '../ssh/certificate/issue.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import type { MachineIdentity } from './identity.ts'
import { preamblePrefix, preambleVerifier, signPreamble } from './preamble.ts'

const start = fakeEnv()
const ca = generateEd25519(start)
const peer = { address: '10.0.0.2', port: 4 }
const client = { address: '203.0.113.7', port: 50022 }
const uuid = '7e1e6b0c-7e8f-4d43-a7a5-2ad1a7bcf001'

function machine(role: string, cluster = 'example', authority = ca): MachineIdentity {
  const key = generateEd25519(start)
  const certificate = issueCertificateSync(
    {
      publicKey: key.publicKey,
      type: 'host',
      keyId: `${uuid}.${cluster}`,
      principals: [uuid],
      validAfter: new Date(start.now().getTime() - 60_000),
      validBefore: new Date(start.now().getTime() + 3_600_000),
      extensions: { 'x-teleport-authority': cluster, 'x-teleport-role': role },
    },
    authority,
    start,
  )
  return {
    role: 'Proxy',
    uuid,
    clusterName: cluster,
    key,
    certificate,
    hostAuthorities: [ca.publicKey],
    userAuthorities: [],
  }
}

const proxy = machine('Proxy')
const state = { clusterName: 'example', hostAuthorities: [ca.publicKey] }
const verifier = (env: FakeEnv) => preambleVerifier({ target: 'auth', state, env })
const text = (line: string) => line.slice(preamblePrefix.length + 1, -2)
const signed = async (identity = proxy, target = 'auth', env: FakeEnv = fakeEnv(), who = client) =>
  text(await signPreamble(identity, who, target, env))

test('the true client comes through, once', async () => {
  const line = await signPreamble(proxy, client, 'auth', fakeEnv())
  expect(line).toMatch(/^TELEPORT-PROXY-V1 [A-Za-z0-9_-]+\r\n$/)
  const check = verifier(fakeEnv())
  expect(await check.verify(text(line), peer)).toEqual(client)
  await expect(check.verify(text(line), peer)).rejects.toThrow(/used before/)
})

test('IPv6 clients keep their address', async () => {
  const v6 = { address: '2001:db8::1', port: 1 }
  expect(await verifier(fakeEnv()).verify(await signed(proxy, 'auth', fakeEnv(), v6), peer)).toEqual(v6)
})

const change = async (edit: (said: Record<string, string>) => void) => {
  const said = JSON.parse(Buffer.from(await signed(), 'base64url').toString())
  edit(said)
  return Buffer.from(JSON.stringify(said)).toString('base64url')
}

test.each([
  { name: 'another target', make: () => signed(proxy, uuid), reason: /another server/ },
  { name: 'a node', make: () => signed(machine('Node')), reason: /role "Node"/ },
  { name: 'a proxy of another cluster', make: () => signed(machine('Proxy', 'leaf')), reason: /cluster "leaf"/ },
  {
    name: 'a foreign authority',
    make: () => signed(machine('Proxy', 'example', generateEd25519(start))),
    reason: /not a trusted/,
  },
  {
    name: 'another client than signed',
    make: () => change((said) => Object.assign(said, { client: '1.2.3.4:5' })),
    reason: /signature/,
  },
  {
    name: 'an unknown field',
    make: () => change((said) => Object.assign(said, { admin: 'yes' })),
    reason: /malformed/,
  },
  {
    name: 'an old line',
    make: () => signed(proxy, 'auth', fakeEnv(new Date('2025-12-31T23:58:00Z'))),
    reason: /clocks/,
  },
  {
    name: 'a line from the future',
    make: () => signed(proxy, 'auth', fakeEnv(new Date('2026-01-01T00:02:00Z'))),
    reason: /clocks/,
  },
  { name: 'no base64url', make: async () => '{}', reason: /malformed/ },
  { name: 'a long line', make: async () => 'A'.repeat(10_000), reason: /malformed/ },
])('$name is refused', async ({ make, reason }) => {
  const refusal = verifier(fakeEnv()).verify(await make(), peer)
  await expect(refusal).rejects.toThrow(AccessDenied)
  await expect(refusal).rejects.toThrow(reason)
})

test('no text makes it throw anything else', async () => {
  const check = verifier(fakeEnv())
  await fc.assert(
    fc.asyncProperty(
      fc.oneof(
        fc.string(),
        fc.base64String(),
        fc.json().map((json) => Buffer.from(json).toString('base64url')),
      ),
      async (any) => {
        await expect(check.verify(any, peer)).rejects.toThrow(AccessDenied)
      },
    ),
  )
})
