/** The table of docs/decisions/ca-rotation.md: what each phase signs with and trusts, and which may follow which. */

import { describe, expect, test } from 'vitest'
import { openMemoryBackend } from '../backend/memory.ts'
import { fakeEnv } from '../common/fake-env.ts'
import { openTables, type StoredAuthority } from './records.ts'
import {
  nextByItself,
  type Phase,
  phaseOf,
  phases,
  publicRotation,
  type Step,
  takeStep,
  trustedKeys,
} from './rotation-phases.ts'

const start = new Date('2026-03-01T00:00:00Z')
const pair = (name: string) => ({ privateKey: `private ${name}`, publicKey: name })
const fresh = { id: '11111111-1111-4111-8111-111111111111', now: start, makeKey: () => pair('new') }
const standby = (type: 'user' | 'host'): StoredAuthority => ({ type, key: pair('old') })
const step = (phase: Phase, more: Partial<Step> = {}): Step => ({ phase, mode: 'manual', gracePeriod: 300, ...more })

/** Walks there; throws where a step is refused. */
function at(type: 'user' | 'host', way: readonly Phase[], mode: 'auto' | 'manual' = 'manual'): StoredAuthority {
  return way.reduce((record, phase) => {
    const result = takeStep(record, step(phase, { mode }), fresh)
    if (!result.ok) throw new Error(result.reason)
    return result.record
  }, standby(type))
}
const ways = {
  standby: [],
  init: ['init'],
  update_clients: ['init', 'update_clients'],
  update_servers: ['init', 'update_clients', 'update_servers'],
  rollback: ['init', 'update_clients', 'update_servers', 'rollback'],
} as const satisfies Record<Phase, readonly Phase[]>

describe('what signs and what is trusted', () => {
  test.each<{ phase: Phase; user: string[]; host: string[] }>([
    { phase: 'standby', user: ['old'], host: ['old'] },
    { phase: 'init', user: ['old', 'new'], host: ['old', 'new'] },
    { phase: 'update_clients', user: ['new', 'old'], host: ['old', 'new'] },
    { phase: 'update_servers', user: ['new', 'old'], host: ['new', 'old'] },
    { phase: 'rollback', user: ['old', 'new'], host: ['old', 'new'] },
  ])('$phase: the first one signs, all are trusted', ({ phase, user, host }) => {
    expect(trustedKeys(at('user', ways[phase])).map((key) => key.publicKey)).toEqual(user)
    expect(trustedKeys(at('host', ways[phase])).map((key) => key.publicKey)).toEqual(host)
  })

  test.each<{ name: string; way: Phase[]; left: string[]; rotated: boolean }>([
    {
      name: 'a complete rotation leaves the new key alone',
      way: [...ways.update_servers, 'standby'],
      left: ['new'],
      rotated: true,
    },
    { name: 'a rollback leaves the old key alone', way: [...ways.rollback, 'standby'], left: ['old'], rotated: false },
    { name: 'a rollback from init too', way: ['init', 'rollback', 'standby'], left: ['old'], rotated: false },
    {
      name: 'and from update_clients',
      way: [...ways.update_clients, 'rollback', 'standby'],
      left: ['old'],
      rotated: false,
    },
  ])('$name', ({ way, left, rotated }) => {
    const record = at('user', way)
    expect(trustedKeys(record).map((key) => key.publicKey)).toEqual(left)
    expect(record.rotation).toBeUndefined()
    expect(record.rotated).toBe(rotated ? start.toISOString() : undefined)
  })

  test('a grace period of 0 changes the key at once and trusts the old one no more', () => {
    const result = takeStep(standby('host'), step('init', { mode: 'auto', gracePeriod: 0 }), fresh)
    expect(result).toEqual({ ok: true, record: { type: 'host', key: pair('new'), rotated: start.toISOString() } })
  })
})

describe('which phase may follow which', () => {
  const allowed = new Set([
    'standby init',
    'init update_clients',
    'init rollback',
    'update_clients update_servers',
    'update_clients rollback',
    'update_servers standby',
    'update_servers rollback',
    'rollback standby',
  ])
  const rows = phases.flatMap((present) =>
    phases.map((next) => ({ present, next, ok: allowed.has(`${present} ${next}`) })),
  )
  test.each(rows)('$present → $next: $ok', ({ present, next, ok }) => {
    const result = takeStep(at('user', ways[present]), step(next), fresh)
    expect(result.ok).toBe(ok)
    if (result.ok) expect(phaseOf(result.record)).toBe(next)
    else expect(result.reason).toMatch(/authority/)
  })

  test('a second rotation does not begin while one goes on, whatever its grace period', () => {
    const result = takeStep(at('host', ways.init), step('init', { gracePeriod: 0 }), fresh)
    expect(result).toMatchObject({
      ok: false,
      reason: expect.stringContaining('is being rotated already (phase init)'),
    })
  })

  test('a refusal names the ways there are', () => {
    const result = takeStep(at('user', ways.update_clients), step('standby'), fresh)
    expect(result).toMatchObject({
      ok: false,
      reason: expect.stringContaining('update_servers or rollback, not to standby'),
    })
  })

  test('a second rotation keeps when the first one ended until it has ended itself', () => {
    const once = at('user', [...ways.update_servers, 'standby'])
    const again = takeStep(once, step('init'), {
      ...fresh,
      now: new Date('2026-05-01T00:00:00Z'),
      makeKey: () => pair('newer'),
    })
    expect(again).toMatchObject({
      ok: true,
      record: { rotated: start.toISOString(), key: pair('new'), rotation: { key: pair('newer') } },
    })
  })
})

describe('the schedule', () => {
  test.each<{
    phase: Exclude<Phase, 'standby'>
    next: string | undefined
    to: Phase | undefined
    ends: string | undefined
  }>([
    { phase: 'init', next: '00:01:40', to: 'update_clients', ends: '00:05:00' },
    { phase: 'update_clients', next: '00:01:40', to: 'update_servers', ends: '00:03:20' },
    { phase: 'update_servers', next: '00:01:40', to: 'standby', ends: '00:01:40' },
    { phase: 'rollback', next: undefined, to: undefined, ends: undefined },
  ])('$phase: a third of the grace period, counted from its own beginning', ({ phase, next, to, ends }) => {
    const record = at('host', ways[phase], 'auto')
    const time = (text: string | undefined) => (text === undefined ? undefined : `2026-03-01T${text}.000Z`)
    expect(publicRotation(record)?.nextPhase).toBe(time(next))
    expect(publicRotation(record)?.ends).toBe(time(ends))
    expect(nextByItself(record)?.phase).toBe(to)
  })

  test('by hand nothing is due', () => {
    expect(nextByItself(at('host', ways.init))).toBeUndefined()
    expect(nextByItself(standby('host'))).toBeUndefined()
  })

  test('a step by hand ends the automatic mode', () => {
    const result = takeStep(at('user', ways.init, 'auto'), step('update_clients'), fresh)
    expect(result).toMatchObject({ ok: true, record: { rotation: { mode: 'manual' } } })
  })
})

test('a record from before authorities could be rotated is read as one that is not being rotated', async () => {
  const backend = openMemoryBackend(fakeEnv())
  const tables = openTables(backend)
  const old = { type: 'user', keys: [{ privateKey: 'p', publicKey: 'ssh-ed25519 AAAA' }] }
  await backend.put({ key: tables.authorities.key('user'), value: JSON.stringify(old) })
  expect((await tables.authorities.find('user'))?.value).toEqual({
    type: 'user',
    key: { privateKey: 'p', publicKey: 'ssh-ed25519 AAAA' },
  })
  await backend.close()
})
