/** The acceptance suite of audit stores. A driver's test file calls `auditSuite` with a factory. */

import { describe, expect, onTestFinished, test } from 'vitest'
import { type FakeEnv, fakeEnv } from '../common/fake-env.ts'
import { type AuditEvent, newEvent } from './events.ts'
import type { AuditQuery, AuditStore } from './store.ts'

export const loginEvent = (
  env: FakeEnv,
  user: string,
  extra: { error?: string; 'addr.remote'?: string } = {},
): AuditEvent =>
  newEvent(env, {
    event: 'user.login',
    cluster_name: 'c',
    user,
    method: 'local',
    success: extra.error === undefined,
    ...extra,
  })

const execEvent = (env: FakeEnv, user: string, sid: string, command: string): AuditEvent =>
  newEvent(env, {
    event: 'exec',
    cluster_name: 'c',
    user,
    login: user,
    sid,
    command,
    server_id: 's',
    server_hostname: 'h',
    exitCode: '0',
  })

export function auditSuite(name: string, open: () => Promise<AuditStore>): void {
  const check = (title: string, run: (store: AuditStore, env: FakeEnv) => Promise<void>) =>
    test(title, async () => {
      const store = await open()
      onTestFinished(() => store.close())
      await run(store, fakeEnv())
    })
  const users = async (store: AuditStore, query: AuditQuery) =>
    (await store.search(query)).events.map((event) => ('user' in event ? event.user : ''))

  describe(`${name}: audit store`, () => {
    check('events come back whole, newest first, with a growing index', async (store, env) => {
      const first = loginEvent(env, 'alice')
      const second = loginEvent(env, 'bob', { error: 'wrong password', 'addr.remote': '10.0.0.1:5' })
      await store.append([first])
      await store.append([second])
      const { events, next } = await store.search({})
      expect(next).toBeUndefined()
      expect(events).toEqual([
        { ei: 2, ...second },
        { ei: 1, ...first },
      ])
      expect(events.map((event) => event.code)).toEqual(['T1000W', 'T1000I'])
    })
    check('an event delivered twice is stored once', async (store, env) => {
      const event = loginEvent(env, 'alice')
      await store.append([event, event])
      await store.append([event, loginEvent(env, 'bob')])
      expect(await users(store, { order: 'oldest' })).toEqual(['alice', 'bob'])
    })
    check('filters', async (store, env) => {
      await store.append([loginEvent(env, 'alice')])
      await env.advance(60_000)
      const sid = env.randomUuid()
      await store.append([execEvent(env, 'bob', sid, 'cat "x" 100%_\\d')])
      await env.advance(60_000)
      await store.append([loginEvent(env, 'carol', { error: 'no such thing' })])
      const start = new Date('2026-01-01T00:00:00Z').getTime()
      expect(await users(store, { user: 'alice' })).toEqual(['alice'])
      expect(await users(store, { sid })).toEqual(['bob'])
      expect(await users(store, { types: ['exec'] })).toEqual(['bob'])
      expect(await users(store, { types: ['exec', 'user.login'] })).toEqual(['carol', 'bob', 'alice'])
      expect(await users(store, { types: [] })).toEqual([])
      expect(await users(store, { from: new Date(start + 60_000) })).toEqual(['carol', 'bob'])
      expect(await users(store, { to: new Date(start + 60_000) })).toEqual(['alice'])
      expect(await users(store, { from: new Date(start + 1), to: new Date(start + 60_001) })).toEqual(['bob'])
      expect(await users(store, { text: 'NO SUCH' })).toEqual(['carol'])
      for (const text of ['"x"', '100%', '%_', '\\d']) expect(await users(store, { text })).toEqual(['bob'])
      expect(await users(store, { text: '100%d' })).toEqual([])
      expect(await users(store, { user: "' OR 1=1 --" })).toEqual([])
    })
    check('pages cover everything once, both ways', async (store, env) => {
      await store.append(Array.from({ length: 25 }, (_, n) => loginEvent(env, `u${n}`)))
      for (const order of ['newest', 'oldest'] as const) {
        const found: string[] = []
        let cursor: string | undefined
        do {
          const page = await store.search({ limit: 10, order, ...(cursor === undefined ? {} : { cursor }) })
          found.push(...page.events.map((event) => ('user' in event ? (event.user ?? '') : '')))
          cursor = page.next
        } while (cursor !== undefined)
        const all = Array.from({ length: 25 }, (_, n) => `u${n}`)
        expect(found).toEqual(order === 'oldest' ? all : all.reverse())
      }
    })
    check('a search through many events finds the rare one', async (store, env) => {
      await store.append([loginEvent(env, 'needle')])
      for (let batch = 0; batch < 5; batch++)
        await store.append(Array.from({ length: 1000 }, () => loginEvent(env, 'hay')))
      expect(await users(store, { text: 'needle' })).toEqual(['needle'])
      expect((await store.search({ limit: 1e9 })).events).toHaveLength(1000)
    })
    check('bad limits and forged cursors are refused', async (store) => {
      for (const limit of [0, -1, 1.5, Number.NaN])
        await expect(store.search({ limit })).rejects.toMatchObject({ kind: 'BadParameter' })
      for (const cursor of ['', 'x', '-1', '1.5', '1 OR 1', '9'.repeat(40)]) {
        await expect(store.search({ cursor })).rejects.toMatchObject({ kind: 'BadParameter' })
      }
      await expect(store.search({ text: 'x'.repeat(1001) })).rejects.toMatchObject({ kind: 'BadParameter' })
    })
    check('a malformed event refuses its whole delivery', async (store, env) => {
      const good = loginEvent(env, 'alice')
      const bad = [
        { ...good, code: 'T9999I' },
        { ...good, uid: 'x' },
        { ...good, time: 'noon' },
        { ...good, event: '__proto__' },
        [],
        'x',
      ]
      for (const event of bad) {
        await expect(store.append([loginEvent(env, 'bob'), event as AuditEvent])).rejects.toMatchObject({
          kind: 'BadParameter',
        })
      }
      expect((await store.search({})).events).toEqual([])
    })
    check('concurrent deliveries keep the order within each', async (store, env) => {
      await Promise.all(
        Array.from({ length: 50 }, (_, n) => store.append([loginEvent(env, `a${n}`), loginEvent(env, `b${n}`)])),
      )
      const found = await users(store, { order: 'oldest', limit: 1000 })
      expect(found).toHaveLength(100)
      for (let n = 0; n < 50; n++) expect(found.indexOf(`a${n}`)).toBe(found.indexOf(`b${n}`) - 1)
    })
    check('the export is one valid JSON line per event, whatever is in it', async (store, env) => {
      const nasty = 'a\nb"c\u2028\ud800\u0000<img>'
      await store.append([loginEvent(env, nasty), loginEvent(env, 'x'.repeat(1_000_000))])
      const lines: string[] = []
      for await (const line of store.exportLines({})) lines.push(line)
      expect(lines).toHaveLength(2)
      for (const line of lines) {
        expect(line).not.toContain('\n')
        expect(line.length).toBeLessThan(10_000)
        JSON.parse(line)
      }
      expect(JSON.parse(lines[0] ?? '')).toMatchObject({ ei: 1, user: nasty.toWellFormed() })
      expect(JSON.parse(lines[1] ?? '')).toMatchObject({ ei: 2, trimmed: ['user'] })
    })
    check('closed means closed', async (store) => {
      await store.close()
      await expect(store.search({})).rejects.toMatchObject({ kind: 'ConnectionProblem' })
      await expect(store.append([])).rejects.toMatchObject({ kind: 'ConnectionProblem' })
    })
  })
}
