import { describe, expect, test } from 'vitest'
import {
  describeTarget,
  type Lock,
  LockIndex,
  lockingMode,
  lockReason,
  maxLockStaleness,
  staleReason,
} from './locks.ts'
import { roleSchema } from './schema.ts'

const now = Date.parse('2026-03-01T12:00:00Z')
const node = ['0f3c6a52-3c4e-4f7b-9d43-2f6a0f0a7d11', 'web-1', 'web-1.example.com']
const alice = { user: 'alice', roles: ['dev', 'ops'], login: 'root', node, mfaDevice: ['key-1', 'YubiKey'] }
const lock = (target: Lock['target'], more: Partial<Lock> = {}): Lock => ({ id: 'a', target, message: '', ...more })

describe('who is shut out', () => {
  test.each([
    { name: 'the user', target: { user: 'alice' }, yes: true },
    { name: 'another user', target: { user: 'bob' }, yes: false },
    { name: 'the user in another case is another one', target: { user: 'Alice' }, yes: false },
    { name: 'a beginning of the name is another name', target: { user: 'ali' }, yes: false },
    { name: 'no pattern: a star is a name', target: { user: '*' }, yes: false },
    { name: 'one of the roles', target: { role: 'ops' }, yes: true },
    { name: 'a role that is not there', target: { role: 'prod' }, yes: false },
    { name: 'a role of a name that every object has', target: { role: '__proto__' }, yes: false },
    { name: 'the login', target: { login: 'root' }, yes: true },
    { name: 'another login', target: { login: 'ubuntu' }, yes: false },
    { name: 'the node by uuid', target: { node: node[0] }, yes: true },
    { name: 'the node by uuid in capitals', target: { node: node[0]?.toUpperCase() }, yes: true },
    { name: 'the node by name', target: { node: 'web-1' }, yes: true },
    { name: 'the node by name, whatever the case', target: { node: 'WEB-1' }, yes: true },
    { name: 'the node by its whole name', target: { node: 'web-1.example.com' }, yes: true },
    { name: 'another node', target: { node: 'web-10' }, yes: false },
    { name: 'the second factor by id', target: { mfa_device: 'key-1' }, yes: true },
    { name: 'the second factor by name', target: { mfa_device: 'YubiKey' }, yes: true },
    { name: 'another second factor', target: { mfa_device: 'key-2' }, yes: false },
    { name: 'a user called like the login is not meant', target: { user: 'root' }, yes: false },
    { name: 'two that both fit', target: { user: 'alice', login: 'root' }, yes: true },
    { name: 'two of which the first does not fit', target: { user: 'bob', login: 'root' }, yes: false },
    { name: 'two of which the second does not fit', target: { user: 'alice', login: 'ubuntu' }, yes: false },
    {
      name: 'all five',
      target: { user: 'alice', role: 'dev', login: 'root', node: 'web-1', mfa_device: 'key-1' },
      yes: true,
    },
    { name: 'nothing at all shuts out nobody', target: {}, yes: false },
    { name: 'empty texts shut out nobody', target: { user: '', role: '' }, yes: false },
  ])('$name', ({ target, yes }) => {
    const index = new LockIndex()
    index.put(lock(target))
    expect(index.find(alice, now) !== undefined).toBe(yes)
  })

  test.each([
    { name: 'a moment before it expires', expires: '2026-03-01T12:00:00.001Z', yes: true },
    { name: 'in the moment it expires', expires: '2026-03-01T12:00:00.000Z', yes: false },
    { name: 'long after', expires: '2020-01-01T00:00:00Z', yes: false },
    { name: 'a time that cannot be read never comes', expires: 'tomorrow', yes: true },
  ])('time: $name', ({ expires, yes }) => {
    const index = new LockIndex()
    index.put(lock({ user: 'alice' }, { expires }))
    expect(index.find(alice, now) !== undefined).toBe(yes)
  })

  test('what is not known where the decision is made fits no lock', () => {
    const index = new LockIndex()
    index.put(lock({ login: 'root' }))
    index.put(lock({ node: 'web-1' }, { id: 'b' }))
    expect(index.find({ user: 'alice', roles: ['dev'] }, now)).toBe(undefined)
  })
})

describe('many locks', () => {
  test('an expired one does not hide one that holds, one that was lifted does not hold', () => {
    const index = new LockIndex()
    index.put(lock({ user: 'alice' }, { id: '1', expires: '2020-01-01T00:00:00Z' }))
    index.put(lock({ user: 'alice' }, { id: '2', message: 'holds' }))
    expect(index.find(alice, now)?.id).toBe('2')
    index.delete('2')
    expect(index.find(alice, now)).toBe(undefined)
    index.delete('never there')
    expect(index.size).toBe(1)
  })

  test('one that is replaced counts with its new target only', () => {
    const index = new LockIndex()
    index.put(lock({ user: 'alice' }))
    index.put(lock({ user: 'bob' }))
    expect(index.find(alice, now)).toBe(undefined)
    expect(index.find({ user: 'bob' }, now)?.id).toBe('a')
    expect(index.size).toBe(1)
  })
})

describe('what people read', () => {
  test.each([
    { target: { user: 'alice' }, message: '', text: 'the user "alice" is locked' },
    { target: { user: 'alice' }, message: 'laptop stolen', text: 'the user "alice" is locked: laptop stolen' },
    {
      target: { role: 'dev', login: 'root' },
      message: '',
      text: 'the role "dev" with the login "root" is locked',
    },
    { target: { mfa_device: 'key-1' }, message: '', text: 'the second factor "key-1" is locked' },
  ])('$text', ({ target, message, text }) => expect(lockReason(lock(target, { message }))).toBe(text))

  test('a target in listings', () =>
    expect(describeTarget(lock({ node: 'web-1', user: 'a b' }))).toBe('user="a b" node="web-1"'))
})

describe('when locks may be missing', () => {
  const role = (mode?: string) =>
    roleSchema.parse({
      kind: 'role',
      version: 'v4',
      metadata: { name: 'r' },
      spec: { options: mode === undefined ? {} : { lock: mode } },
    })
  test.each([
    { name: 'nobody says anything', roles: [role()], cluster: 'best_effort', mode: 'best_effort' },
    { name: 'a role says strict', roles: [role(), role('strict')], cluster: 'best_effort', mode: 'strict' },
    { name: 'the cluster says strict', roles: [role()], cluster: 'strict', mode: 'strict' },
    {
      name: 'a role cannot take back what the cluster says',
      roles: [role('best_effort')],
      cluster: 'strict',
      mode: 'strict',
    },
    { name: 'no roles at all', roles: [], cluster: 'strict', mode: 'strict' },
  ] as const)('$name: $mode', ({ roles, cluster, mode }) => {
    expect(lockingMode(roles, cluster)).toBe(mode)
    expect(staleReason(roles, cluster, maxLockStaleness)).toBe(undefined)
    expect(staleReason(roles, cluster, maxLockStaleness + 1) !== undefined).toBe(mode === 'strict')
    expect(staleReason(roles, cluster, Number.POSITIVE_INFINITY) !== undefined).toBe(mode === 'strict')
  })
})
