import { describe, expect, test } from 'vitest'
import { maxLockStaleness } from '../access/locks.ts'
import { fakeEnv } from '../common/fake-env.ts'
import { silentLogger } from '../common/log.ts'
import { AccessGuard } from './access-guard.ts'
import type { ChangeKind } from './cluster-snapshot.ts'

const turns = async (count = 20) => {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve))
}

function setUp() {
  const env = fakeEnv()
  const stop = new AbortController()
  let tell: (kind: ChangeKind, id: string) => void = () => undefined
  const state = { staleMs: 0 }
  const guard = new AccessGuard({
    onChange: (listener) => {
      tell = listener
    },
    staleMs: () => state.staleMs,
    env,
    logger: silentLogger,
    signal: stop.signal,
  })
  const bad = new Set<string>()
  const ended: string[] = []
  const judged: string[] = []
  const open = (user: string) =>
    guard.add({
      user,
      judge: () => {
        judged.push(user)
        return bad.has(user) ? `${user} is locked` : undefined
      },
      end: (reason) => ended.push(reason),
    })
  return { env, stop, guard, state, bad, ended, judged, open, change: (kind: ChangeKind, id = 'x') => tell(kind, id) }
}

describe('what is open is judged again', () => {
  test.each(['lock', 'role', 'authority', 'config'] as const)('all of it, after a change of kind %s', async (kind) => {
    const { open, bad, ended, change, guard } = setUp()
    for (let i = 0; i < 500; i++) open(`user${i}`)
    bad.add('user7').add('user499')
    change(kind)
    await turns()
    expect(ended).toEqual(['user7 is locked', 'user499 is locked'])
    expect(guard.size).toBe(498)
    change(kind)
    await turns()
    expect(ended).toHaveLength(2)
  })

  test('only that of the user who changed; nothing for the presence of servers', async () => {
    const { open, judged, change } = setUp()
    for (const user of ['alice', 'bob', 'alice']) open(user)
    judged.length = 0
    change('user', 'alice')
    change('presence')
    await turns()
    expect(judged).toEqual(['alice', 'alice'])
  })

  test('what changes while it is looked at is looked at again', async () => {
    const { open, bad, ended, change } = setUp()
    for (let i = 0; i < 300; i++) open(`user${i}`)
    change('lock')
    await turns(1)
    bad.add('user0')
    change('lock')
    await turns()
    expect(ended).toEqual(['user0 is locked'])
  })

  test('one who was let in just before the lock is ended as it comes', () => {
    const { open, bad, ended } = setUp()
    bad.add('alice')
    open('alice')
    expect(ended).toEqual(['alice is locked'])
  })

  test('what has gone is not judged', async () => {
    const { open, judged, change } = setUp()
    open('alice')()
    judged.length = 0
    change('lock')
    await turns()
    expect(judged).toEqual([])
  })

  test('one that cannot be judged does not keep the others from it', async () => {
    const { guard, open, bad, ended, change } = setUp()
    let broken = false
    const judge = () => {
      if (broken) throw new Error('broken')
      return undefined
    }
    guard.add({ user: 'x', judge, end: () => undefined })
    open('alice')
    broken = true
    bad.add('alice')
    change('lock')
    await turns()
    expect(ended).toEqual(['alice is locked'])
  })
})

test('silence alone is a reason to look, once', async () => {
  const { env, state, open, judged, bad, ended } = setUp()
  open('alice')
  judged.length = 0
  state.staleMs = maxLockStaleness
  env.advance(1_000)
  await turns()
  expect(judged).toEqual([])
  state.staleMs = maxLockStaleness + 1_000
  bad.add('alice')
  env.advance(1_000)
  await turns()
  expect(ended).toEqual(['alice is locked'])
})
