/**
 * The acceptance suite that every driver must pass. A driver's test file calls `backendSuite` with a factory; a case
 * that a driver cannot run needs a written reason in `skip`.
 */

import { describe, expect, onTestFinished, test } from 'vitest'
import { type FakeEnv, fakeEnv } from '../common/fake-env.ts'
import type { KindError } from '../errors/errors.ts'
import { type Backend, type Item, isResyncNeeded, type Key, rangeAll, type WatchEvent } from './contract.ts'

export interface SuiteContext {
  readonly env: FakeEnv
  /** What one watcher may have waiting; small, so that the overflow case is quick. */
  readonly maxQueuedEvents: number
}

export interface SuiteOptions {
  /** Case name → why this driver cannot run it. */
  readonly skip?: Readonly<Record<string, string>>
}

type Open = (context: SuiteContext) => Promise<Backend>

const MAX_QUEUED = 50

export function backendSuite(name: string, open: Open, options: SuiteOptions = {}): void {
  const check = (title: string, run: (backend: Backend, env: FakeEnv) => Promise<void>) =>
    test.skipIf(options.skip?.[title] !== undefined)(title, async () => {
      const env = fakeEnv()
      const backend = await open({ env, maxQueuedEvents: MAX_QUEUED })
      onTestFinished(() => backend.close())
      await run(backend, env)
    })

  describe(`${name}: single items`, () => {
    check('create, then get', async (backend) => {
      const revision = await backend.create({ key: ['a', 'b'], value: 'one' })
      expect(show(await backend.get(['a', 'b']))).toEqual({ key: 'a/b', value: 'one' })
      expect((await backend.get(['a', 'b'])).revision).toBe(revision)
    })
    check('values are bytes', async (backend) => {
      const value = Buffer.from([0, 255, 128, 10, 0])
      await backend.put({ key: ['x'], value })
      expect((await backend.get(['x'])).value).toEqual(value)
      await backend.put({ key: ['empty'], value: '' })
      expect((await backend.get(['empty'])).value.length).toBe(0)
    })
    check('the caller may reuse its buffer and change what it got', async (backend) => {
      const value = Buffer.from('abc')
      const written = backend.put({ key: ['x'], value })
      value.fill(0)
      await written
      const read = (await backend.get(['x'])).value
      expect(read.toString()).toBe('abc')
      read.fill(0)
      expect((await backend.get(['x'])).value.toString()).toBe('abc')
    })
    check('create refuses an existing item', async (backend) => {
      await backend.create({ key: ['a'], value: '1' })
      await expectKind(backend.create({ key: ['a'], value: '2' }), 'AlreadyExists')
      expect((await backend.get(['a'])).value.toString()).toBe('1')
    })
    check('get, update, delete and keepAlive of a missing item say NotFound', async (backend, env) => {
      await expectKind(backend.get(['no']), 'NotFound')
      await expectKind(backend.update({ key: ['no'], value: '' }), 'NotFound')
      await expectKind(backend.delete(['no']), 'NotFound')
      await expectKind(backend.keepAlive(['no'], env.now()), 'NotFound')
    })
    check('put replaces and changes the revision', async (backend) => {
      const first = await backend.put({ key: ['a'], value: '1' })
      const second = await backend.put({ key: ['a'], value: '1' })
      expect(second).not.toBe(first)
      expect((await backend.get(['a'])).revision).toBe(second)
    })
    check('a revision never returns, not even after delete and create', async (backend) => {
      const seen = new Set<string>()
      for (let round = 0; round < 5; round++) {
        seen.add(await backend.create({ key: ['a'], value: '1' }))
        await backend.delete(['a'])
      }
      expect(seen.size).toBe(5)
    })
    check('compareAndSwap with the current revision swaps, with an old one fails', async (backend) => {
      const first = await backend.create({ key: ['a'], value: '1' })
      const second = await backend.compareAndSwap({ key: ['a'], value: '2' }, first)
      await expectKind(backend.compareAndSwap({ key: ['a'], value: '3' }, first), 'CompareFailed')
      await expectKind(backend.compareAndSwap({ key: ['gone'], value: '3' }, second), 'CompareFailed')
      expect((await backend.get(['a'])).value.toString()).toBe('2')
    })
    check('of twenty concurrent swaps exactly one wins', async (backend) => {
      const revision = await backend.create({ key: ['a'], value: 'start' })
      const swaps = Array.from({ length: 20 }, (_, n) =>
        backend.compareAndSwap({ key: ['a'], value: String(n) }, revision),
      )
      expect((await Promise.allSettled(swaps)).filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    })
    check('of twenty concurrent creates exactly one wins', async (backend) => {
      const creates = Array.from({ length: 20 }, (_, n) => backend.create({ key: ['a'], value: String(n) }))
      expect((await Promise.allSettled(creates)).filter((result) => result.status === 'fulfilled')).toHaveLength(1)
    })
    check('of twenty concurrent conditional deletes exactly one wins', async (backend) => {
      const revision = await backend.create({ key: ['token'], value: 'x' })
      const deletes = Array.from({ length: 20 }, () => backend.conditionalDelete(['token'], revision))
      const results = await Promise.allSettled(deletes)
      expect(results.filter((result) => result.status === 'fulfilled')).toHaveLength(1)
      await expectKind(backend.conditionalDelete(['token'], revision), 'CompareFailed')
    })
    check('conditional delete with an old revision deletes nothing', async (backend) => {
      const old = await backend.create({ key: ['a'], value: '1' })
      await backend.put({ key: ['a'], value: '2' })
      await expectKind(backend.conditionalDelete(['a'], old), 'CompareFailed')
      expect((await backend.get(['a'])).value.toString()).toBe('2')
    })
  })

  describe(`${name}: ranges`, () => {
    check('a range holds the prefix in key order and nothing else', async (backend) => {
      for (const key of [['a', 'c'], ['a'], ['a', 'b', 'x'], ['ab'], ['b'], ['a', 'ü'], ['A', 'b']]) {
        await backend.put({ key, value: key.join('/') })
      }
      expect(keys((await backend.range(['a'])).items)).toEqual(['a', 'a/b/x', 'a/c', 'a/ü'])
      expect(keys((await backend.range([])).items)).toEqual(['A/b', 'a', 'a/b/x', 'a/c', 'a/ü', 'ab', 'b'])
      expect((await backend.range(['nothing'])).items).toEqual([])
    })
    check('pages cover everything once', async (backend) => {
      const all = Array.from({ length: 23 }, (_, n) => `n${String(n).padStart(2, '0')}`)
      await Promise.all(all.map((name) => backend.put({ key: ['p', name], value: '' })))
      const found: string[] = []
      let after: string | undefined
      let pages = 0
      do {
        const page = await backend.range(['p'], { limit: 5, ...(after === undefined ? {} : { after }) })
        found.push(...page.items.map((item) => item.key[1] ?? ''))
        after = page.next
        pages++
      } while (after !== undefined)
      expect(found).toEqual(all)
      expect(pages).toBe(5)
    })
    check('an exact last page has no cursor; a cursor survives the deletion of its item', async (backend) => {
      for (const name of ['1', '2', '3', '4']) await backend.put({ key: ['p', name], value: '' })
      expect((await backend.range(['p'], { limit: 4 })).next).toBeUndefined()
      const { next } = await backend.range(['p'], { limit: 2 })
      await backend.delete(['p', '2'])
      expect(keys((await backend.range(['p'], { after: next ?? '' })).items)).toEqual(['p/3', 'p/4'])
    })
    check('more than a page of items through rangeAll', async (backend) => {
      await Promise.all(Array.from({ length: 1234 }, (_, n) => backend.put({ key: ['m', String(n)], value: '' })))
      let count = 0
      for await (const _ of rangeAll(backend, ['m'])) count++
      expect(count).toBe(1234)
      expect((await backend.range(['m'], { limit: 1e9 })).items).toHaveLength(1000)
    })
    check('bad limits and forged cursors are refused', async (backend) => {
      await backend.put({ key: ['p', '1'], value: '' })
      await backend.put({ key: ['p', '2'], value: '' })
      const { next = '' } = await backend.range(['p'], { limit: 1 })
      for (const limit of [0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY]) {
        await expectKind(backend.range(['p'], { limit }), 'BadParameter')
      }
      for (const after of ['', 'x', '../..', 'AAAA', 'A'.repeat(100_000), `${next}=`]) {
        await expectKind(backend.range(['p'], { after }), 'BadParameter')
      }
      await expectKind(backend.range(['q'], { after: next }), 'BadParameter')
    })
    check('deleteRange deletes the prefix only and counts', async (backend) => {
      for (const key of [['a', '1'], ['a', '2'], ['ab']]) await backend.put({ key, value: '' })
      expect(await backend.deleteRange(['a'])).toBe(2)
      expect(await backend.deleteRange(['a'])).toBe(0)
      expect(keys((await backend.range([])).items)).toEqual(['ab'])
    })
  })

  describe(`${name}: expiry`, () => {
    check('an expired item is gone at once, cleaned up or not', async (backend, env) => {
      const expires = later(env, 1000)
      const revision = await backend.put({ key: ['e'], value: '1', expires })
      expect((await backend.get(['e'])).expires).toEqual(expires)
      // Only the clock moves: no time for any cleaning.
      void env.advance(1000)
      await expectKind(backend.get(['e']), 'NotFound')
      expect((await backend.range([])).items).toEqual([])
      await expectKind(backend.update({ key: ['e'], value: '2' }), 'NotFound')
      await expectKind(backend.compareAndSwap({ key: ['e'], value: '2' }, revision), 'CompareFailed')
      await expectKind(backend.conditionalDelete(['e'], revision), 'CompareFailed')
      await expectKind(backend.delete(['e']), 'NotFound')
      await expectKind(backend.commit([{ op: 'check', key: ['e'], exists: true }]), 'CompareFailed')
      await expectKind(backend.commit([{ op: 'check', key: ['e'], revision }]), 'CompareFailed')
      await backend.create({ key: ['e'], value: '3' })
      expect((await backend.get(['e'])).value.toString()).toBe('3')
    })
    check('put without expiry takes the expiry away', async (backend, env) => {
      await backend.put({ key: ['e'], value: '1', expires: later(env, 1000) })
      await backend.put({ key: ['e'], value: '2' })
      await env.advance(5000)
      expect((await backend.get(['e'])).value.toString()).toBe('2')
    })
    check('keepAlive moves the expiry and keeps the value', async (backend, env) => {
      const first = await backend.put({ key: ['e'], value: '1', expires: later(env, 1000) })
      const second = await backend.keepAlive(['e'], later(env, 10_000))
      expect(second).not.toBe(first)
      await env.advance(5000)
      expect((await backend.get(['e'])).value.toString()).toBe('1')
      await env.advance(5000)
      await expectKind(backend.get(['e']), 'NotFound')
    })
    check('an item that expires gives a delete event', async (backend, env) => {
      const events = await follow(backend, ['e'])
      await backend.put({ key: ['e', '1'], value: '1', expires: later(env, 1500) })
      await events.until(1)
      await env.advance(10_000)
      expect(await events.until(2)).toEqual(['put e/1=1', 'delete e/1'])
    })
  })

  describe(`${name}: atomic changes`, () => {
    check('a token is used and a password set, both or neither', async (backend) => {
      const revision = await backend.create({ key: ['token'], value: 't' })
      const use = (password: string) =>
        backend.commit([
          { op: 'check', key: ['token'], revision },
          { op: 'delete', key: ['token'] },
          { op: 'put', item: { key: ['password'], value: password } },
        ])
      const results = await Promise.allSettled([use('first'), use('second'), use('third')])
      expect(results.map((result) => result.status)).toEqual(['fulfilled', 'rejected', 'rejected'])
      expect((await backend.get(['password'])).value.toString()).toBe('first')
      await expectKind(backend.get(['token']), 'NotFound')
    })
    check('a failed check changes nothing', async (backend) => {
      await backend.put({ key: ['a'], value: '1' })
      await expectKind(
        backend.commit([
          { op: 'put', item: { key: ['a'], value: '2' } },
          { op: 'delete', key: ['b'] },
          { op: 'check', key: ['c'], exists: true },
        ]),
        'CompareFailed',
      )
      expect((await backend.get(['a'])).value.toString()).toBe('1')
    })
    check('checks for absence, presence and revision hold', async (backend) => {
      const revision = await backend.put({ key: ['a'], value: '1' })
      await backend.put({ key: ['b'], value: '1' })
      const written = await backend.commit([
        { op: 'check', key: ['a'], revision },
        { op: 'check', key: ['b'], exists: true },
        { op: 'check', key: ['c'], exists: false },
        { op: 'put', item: { key: ['c'], value: '1' } },
        { op: 'put', item: { key: ['d'], value: '1' } },
      ])
      expect((await backend.get(['c'])).revision).toBe(written)
      expect((await backend.get(['d'])).revision).toBe(written)
    })
    check('the change must be well-formed', async (backend) => {
      await expectKind(backend.commit([]), 'BadParameter')
      const item = { key: ['a'], value: '' }
      await expectKind(
        backend.commit([
          { op: 'put', item },
          { op: 'delete', key: ['a'] },
        ]),
        'BadParameter',
      )
      await expectKind(
        backend.commit(Array.from({ length: 129 }, (_, n) => ({ op: 'delete', key: ['a', String(n)] }) as const)),
        'BadParameter',
      )
      await expectKind(
        backend.commit(
          [1, 2].map((n) => ({ op: 'put', item: { key: [String(n)], value: Buffer.alloc(600_000) } }) as const),
        ),
        'BadParameter',
      )
    })
  })

  describe(`${name}: watch`, () => {
    check('events come in the order of the writes, of this prefix only', async (backend, env) => {
      await backend.put({ key: ['w', 'before'], value: '' })
      const events = await follow(backend, ['w'])
      await backend.put({ key: ['w', '1'], value: 'a' })
      await backend.put({ key: ['other'], value: 'a' })
      await backend.put({ key: ['w2'], value: 'a' })
      await backend.keepAlive(['w', '1'], later(env, 60_000))
      await backend.delete(['w', '1'])
      await backend.commit([
        { op: 'put', item: { key: ['w', '2'], value: 'b' } },
        { op: 'delete', key: ['w', 'before'] },
      ])
      await backend.deleteRange(['w'])
      expect(await events.until(6)).toEqual([
        'put w/1=a',
        'put w/1=a',
        'delete w/1',
        'put w/2=b',
        'delete w/before',
        'delete w/2',
      ])
    })
    check('a refused write gives no event', async (backend) => {
      const events = await follow(backend, [])
      await backend.create({ key: ['a'], value: '1' })
      await expectKind(backend.create({ key: ['a'], value: '2' }), 'AlreadyExists')
      await expectKind(backend.commit([{ op: 'check', key: ['z'], exists: true }]), 'CompareFailed')
      await backend.delete(['a'])
      expect(await events.until(2)).toEqual(['put a=1', 'delete a'])
    })
    check('five hundred concurrent writes give five hundred events without a gap', async (backend) => {
      const events = await follow(backend, ['w'])
      for (let batch = 0; batch < 20; batch++) {
        const base = batch * 25
        await Promise.all(
          Array.from({ length: 25 }, (_, n) => backend.put({ key: ['w', String(base + n)], value: '' })),
        )
        await events.until(base + 25)
      }
      expect(new Set(await events.until(500)).size).toBe(500)
    })
    check('a watcher that falls behind is told to list again', async (backend) => {
      const watcher = await backend.watch([], new AbortController().signal)
      for (let n = 0; n <= MAX_QUEUED; n++) await backend.put({ key: ['w', String(n)], value: '' })
      await expect(drain(watcher)).rejects.toSatisfy(isResyncNeeded)
    })
    check('an aborted watch ends quietly', async (backend) => {
      const controller = new AbortController()
      const ended = drain(await backend.watch([], controller.signal))
      controller.abort()
      await expect(ended).resolves.toBeUndefined()
      await expect(drain(await backend.watch([], AbortSignal.abort()))).resolves.toBeUndefined()
    })
    check('closing the store ends its watchers with an error, and later calls fail', async (backend) => {
      const ended = drain(await backend.watch([], new AbortController().signal))
      await backend.put({ key: ['a'], value: '1' })
      const lastWrite = backend.put({ key: ['b'], value: '1' })
      await backend.close()
      await lastWrite
      await expectKind(ended, 'ConnectionProblem')
      await expectKind(backend.get(['a']), 'ConnectionProblem')
      await expectKind(backend.put({ key: ['a'], value: '1' }), 'ConnectionProblem')
      await expectKind(backend.watch([], new AbortController().signal), 'ConnectionProblem')
    })
  })

  describe(`${name}: bad input`, () => {
    const bad: readonly { name: string; key: Key }[] = [
      { name: 'no segments', key: [] },
      { name: 'an empty segment', key: ['a', ''] },
      { name: 'a zero byte', key: ['a\0b'] },
      { name: 'half a surrogate pair', key: ['\ud800'] },
      { name: 'a long segment', key: ['x'.repeat(513)] },
      { name: 'a long segment in bytes', key: ['ü'.repeat(300)] },
      { name: 'too many segments', key: Array.from({ length: 17 }, () => 'x') },
    ]
    for (const row of bad) {
      check(`a key with ${row.name} is refused`, async (backend) => {
        await expectKind(backend.put({ key: row.key, value: '' }), 'BadParameter')
        await expectKind(backend.get(row.key), 'BadParameter')
        await expectKind(backend.commit([{ op: 'delete', key: row.key }]), 'BadParameter')
      })
    }
    check('keys that look like something else are only keys', async (backend) => {
      const odd = ['__proto__', 'a/b', '..', '%', "'; DROP TABLE items; --", '\x01', '\uffff', '😀']
      for (const key of odd) await backend.put({ key: ['odd', key], value: key })
      for (const key of odd) expect((await backend.get(['odd', key])).value.toString()).toBe(key)
      expect((await backend.range(['odd'])).items).toHaveLength(odd.length)
    })
    check('values are bounded, expiries are times', async (backend) => {
      await backend.put({ key: ['a'], value: Buffer.alloc(1024 * 1024) })
      await expectKind(backend.put({ key: ['a'], value: Buffer.alloc(1024 * 1024 + 1) }), 'BadParameter')
      await expectKind(backend.put({ key: ['a'], value: '', expires: new Date(Number.NaN) }), 'BadParameter')
      await expectKind(backend.keepAlive(['a'], new Date(Number.NaN)), 'BadParameter')
    })
  })
}

const later = (env: FakeEnv, ms: number): Date => new Date(env.now().getTime() + ms)
const show = (item: Item) => ({ key: item.key.join('/'), value: item.value.toString() })
const keys = (items: readonly Item[]) => items.map((item) => item.key.join('/'))

async function expectKind(promise: Promise<unknown>, kind: KindError['kind']): Promise<void> {
  await expect(promise).rejects.toMatchObject({ kind })
}

async function drain(watcher: AsyncIterable<WatchEvent>): Promise<void> {
  for await (const _ of watcher);
}

/** Collects events as text; `until(n)` waits for the n-th. */
async function follow(backend: Backend, prefix: Key): Promise<{ until(count: number): Promise<string[]> }> {
  const controller = new AbortController()
  onTestFinished(() => controller.abort())
  const watcher = await backend.watch(prefix, controller.signal)
  const iterator = watcher[Symbol.asyncIterator]()
  const seen: string[] = []
  return {
    until: async (count) => {
      while (seen.length < count) {
        const next = await iterator.next()
        if (next.done === true) throw new Error('the watch ended early')
        const event = next.value
        const key = (event.type === 'put' ? event.item.key : event.key).join('/')
        seen.push(event.type === 'put' ? `put ${key}=${event.item.value}` : `delete ${key}`)
      }
      return seen
    },
  }
}
