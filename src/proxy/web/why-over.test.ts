import { afterAll, expect, test } from 'vitest'
import { AccessGuard } from '../../api/access-guard.ts'
import type { ChangeKind } from '../../api/cluster-snapshot.ts'
import { TestClusterState } from '../../api/testing/cluster-state.ts'
import { fakeEnv } from '../../common/fake-env.ts'
import { silentLogger } from '../../common/log.ts'
import { generateEd25519 } from '../../ssh/keys/private-key.ts'
import { WhyOver } from './why-over.ts'

const stopped = new AbortController()
afterAll(() => stopped.abort())

const alice = { name: 'alice', roles: ['ops'], logins: ['root'] }
const uuid = '44444444-4444-4444-8444-444444444444'

function setUp() {
  const cluster = new TestClusterState('/nonexistent')
  cluster.addRole('ops', { logins: ['root'], node_labels: { '*': '*' } })
  cluster.addUser(alice)
  const env = fakeEnv(new Date())
  let tell: (kind: ChangeKind, id: string) => void = () => undefined
  const guard = new AccessGuard({
    onChange: (listener) => {
      tell = listener
    },
    staleMs: () => 0,
    env,
    logger: silentLogger,
    signal: stopped.signal,
  })
  const why = new WhyOver(
    { state: cluster.view(), guard, env },
    {
      certificate: cluster.certify(alice, generateEd25519().publicKey),
      sourceAddress: '127.0.0.1',
      node: [uuid, 'web-1'],
    },
  )
  const lock = (target: Record<string, string>) => {
    const made = { created: env.now().toISOString(), createdBy: 'ada' }
    cluster.snapshot.apply({ op: 'put', kind: 'lock', value: { id: uuid, target, message: 'laptop stolen', ...made } })
    tell('lock', uuid)
  }
  return { cluster, guard, env, why, lock }
}

test.each([
  { target: { user: 'alice' }, words: 'the user "alice" is locked: laptop stolen' },
  { target: { role: 'ops' }, words: 'the role "ops" is locked: laptop stolen' },
  { target: { node: uuid }, words: `the node "${uuid}" is locked: laptop stolen` },
])('$words: also when it is heard of after the end', async ({ target, words }) => {
  const { why, lock } = setUp()
  const said = why.words('the session is over')
  expect(why.known).toBeUndefined()
  lock(target)
  expect(await said).toBe(words)
  expect(why.known).toBe(words)
})

test('a login that ended for another reason says so, after a moment', async () => {
  const { why, lock, env } = setUp()
  lock({ user: 'bob' })
  const said = why.words('you have logged out')
  await env.advance(1_000)
  expect(await said).toBe('you have logged out')
})

test('once closed it is not asked about any more', () => {
  const { why, guard } = setUp()
  expect(guard.size).toBe(1)
  why.close()
  expect(guard.size).toBe(0)
})
