/** The list and the search of the directory store: with the real thread, over files that were there before or not. */

import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { type Logger, silentLogger } from '../../common/log.ts'
import { CatalogueDatabase, openCatalogueDatabase } from './catalogue-database.ts'
import { indexSome, RecentLines } from './catalogue-index.ts'
import { listRecordings } from './catalogue-search.ts'
import { openRecordingDirectory } from './directory.ts'
import type { RecordingQuery, RecordingStore } from './store.ts'
import { chunkOf, endOf, headerOf, type Line, nth, record, serverA } from './testing/make.ts'

/** The thread of the catalogue comes last on a busy machine. */
const patience = { timeout: 10_000 }

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'recordings-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function openStore(root: string, logger: Logger = silentLogger): Promise<RecordingStore> {
  const store = await openRecordingDirectory(root, { reserveBytes: 0, logger })
  onTestFinished(() => store.close())
  return store
}

const out = (seconds: number, text: string): Line => [seconds, 'o', text]
const found = async (store: RecordingStore, search: string, more: Partial<RecordingQuery> = {}) =>
  (await store.list({ search, ...more })).recordings.map(({ sid, matches }) => [sid, matches])
const sids = async (store: RecordingStore, search: string, more: Partial<RecordingQuery> = {}) =>
  (await store.list({ search, ...more })).recordings.map(({ sid }) => sid)

test('words on screens and in commands are found, with the second', async () => {
  const store = await openStore(join(await tempDir(), 'r'))
  const started = (minute: number) => ({ started: `2026-11-20T10:${minute}:00.000Z` })
  const shell = await record(
    store,
    [
      chunkOf(0, [out(0.5, '$ '), out(1, 'cat /etc/pass'), out(2.5, 'wd\r\n\u001b[1mroot\u001b[0m:x:0:0\r\n')]),
      // Cut in the middle of a word and of a sequence, at the border of two chunks.
      chunkOf(1, [out(3, 'the needle is hay\u001b[')]),
      chunkOf(2, [out(4, '31mstack\r\n$ exit')]),
    ],
    started(10),
  )
  const exec = await record(
    store,
    [chunkOf(0, [out(0, 'ok\r\n')])],
    { ...started(20), command: 'systemctl restart nginx', user: 'bob' },
    { participants: ['bob'] },
  )
  await expect.poll(() => sids(store, 'exit'), patience).toEqual([shell.sid])
  expect(await found(store, '/etc/passwd')).toEqual([[shell.sid, [{ atMs: 2500, text: '$ cat /etc/passwd' }]]])
  expect(await found(store, 'haystack needle')).toEqual([[shell.sid, [{ atMs: 4000, text: 'the needle is haystack' }]]])
  expect(await found(store, '"needle is"')).toHaveLength(1)
  expect(await found(store, '"is needle"')).toHaveLength(0)
  expect(await found(store, 'hays')).toHaveLength(1)
  expect(await found(store, 'hays the')).toHaveLength(0)
  expect(await found(store, 'ROOT')).toHaveLength(1)
  expect(await found(store, 'restart ngin')).toEqual([[exec.sid, [{ atMs: 0, text: 'systemctl restart nginx' }]]])
  expect(await found(store, 'nginx', { participant: 'alice' })).toEqual([])
  expect(await found(store, 'nginx', { participant: 'bob' })).toHaveLength(1)
  await expect(store.list({ search: '"open' })).rejects.toMatchObject({ kind: 'BadParameter' })
  await expect(store.list({ search: '***' })).rejects.toMatchObject({ kind: 'BadParameter' })
})

test('a running recording is searched as it grows, the last line when it is complete', async () => {
  const store = await openStore(join(await tempDir(), 'r'))
  const header = headerOf()
  await store.begin(header)
  await store.append(header.sid, serverA, chunkOf(0, [out(1, 'first\r\nsec')]))
  await expect.poll(() => sids(store, 'first'), patience).toEqual([header.sid])
  const { chain } = await store.append(header.sid, serverA, chunkOf(1, [out(2, 'ond')]))
  expect(await sids(store, 'second')).toEqual([])
  await store.complete(header.sid, serverA, endOf(2, chain))
  await expect.poll(() => sids(store, 'second'), patience).toEqual([header.sid])
  expect((await store.list({ search: 'first' })).recordings[0]).toMatchObject({ state: 'complete', chunks: 2 })
})

test('a catalogue that is missing or damaged is made again from the files, and the log says so', async () => {
  const root = join(await tempDir(), 'r')
  const first = await openStore(root)
  const one = await record(first, [chunkOf(0, [out(1, 'alpha\r\n')])])
  const header = headerOf({ user: 'dora' })
  await first.begin(header)
  await first.append(header.sid, serverA, chunkOf(0, [out(1, 'alpha beta\r\n')]))
  await first.close()
  const warnings: string[] = []
  const logger: Logger = { ...silentLogger, warn: (message) => void warnings.push(message) }
  for (const damage of ['missing', 'nonsense', 'empty']) {
    const names = (await readdir(root)).filter((name) => name.startsWith('catalogue'))
    expect(names).toContain('catalogue.sqlite')
    for (const name of names) await rm(join(root, name))
    if (damage !== 'missing')
      await writeFile(join(root, 'catalogue.sqlite'), damage === 'empty' ? '' : 'x'.repeat(9000), { mode: 0o600 })
    const store = await openStore(root, logger)
    expect((await store.list({})).recordings.map(({ sid }) => sid).sort(), damage).toEqual([one.sid, header.sid].sort())
    await expect.poll(async () => (await sids(store, 'alpha')).length, { ...patience, message: damage }).toBe(2)
    expect((await store.list({ user: 'dora' })).recordings).toMatchObject([
      { sid: header.sid, state: 'running', chunks: 1 },
    ])
    await store.close()
  }
  expect(warnings).toHaveLength(2)
})

test('what happened while the catalogue was not looking is made up for', async () => {
  const root = join(await tempDir(), 'r')
  const first = await openStore(root)
  const gone = await record(first, [chunkOf(0, [out(1, 'gamma\r\n')])])
  const header = headerOf()
  await first.begin(header)
  await first.append(header.sid, serverA, chunkOf(0, [out(1, 'gamma delta\r\n')]))
  await expect.poll(async () => (await sids(first, 'gamma')).length, patience).toBe(2)
  await first.close()
  const blind = await openRecordingDirectory(root, {
    reserveBytes: 0,
    catalogue: { changed() {}, removed() {}, list: async () => ({ recordings: [] }), close: async () => undefined },
  })
  const added = await record(blind, [chunkOf(0, [out(1, 'gamma epsilon\r\n')])], { user: 'carol' })
  const { chain } = await blind.append(header.sid, serverA, chunkOf(1, [out(2, 'zeta\r\n')]))
  await blind.complete(header.sid, serverA, endOf(2, chain))
  await blind.close()
  for (const extension of ['index', 'cast.zst', 'done']) await rm(join(root, '2026', '11', `${gone.sid}.${extension}`))
  const store = await openStore(root)
  expect((await store.list({})).recordings.map(({ sid }) => sid).sort()).toEqual([added.sid, header.sid].sort())
  await expect.poll(async () => (await sids(store, 'gamma')).sort(), patience).toEqual([added.sid, header.sid].sort())
  await expect.poll(() => sids(store, 'zeta'), patience).toEqual([header.sid])
  expect((await store.list({ user: 'carol' })).recordings).toHaveLength(1)
})

test('pages of a search meet every recording once, with and without filters', async () => {
  const path = join(await tempDir(), 'catalogue.sqlite')
  const database = new CatalogueDatabase(path)
  onTestFinished(() => database.close())
  const all = Array.from({ length: 300 }, (_, n) => ({
    ...headerOf({
      // Many in the same second.
      started: new Date(Date.UTC(2026, 0, 1) + Math.floor(n / 7) * 400).toISOString(),
      user: n % 3 === 0 ? 'alice' : 'bob',
      serverHostname: `node${n % 5}`,
      ...(n % 2 === 0 ? { command: `make target${n}` } : {}),
    }),
    state: 'complete' as const,
    ended: '2026-01-02T00:00:00.000Z',
    durationMs: 1,
    chunks: 0,
    bytes: 0,
    chain: '',
    participants: n % 50 === 0 ? ['zoe'] : [],
  }))
  for (const summary of all) database.put('/nowhere', summary)
  const view = { nowMs: () => 0, isGone: () => false }
  const pages = async (query: RecordingQuery) => {
    const found: string[] = []
    let cursor: string | undefined
    do {
      const page = await listRecordings(
        database,
        { ...query, limit: 7, ...(cursor === undefined ? {} : { cursor }) },
        view,
      )
      found.push(...page.recordings.map(({ sid }) => sid))
      cursor = page.next
    } while (cursor !== undefined)
    expect(new Set(found).size).toBe(found.length)
    return found.sort()
  }
  const expected = (fits: (n: number) => boolean) =>
    all
      .filter((_, n) => fits(n))
      .map(({ sid }) => sid)
      .sort()
  expect(await pages({})).toEqual(expected(() => true))
  expect(await pages({ search: 'make' })).toEqual(expected((n) => n % 2 === 0))
  expect(await pages({ search: 'make', user: 'alice' })).toEqual(expected((n) => n % 6 === 0))
  expect(await pages({ search: 'make', participant: 'zoe' })).toEqual(expected((n) => n % 50 === 0))
  expect(await pages({ search: 'make', participant: 'zoe', node: 'node0', user: 'alice' })).toEqual(
    expected((n) => n % 150 === 0),
  )
  expect(await pages({ search: 'target7' })).toEqual(expected((n) => /^7/.test(String(n)) && n % 2 === 0))
  expect(await pages({ search: 'nothing' })).toEqual([])
})

test('one recording fills no more than its share of the index', async () => {
  const dir = await tempDir()
  const root = join(dir, 'r')
  const store = await openRecordingDirectory(root, { reserveBytes: 0 })
  onTestFinished(() => store.close())
  const text = (index: number) =>
    chunkOf(index, [
      out(index, Array.from({ length: 1000 }, (_, n) => `line${index * 1000 + n} ${'x'.repeat(1000)}\r\n`).join('')),
    ])
  const chunks = [0, 1, 2, 3, 4, 5].map(text)
  const { sid } = await record(store, chunks)
  await store.close()
  const database = openCatalogueDatabase(join(dir, 'other.sqlite'), () => undefined)
  onTestFinished(() => database.close())
  const directory = join(root, '2026', '11')
  const summary = {
    ...headerOf({ sid }),
    state: 'complete',
    durationMs: 0,
    chunks: 6,
    bytes: 0,
    chain: '',
    participants: [],
  } as const
  database.put(directory, summary)
  const recent = new RecentLines()
  let cutAtMs: number | undefined
  for (let progress = database.behind(8e12); progress !== undefined; progress = database.behind(8e12)) {
    cutAtMs ??= (await indexSome(database, progress, recent)).cutAtMs
  }
  expect(cutAtMs).toBe(4000)
  const view = { nowMs: () => 0, isGone: () => false }
  expect((await listRecordings(database, { search: 'line4000' }, view)).recordings).toHaveLength(1)
  expect((await listRecordings(database, { search: 'line5999' }, view)).recordings).toHaveLength(0)
})

test('lines that a program draws again and again are there once', async () => {
  const store = await openStore(join(await tempDir(), 'r'))
  const { sid } = await record(
    store,
    [0, 1, 2, 3].map((n) => chunkOf(n, [out(n, '\u001b[Htop - load\r\n')])),
  )
  await expect.poll(() => found(store, 'load'), patience).toEqual([[sid, [{ atMs: 0, text: 'top - load' }]]])
})

test('the dull recording of the suite', async () => {
  const store = await openStore(join(await tempDir(), 'r'))
  const { sid } = await record(store, [nth(0), nth(1)])
  await expect.poll(() => sids(store, '"second 1"'), patience).toEqual([sid])
})
