import { describe, expect, test } from 'vitest'
import { type Lock, LockIndex } from '../access/locks.ts'
import { roleSchema } from '../access/schema.ts'
import { fakeEnv } from '../common/fake-env.ts'
import { issueCertificateSync } from '../ssh/certificate/issue.ts'
import type { CertificateTemplate } from '../ssh/certificate/types.ts'
import { generateEd25519 } from '../ssh/keys/private-key.ts'
import { authenticateUser, type UserAsk } from './authenticate-user.ts'
import type { ClusterState } from './cluster-state.ts'

const env = fakeEnv(new Date('2026-03-01T12:00:00Z'))
const userCa = generateEd25519(env)
const hostCa = generateEd25519(env)
const otherCa = generateEd25519(env)
const key = generateEd25519(env)
const at = (minutes: number) => new Date(env.now().getTime() + minutes * 60_000)
const role = (name: string) => roleSchema.parse({ kind: 'role', version: 'v4', metadata: { name }, spec: {} })

const state: ClusterState = {
  clusterName: 'example',
  userAuthorities: [userCa.publicKey],
  hostAuthorities: [hostCa.publicKey],
  config: {} as ClusterState['config'],
  user: (name) =>
    name === 'alice'
      ? {
          name,
          roles: ['dev', 'ops', 'gone'],
          traits: { logins: ['root', 'ubuntu'] },
          createdBy: 'admin',
          created: '2026-01-01T00:00:00.000Z',
          activated: true,
        }
      : undefined,
  role: (name) => (['dev', 'ops', 'prod'].includes(name) ? role(name) : undefined),
  locks: new LockIndex(),
  grants: new Map(),
  staleMs: 0,
}

const template: CertificateTemplate = {
  publicKey: key.publicKey,
  type: 'user',
  keyId: 'alice',
  principals: ['root'],
  validAfter: at(-1),
  validBefore: at(60),
  extensions: {
    'teleport-roles': '["dev"]',
    'teleport-traits': '{"logins":["root"]}',
    'teleport-route-to-cluster': 'example',
  },
}
const ask = (
  change: Partial<CertificateTemplate> = {},
  extensions: Record<string, string | undefined> = {},
  more: Partial<UserAsk> & { ca?: typeof userCa } = {},
) => {
  const all = Object.entries({ ...template.extensions, ...extensions })
  const kept = Object.fromEntries(all.filter((entry): entry is [string, string] => entry[1] !== undefined))
  const certificate = issueCertificateSync({ ...template, ...change, extensions: kept }, more.ca ?? userCa, env)
  return authenticateUser(state, {
    certificate,
    login: 'login' in more ? more.login : 'root',
    sourceAddress: more.sourceAddress ?? '203.0.113.7',
    now: env.now(),
    isOpen: more.isOpen ?? false,
  })
}

test('a good certificate gives the user with what they still have', () => {
  const verdict = ask({}, { 'teleport-roles': '["ops","dev","dev","prod","gone"]' })
  expect(verdict).toMatchObject({
    ok: true,
    identity: { user: 'alice', roleNames: ['ops', 'dev'], traits: { logins: ['root'] }, expires: at(60) },
  })
})

test('a trait value that the user has lost since is gone', () => {
  const verdict = ask({}, { 'teleport-traits': '{"logins":["root","www"],"team":["a"]}' })
  expect(verdict.ok && verdict.identity.traits).toEqual({ logins: ['root'] })
})

test('without a login the principals are not judged, but there must be some', () => {
  expect(ask({ principals: ['-none'] }, {}, { login: undefined }).ok).toBe(true)
})

describe('refused', () => {
  const row = (name: string, verdict: ReturnType<typeof ask>, reason: RegExp) => ({ name, verdict, reason })
  test.each([
    row('expired (V1)', ask({ validAfter: at(-120), validBefore: at(-2) }), /expired/),
    row('not yet valid (V2)', ask({ validAfter: at(60), validBefore: at(120) }), /not valid for another/),
    row('signed by a foreign authority (V4)', ask({}, {}, { ca: otherCa }), /not a trusted user authority/),
    row('signed by its own key (V4)', ask({}, {}, { ca: key }), /not a trusted user authority/),
    row('a host certificate of the user authority (V5)', ask({ type: 'host' }), /host certificate where a user/),
    row('a user certificate of the host authority (V5)', ask({}, {}, { ca: hostCa }), /not a trusted user authority/),
    row('another login (V7)', ask({ principals: ['ubuntu', 'root,www'].slice(0, 1) }), /not among the principals/),
    row(
      'a foreign address (V8)',
      ask({ criticalOptions: { 'source-address': '10.9.9.9/32' } }),
      /may not be used from/,
    ),
    row(
      'a malformed address list (V8)',
      ask({ criticalOptions: { 'source-address': '10.9.9.9/99' } }),
      /may not be used/,
    ),
    row('an unknown critical option (V9)', ask({ criticalOptions: { 'foo@x': '1' } }), /unknown critical option/),
    row('another cluster (V17)', ask({}, { 'teleport-route-to-cluster': 'leaf' }), /for the cluster "leaf"/),
    row('no cluster (V17)', ask({}, { 'teleport-route-to-cluster': undefined }), /for the cluster ""/),
    row('a user who was removed (V18)', ask({ keyId: 'bob' }), /does not exist any more/),
    row('a name in other case (A3)', ask({ keyId: 'Alice' }), /does not exist any more/),
    row(
      'an earlier user of the name (V18)',
      ask({}, { 'teleport-user-since': '2025-01-01T00:00:00.000Z' }),
      /earlier user/,
    ),
    row('no role left (V18)', ask({}, { 'teleport-roles': '["prod","gone"]' }), /none of the certificate's roles/),
    row('no roles', ask({}, { 'teleport-roles': undefined }), /malformed/),
    row('malformed roles', ask({}, { 'teleport-roles': '{"dev":1}' }), /malformed/),
    row('malformed traits', ask({}, { 'teleport-traits': '[' }), /malformed/),
  ])('$name', ({ verdict, reason }) => {
    expect(verdict.ok).toBe(false)
    expect(verdict.ok ? '' : verdict.reason).toMatch(reason)
  })
})

test('an unknown extension is ignored (V9), a matching address accepted (V8)', () => {
  expect(ask({}, { 'foo@x': '' }).ok).toBe(true)
  expect(ask({ criticalOptions: { 'source-address': '203.0.113.0/24' } }).ok).toBe(true)
})

test('what was let in goes on when its authority was replaced, and ends with its user or roles all the same', () => {
  const replaced = { ca: otherCa }
  expect(ask({}, {}, replaced)).toMatchObject({
    ok: false,
    reason: expect.stringContaining('not a trusted user authority'),
  })
  expect(ask({}, {}, { ...replaced, isOpen: true })).toMatchObject({ ok: true })
  expect(ask({ keyId: 'bob' }, {}, { ...replaced, isOpen: true })).toMatchObject({ ok: false })
  expect(ask({}, { 'teleport-roles': '["prod"]' }, { ...replaced, isOpen: true })).toMatchObject({ ok: false })
})

describe('locks', () => {
  const locked = (target: Lock['target']): ClusterState => {
    const locks = new LockIndex()
    locks.put({ id: 'x', target, message: 'why' })
    return { ...state, locks }
  }
  const askFor = (more: Partial<UserAsk> = {}): UserAsk => ({
    certificate: issueCertificateSync(template, userCa, env),
    login: 'root',
    sourceAddress: '10.0.0.1',
    now: env.now(),
    ...more,
  })
  test.each([
    { name: 'the user', target: { user: 'alice' } },
    { name: 'a role of the certificate', target: { role: 'dev' } },
    { name: 'the login', target: { login: 'root' } },
    { name: 'the node', target: { node: 'web-1' } },
  ])('$name: refused with the words of the lock', ({ target }) => {
    const verdict = authenticateUser(locked(target), askFor({ node: ['web-1'] }))
    expect(verdict).toMatchObject({
      ok: false,
      locked: true,
      user: 'alice',
      reason: expect.stringMatching(/is locked: why$/),
    })
  })
  test('a certificate that is not good is refused for that: strangers learn of no locks', () => {
    const certificate = issueCertificateSync(template, otherCa, env)
    expect(authenticateUser(locked({ user: 'alice' }), askFor({ certificate }))).toMatchObject({
      ok: false,
      locked: false,
    })
  })
  test('of what is open, an expired certificate is no reason, a lock is', () => {
    const now = new Date(env.now().getTime() + 48 * 3_600_000)
    expect(authenticateUser(state, askFor({ now }))).toMatchObject({ ok: false })
    expect(authenticateUser(state, askFor({ now, isOpen: true }))).toMatchObject({ ok: true })
    expect(authenticateUser(locked({ user: 'alice' }), askFor({ now, isOpen: true }))).toMatchObject({ locked: true })
  })
})
