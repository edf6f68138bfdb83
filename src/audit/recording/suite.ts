/** The acceptance suite of recording stores. A driver's test file calls `recordingSuite` with a factory. */

import { createHash } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import { describe, expect, onTestFinished, test } from 'vitest'
import { MAX_CHUNK_TEXT } from './limits.ts'
import type { RecordingStore } from './store.ts'
import { chunkOf, endOf, headerOf, nth, record, serverA, serverB } from './testing/make.ts'
import type { Chunk, RecordingSummary } from './types.ts'

type Open = (onComplete: (summary: RecordingSummary) => Promise<void>) => Promise<RecordingStore>

export function recordingSuite(name: string, open: Open): void {
  const check = (
    title: string,
    run: (store: RecordingStore, told: RecordingSummary[]) => Promise<void>,
    onComplete?: (summary: RecordingSummary) => Promise<void>,
  ) =>
    test(title, async () => {
      const told: RecordingSummary[] = []
      const store = await open(async (summary) => {
        await onComplete?.(summary)
        told.push(summary)
      })
      onTestFinished(() => store.close())
      await run(store, told)
    })
  const refused = async (promise: Promise<unknown>, kind: string, message = /./, what = '') => {
    const error = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    )
    expect(error, what).toMatchObject({ kind })
    expect(String(error), what).toMatch(message)
  }
  const texts = async (chunks: AsyncIterable<Chunk>) => (await Array.fromAsync(chunks)).map(({ index }) => index)

  describe(`${name}: recording store`, () => {
    check('what goes in comes out', async (store) => {
      const header = headerOf({ command: 'ls -l' })
      const { sid } = header
      expect(await store.get(sid)).toBeUndefined()
      const begun = await store.begin(header)
      expect(begun.next).toBe(0)
      expect(await store.get(sid)).toMatchObject({ ...header, state: 'running', chunks: 0, bytes: 0, participants: [] })
      const chunks = [nth(0), nth(1), nth(2)]
      const chains: string[] = []
      for (const chunk of chunks) {
        const progress = await store.append(sid, serverA, chunk)
        expect(progress.next).toBe(chunk.index + 1)
        chains.push(progress.chain)
      }
      const read = await Array.fromAsync(store.read(sid, 0))
      expect(read).toMatchObject(chunks)
      expect(read.map(({ chain }) => chain)).toEqual(chains)
      const summary = await store.complete(sid, serverA, endOf(3, chains[2] ?? ''))
      expect(summary).toEqual(await store.get(sid))
      expect(summary).toMatchObject({
        ...header,
        state: 'complete',
        chunks: 3,
        durationMs: 2900,
        participants: ['alice', 'bob'],
      })
      expect(summary.bytes).toBe(chunks.reduce((sum, { data }) => sum + data.length, 0))
      expect(await store.verify(sid, summary.chain)).toEqual({ ok: true, chunks: 3, chain: summary.chain })
    })
    check('begin goes on where it was, for the same server only, and not after the end', async (store) => {
      const header = headerOf()
      await store.begin(header)
      const { chain } = await store.append(header.sid, serverA, nth(0))
      expect(await store.begin(header)).toEqual({ next: 1, chain })
      await refused(store.begin({ ...header, serverId: serverB }), 'AccessDenied')
      await store.complete(header.sid, serverA, endOf(1, chain))
      await refused(store.begin(header), 'AlreadyExists')
    })
    check('another server touches nothing', async (store) => {
      const header = headerOf()
      const { chain } = await store.begin(header)
      await refused(store.append(header.sid, serverB, nth(0)), 'AccessDenied')
      await refused(store.complete(header.sid, serverB, endOf(0, chain)), 'AccessDenied')
      expect(await store.get(header.sid)).toMatchObject({ state: 'running', chunks: 0 })
    })
    check('gaps, repetitions and other content', async (store) => {
      const header = headerOf()
      const { sid } = header
      await refused(store.append(sid, serverA, nth(0)), 'NotFound')
      await store.begin(header)
      await refused(store.append(sid, serverA, nth(1)), 'CompareFailed', /wanted next is 0/)
      const first = await store.append(sid, serverA, nth(0))
      const second = await store.append(sid, serverA, nth(1))
      expect(await store.append(sid, serverA, nth(0))).toEqual(second)
      expect(await store.append(sid, serverA, nth(1))).toEqual(second)
      await refused(store.append(sid, serverA, chunkOf(1, [[1, 'o', 'other']])), 'CompareFailed', /next is 2/)
      await refused(store.append(sid, serverA, nth(3)), 'CompareFailed', /next is 2/)
      expect(first.chain).not.toBe(second.chain)
      expect(await store.get(sid)).toMatchObject({ chunks: 2 })
    })
    check('the same chunk many times at once is stored once', async (store) => {
      const header = headerOf()
      await store.begin(header)
      const answers = await Promise.all(Array.from({ length: 8 }, () => store.append(header.sid, serverA, nth(0))))
      expect(new Set(answers.map((answer) => JSON.stringify(answer))).size).toBe(1)
      expect(await store.get(header.sid)).toMatchObject({ chunks: 1, bytes: nth(0).data.length })
    })
    const good = nth(0)
    const two = Buffer.concat([good.data, good.data])
    const hash = (data: Buffer) => createHash('sha256').update(data).digest('hex')
    const of = (data: Buffer, textBytes = good.textBytes): Chunk => ({ ...good, data, sha256: hash(data), textBytes })
    const bomb = zstdCompressSync(Buffer.alloc(MAX_CHUNK_TEXT + 1, 10))
    const broken = Buffer.from('28b52ffd2065150000ffff', 'hex')
    const skippable = Buffer.from('502a4d180400000061626364', 'hex')
    const badChunks: readonly (readonly [string, Chunk, RegExp])[] = [
      ['a wrong hash', { ...good, sha256: '0'.repeat(64) }, /hash/],
      ['a wrong length of the text', { ...good, textBytes: good.textBytes - 1 }, /bytes of text/],
      ['no zstd', of(Buffer.from('hello hello hello')), /zstd frame/],
      ['nothing', of(Buffer.alloc(0)), /zstd frame/],
      ['half a frame', of(good.data.subarray(0, good.data.length - 3)), /zstd frame/],
      ['two frames', of(two, good.textBytes * 2), /follows the frame/],
      ['something behind the frame', of(Buffer.concat([good.data, Buffer.from('x')])), /follows the frame/],
      ['a skippable frame', of(Buffer.concat([skippable, good.data])), /zstd frame/],
      ['more text than allowed', of(bomb, MAX_CHUNK_TEXT), /text/],
      ['too many bytes', of(Buffer.alloc(1024 * 1024 + 1)), /at most/],
      ['a line that is not whole', of(zstdCompressSync(Buffer.from('[1,"o","x"]')), 11), /end with a line/],
      ['bytes that are no UTF-8', of(zstdCompressSync(Buffer.from([0xff, 0xfe, 10])), 3), /UTF-8/],
      ['an end before its start', { ...good, fromMs: 5, toMs: 4 }, /ends before/],
      ['a broken block', of(broken, 101), /expanded/],
    ]
    check('a chunk that is not what it says is refused', async (store) => {
      const header = headerOf()
      await store.begin(header)
      for (const [what, chunk, message] of badChunks) {
        await refused(store.append(header.sid, serverA, chunk), 'BadParameter', message, what)
        expect(await store.get(header.sid), what).toMatchObject({ chunks: 0, bytes: 0 })
      }
    })
    check('time does not go back from chunk to chunk', async (store) => {
      const header = headerOf()
      await store.begin(header)
      await store.append(header.sid, serverA, chunkOf(0, [[10, 'o', 'x']]))
      await refused(store.append(header.sid, serverA, chunkOf(1, [[9, 'o', 'x']])), 'BadParameter')
    })
    check('completing', async (store, told) => {
      const header = headerOf()
      const { sid } = header
      const { chain } = await store.begin(header)
      await refused(store.complete(sid, serverA, endOf(1, chain)), 'CompareFailed', /wanted next is 0/)
      const progress = await store.append(sid, serverA, nth(0))
      await refused(store.complete(sid, serverA, endOf(1, chain)), 'CompareFailed')
      const end = endOf(1, progress.chain, { interrupted: true, failure: 'the disk was full' })
      const summary = await store.complete(sid, serverA, end)
      expect(summary).toMatchObject({ state: 'interrupted', failure: 'the disk was full' })
      expect(summary.chain).not.toBe(progress.chain)
      expect(await store.complete(sid, serverA, end)).toEqual(summary)
      expect(await store.complete(sid, serverA, { ...end, participants: ['mallory'] })).toEqual(summary)
      expect(told).toEqual([summary])
      await refused(store.append(sid, serverA, nth(1)), 'CompareFailed', /complete/)
      expect(await store.append(sid, serverA, nth(0))).toEqual(progress)
    })
    let failures = 1
    check(
      'an end that nobody could be told is told with the next try',
      async (store, told) => {
        const header = headerOf()
        const { chain } = await store.begin(header)
        await expect(store.complete(header.sid, serverA, endOf(0, chain))).rejects.toThrow('no log')
        const summary = await store.complete(header.sid, serverA, endOf(0, chain))
        expect(told).toEqual([summary])
      },
      async () => {
        if (failures-- > 0) throw new Error('no log')
      },
    )
    check('seeking finds the keyframe before', async (store) => {
      const { sid } = await record(store, 45)
      for (const [at, index] of [
        [0, 0],
        [9_999, 0],
        [10_000, 10],
        [10_900, 10],
        [39_999, 30],
        [44_000, 40],
        [99_999_999, 40],
      ] as const) {
        expect((await store.seek(sid, at)).index, `at ${at}`).toBe(index)
      }
      expect(await texts(store.read(sid, 40))).toEqual([40, 41, 42, 43, 44])
      expect(await texts(store.read(sid, 45))).toEqual([])
    })
    check('what is not there', async (store) => {
      const { sid } = headerOf()
      await refused(store.seek(sid, 0), 'NotFound')
      await refused(Array.fromAsync(store.read(sid, 0)), 'NotFound')
      await refused(store.verify(sid), 'NotFound')
      await refused(store.complete(sid, serverA, endOf(0, '0'.repeat(64))), 'NotFound')
      const header = headerOf()
      await store.begin(header)
      await refused(store.seek(header.sid, 0), 'NotFound')
    })
    check('an id that is none is no path', async (store) => {
      const ids = [
        '',
        '..',
        '../../../etc/passwd',
        `${headerOf().sid}/..`,
        headerOf().sid.toUpperCase(),
        'x'.repeat(9999),
      ]
      for (const sid of ids) {
        const calls = [
          () => store.begin(headerOf({ sid })),
          () => store.append(sid, serverA, nth(0)),
          () => store.complete(sid, serverA, endOf(0, '')),
          () => store.get(sid),
          () => store.seek(sid, 0),
          () => store.verify(sid),
          () => Array.fromAsync(store.read(sid, 0)),
        ]
        for (const call of calls) await refused((async () => call())(), 'BadParameter')
      }
    })
    check('verify knows a recording that is not the one of the audit log', async (store) => {
      const { sid, chain } = await record(store, 2)
      const other = await record(store, 2)
      expect(await store.verify(sid, chain)).toMatchObject({ ok: true })
      expect(await store.verify(sid, other.chain)).toMatchObject({ ok: false, chunk: 2 })
    })
    check('header and end are tied to the chain', async (store) => {
      const one = headerOf()
      const header = { ...one, sid: one.sid }
      const { chain } = await record(store, 1, header)
      const bench = await open(async () => undefined)
      onTestFinished(() => bench.close())
      for (const change of [{ user: 'bob' }, { command: 'x' }, { started: '2026-11-20T10:00:00.001Z' }]) {
        const store2 = await open(async () => undefined)
        onTestFinished(() => store2.close())
        expect((await record(store2, 1, { ...header, ...change })).chain).not.toBe(chain)
      }
      expect((await record(bench, 1, header, { participants: [] })).chain).not.toBe(chain)
    })
    check('lists and filters, newest first', async (store) => {
      const at = (day: number) => `2026-11-${String(day).padStart(2, '0')}T10:00:00.000Z`
      const a = await record(store, 1, { started: at(1), user: 'alice' }, { participants: ['alice', 'carol'] })
      const b = await record(
        store,
        1,
        { started: at(2), user: 'bob', serverHostname: 'db1' },
        { participants: ['bob'] },
      )
      const c = headerOf({ started: at(3), user: 'carol', serverId: serverB, serverHostname: 'db1' })
      await store.begin(c)
      const sids = async (query: Parameters<RecordingStore['list']>[0]) =>
        (await store.list(query)).recordings.map(({ sid }) => sid)
      expect(await sids({})).toEqual([c.sid, b.sid, a.sid])
      expect(await sids({ user: 'carol' })).toEqual([c.sid, a.sid])
      expect(await sids({ participant: 'carol' })).toEqual([c.sid, a.sid])
      expect(await sids({ participant: 'carol', user: 'alice' })).toEqual([a.sid])
      expect(await sids({ user: 'Carol' })).toEqual([])
      expect(await sids({ node: 'db1' })).toEqual([c.sid, b.sid])
      expect(await sids({ node: serverB })).toEqual([c.sid])
      expect(await sids({ from: new Date(at(2)) })).toEqual([c.sid, b.sid])
      expect(await sids({ from: new Date(at(1)), to: new Date(at(3)) })).toEqual([b.sid, a.sid])
      expect(await sids({ user: 'carol', node: 'db1' })).toEqual([c.sid])
      expect((await store.list({})).recordings[2]).toEqual(a)
      expect((await Array.fromAsync(store.all())).map(({ sid }) => sid)).toEqual([a.sid, b.sid, c.sid])
      const first = await store.list({ limit: 2 })
      expect(first.recordings).toHaveLength(2)
      const second = await store.list({ limit: 2, ...(first.next === undefined ? {} : { cursor: first.next }) })
      expect(second.recordings.map(({ sid }) => sid)).toEqual([a.sid])
      expect(second.next).toBeUndefined()
      await refused((async () => store.list({ cursor: "1' OR 1" }))(), 'BadParameter')
    })
    check('removing the old ones', async (store) => {
      const old = await record(store, 1, { started: '2026-01-01T00:00:00Z' }, { ended: '2026-01-02T00:00:00Z' })
      const young = await record(store, 1, { started: '2026-01-01T12:00:00Z' }, { ended: '2026-03-02T00:00:00Z' })
      expect(await store.removeBefore(new Date('2026-01-02T00:00:00Z'))).toEqual([])
      expect(await store.removeBefore(new Date('2026-02-01T00:00:00Z'))).toEqual([old.sid])
      expect(await store.get(old.sid)).toBeUndefined()
      await refused(store.verify(old.sid), 'NotFound')
      expect((await store.list({})).recordings.map(({ sid }) => sid)).toEqual([young.sid])
      expect(await store.removeBefore(new Date('2026-02-01T00:00:00Z'))).toEqual([])
    })
  })
}
