/** The acceptance suite of audit stores. A driver's test file calls `auditSuite` with a factory. */

import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { type FakeEnv, fakeEnv } from '../common/fake-env.ts'
import type { Head } from './chain.ts'
import { type AuditEvent, newEvent } from './events.ts'
import { type ExportVerdict, type VerifyExportOptions, verifyExport } from './export.ts'
import type { AuditFilter, AuditQuery, AuditStore, VerifyStep } from './store.ts'

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

export async function exportLines(store: AuditStore, filter: AuditFilter): Promise<string[]> {
  const lines: string[] = []
  for await (const some of store.export(filter)) lines.push(...some)
  return lines
}

export function verifyLines(lines: readonly string[], options: VerifyExportOptions = {}): Promise<ExportVerdict> {
  const bytes = async function* () {
    for (const line of lines) yield Buffer.from(line)
  }
  return verifyExport(bytes(), options)
}

/** The last step of a verification. */
export async function verdict(store: AuditStore, expected: readonly Head[] = []): Promise<VerifyStep | undefined> {
  let last: VerifyStep | undefined
  for await (const step of store.verify(expected)) last = step
  return last
}

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
      const hash = expect.stringMatching(/^[0-9a-f]{64}$/)
      expect(events).toEqual([
        { ei: 2, hash, ...second },
        { ei: 1, hash, ...first },
      ])
      expect(events[0]?.hash).not.toBe(events[1]?.hash)
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
    check('text finds words, beginnings and phrases, wherever they are in the event', async (store, env) => {
      const sid = env.randomUuid()
      await store.append([
        execEvent(env, 'bob', sid, 'grep -r \'Zürich\' /etc/nginx/nginx.conf | tee "out put.txt"'),
        execEvent(env, 'dora', env.randomUuid(), 'ls /etc'),
        loginEvent(env, 'carol', { error: 'No such thing', 'addr.remote': '10.1.2.3:22' }),
      ])
      const rows: readonly (readonly [string, readonly string[]])[] = [
        ['NO SUCH', ['carol']],
        ['such no', ['carol']],
        ['"such no"', []],
        ['"no such"', ['carol']],
        ['nothing', []],
        ['noth*', []],
        ['thin*', ['carol']],
        ['/etc/nginx', ['bob']],
        ['/etc', ['dora', 'bob']],
        ['/etc/ng', []],
        ['/etc/ng*', ['bob']],
        ['10.1.2.3', ['carol']],
        ['zurich ZÜRICH', ['bob']],
        ['out" put', ['bob']],
        [sid, ['bob']],
        ['user.login', ['carol']],
        ['exec bob', ['bob']],
        // Not a phrase: the words stand in different fields.
        ['"carol no"', []],
      ]
      for (const [text, found] of rows) expect(await users(store, { text }), text).toEqual(found)
    })
    check('phrases are found among many events with the same words', async (store, env) => {
      const commands = ['third second first', 'first\n\t"second"/THIRD', 'second third first ä']
      const wanted = (n: number) => n % 50 === 7
      await store.append(
        Array.from({ length: 400 }, (_, n) =>
          execEvent(env, `u${n}`, env.randomUuid(), commands[wanted(n) ? 1 : 2 * (n % 2)] ?? ''),
        ),
      )
      const found = Array.from({ length: 400 }, (_, n) => n)
        .filter(wanted)
        .map((n) => `u${n}`)
      const questions = [
        '"first second third"',
        'first/second',
        '"first second thi"*',
        '"second third"* "first second"',
      ]
      for (const text of questions) expect(await users(store, { text, order: 'oldest' }), text).toEqual(found)
      await vi.waitFor(async () => {
        const { head, indexedTo } = await store.status()
        expect(indexedTo).toBe(head.ei)
      }, 60_000)
      for (const text of questions) expect(await users(store, { text }), text).toEqual(found.toReversed())
    })
    check('text that is no question is refused or finds nothing, and never fails otherwise', async (store, env) => {
      await store.append([loginEvent(env, 'alice')])
      for (const text of ['%_', '"', '""', '***', '\\', '\0', "'--"])
        await expect(store.search({ text })).rejects.toMatchObject({ kind: 'BadParameter' })
      for (const text of [
        'alice AND',
        'NEAR(alice bob)',
        'alice OR',
        'text:alice',
        '{alice',
        'alice NOT',
        '-alice x',
        '^alice"',
      ])
        await store.search({ text })
      expect(await users(store, { text: '^alice"' })).toEqual(['alice'])
      expect(await users(store, { text: '' })).toEqual(['alice'])
    })
    check('the beginning of an id is found with and without its dashes, also in a phrase', async (store, env) => {
      await store.append([loginEvent(env, 'at 5F1C3C1E-0000-4000-8000-000000000001')])
      for (const text of ['5f1c3c1e0000*', '"at 5f1c3c1e0000*', '"AT 5f1c*', '5f1c3c1e-0000-4000-8000-000000000001'])
        expect(await users(store, { text })).toHaveLength(1)
    })
    check('an export without a filter proves itself, whatever is in it', async (store, env) => {
      const nasty = 'a\nb"c\u2028\ud800\u0000<img>'
      await store.append([loginEvent(env, nasty), loginEvent(env, 'x'.repeat(1_000_000))])
      const lines = await exportLines(store, {})
      expect(lines).toHaveLength(5)
      for (const line of lines) {
        expect(line).not.toContain('\n')
        expect(line.length).toBeLessThan(10_000)
        JSON.parse(line)
      }
      expect(JSON.parse(lines[1] ?? '')).toMatchObject({ ei: 1, user: nasty.toWellFormed() })
      expect(JSON.parse(lines[2] ?? '')).toMatchObject({ ei: 2, trimmed: ['user'] })
      expect(await verifyLines(lines)).toMatchObject({
        problem: undefined,
        filtered: false,
        proof: { events: 2, signedTo: 2 },
      })
    })
    check('an export with a filter says so', async (store, env) => {
      await store.append([loginEvent(env, 'alice'), loginEvent(env, 'bob'), loginEvent(env, 'alice')])
      const lines = await exportLines(store, { user: 'alice' })
      expect(await verifyLines(lines)).toMatchObject({ problem: undefined, filtered: true, proof: { events: 2 } })
    })
    check(
      'an export is bad from the first place where a line was changed, dropped, moved or added',
      async (store, env) => {
        for (let n = 0; n < 6; n++) await store.append([loginEvent(env, `u${n}`)])
        const lines = await exportLines(store, {})
        const spoilt = (change: (copy: string[]) => void) => {
          const copy = [...lines]
          change(copy)
          return verifyLines(copy)
        }
        const change = (copy: string[], at: number, from: string, to: string) => {
          copy[at] = (copy[at] ?? '').replace(from, to)
        }
        expect((await spoilt((copy) => change(copy, 3, 'u2', 'uX'))).problem).toMatchObject({ what: 'changed', ei: 3 })
        expect((await spoilt((copy) => copy.splice(3, 1))).problem).toMatchObject({ what: 'missing', ei: 3 })
        expect((await spoilt((copy) => copy.splice(2, 0, ...copy.splice(3, 1)))).problem).toMatchObject({ ei: 2 })
        expect((await spoilt((copy) => copy.splice(3, 0, copy[2] ?? ''))).problem).toMatchObject({
          what: 'order',
          ei: 2,
        })
        expect((await spoilt((copy) => copy.splice(5))).problem).toMatchObject({ what: 'export', ei: 5 })
        expect((await spoilt((copy) => change(copy, 7, 'signature":"', 'signature":"A'))).problem).toMatchObject({
          what: 'signature',
        })
      },
    )
    check('the log proves itself, and tells the heads that it was expected to contain', async (store, env) => {
      expect(await verdict(store)).toMatchObject({ result: null, proof: { events: 0 } })
      for (let n = 0; n < 30; n++) await store.append([loginEvent(env, `u${n}`)])
      const { head } = await store.status()
      expect(await verdict(store, [head])).toMatchObject({ result: null, proof: { events: 30, head } })
      expect(await verdict(store, [{ ei: 31, hash: head.hash }])).toMatchObject({ result: { what: 'missing', ei: 31 } })
      expect(await verdict(store, [{ ei: 7, hash: head.hash }])).toMatchObject({ result: { what: 'head', ei: 7 } })
    })
    check('a cut removes the oldest events only, says so, and leaves a log that proves itself', async (store, env) => {
      const cut = () =>
        store.cut(env.now(), { uid: env.randomUuid(), time: env.now().toISOString(), cluster_name: 'c' })
      await store.append([loginEvent(env, 'a'), loginEvent(env, 'b')])
      await store.append([loginEvent(env, 'c')])
      await env.advance(1000)
      const late = loginEvent(env, 'late')
      await env.advance(1000)
      await store.append([late])
      expect(await cut()).toMatchObject({ ei: 4, events: 4 })
      expect(await cut()).toBeUndefined()
      const { events } = await store.search({})
      expect(events).toMatchObject([{ ei: 5, event: 'audit.cut', ei_last: 4, events: 4 }])
      expect(await users(store, { text: 'late' })).toEqual([])
      await env.advance(1000)
      await store.append([loginEvent(env, 'd')])
      expect(await verdict(store)).toMatchObject({
        result: null,
        proof: { startsAfter: 4, events: 2, head: { ei: 6 } },
      })
      expect(await verifyLines(await exportLines(store, {}))).toMatchObject({
        problem: undefined,
        proof: { events: 2 },
      })
      expect(await cut()).toMatchObject({ ei: 5 })
      expect(await verdict(store)).toMatchObject({ result: null, proof: { startsAfter: 5, events: 2 } })
    })
    check('closed means closed', async (store) => {
      await store.close()
      await expect(store.search({})).rejects.toMatchObject({ kind: 'ConnectionProblem' })
      await expect(store.append([])).rejects.toMatchObject({ kind: 'ConnectionProblem' })
    })
  })
}
