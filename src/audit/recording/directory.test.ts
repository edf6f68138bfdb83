/** The directory store: the suite, and what files make possible: crashes, damage, full disks, length. */

import { constants } from 'node:fs'
import { cp, mkdtemp, open, readdir, readFile, rename, rm, stat, symlink, truncate, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { fakeEnv } from '../../common/fake-env.ts'
import { silentLogger } from '../../common/log.ts'
import type { Catalogue } from './catalogue.ts'
import { firstLink, nextLink } from './chain.ts'
import { type DirectoryOptions, openRecordingDirectory } from './directory.ts'
import type { Extension } from './disk.ts'
import { encodeHeader, encodeRecord, RECORD_BYTES } from './index-file.ts'
import type { RecordingStore } from './store.ts'
import { recordingSuite } from './suite.ts'
import { endOf, headerOf, nth, record, serverA } from './testing/make.ts'
import type { RecordingSummary, StoredChunkInfo } from './types.ts'

async function tempDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'recordings-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

/** For tests that do not list: a thread takes a while to start. */
const noCatalogue: Catalogue = {
  changed: () => undefined,
  removed: () => undefined,
  list: async () => ({ recordings: [] }),
  close: async () => undefined,
}

async function openStore(root: string, options: DirectoryOptions = {}) {
  const store = await openRecordingDirectory(root, { reserveBytes: 0, catalogue: noCatalogue, ...options })
  onTestFinished(() => store.close())
  return store
}

recordingSuite('directory', async (onComplete) =>
  openRecordingDirectory(join(await tempDir(), 'recordings'), { onComplete, reserveBytes: 0 }),
)

const month = join('2026', '11')
const fileIn = (root: string, sid: string, extension: Extension) => join(root, month, `${sid}.${extension}`)

describe('a crash between any two steps', () => {
  test('loses nothing that was acknowledged, and takes the rest again', async () => {
    const base = await tempDir()
    const root = join(base, 'live')
    const header = headerOf()
    const { sid } = header
    let acknowledged = -1
    let completed = false
    const told: string[] = []
    const copies: {
      readonly dir: string
      readonly step: string
      readonly acknowledged: number
      readonly completed: boolean
    }[] = []
    const onStep = async (step: string) => {
      const dir = join(base, `copy${copies.length}`)
      await cp(root, dir, { recursive: true, filter: (path) => !path.includes('catalogue') })
      copies.push({ dir, step, acknowledged, completed })
    }
    const store = await openStore(root, { onStep, onComplete: async ({ chain }) => void told.push(chain) })
    await store.begin(header)
    acknowledged = 0
    let chain = ''
    for (let n = 0; n < 3; n++) {
      chain = (await store.append(sid, serverA, nth(n))).chain
      acknowledged = n + 1
    }
    const whole = await store.complete(sid, serverA, endOf(3, chain))
    completed = true
    expect(copies.map(({ step }) => step)).toContain('complete: told')
    // Beside what the steps left, what a disk may have made of the write that was under way.
    for (const { dir, step, acknowledged } of [...copies]) {
      if (!step.startsWith('append') || step.endsWith('synced')) continue
      for (const [extension, cut] of [
        ['index', 7],
        ['cast.zst', 3],
        ['cast.zst', nth(acknowledged).data.length],
      ] as const) {
        const other = `${dir}-${extension}${cut}`
        await cp(dir, other, { recursive: true })
        const path = fileIn(other, sid, extension)
        const { size } = await stat(path)
        if (extension === 'index' && step === 'append: content') continue
        await truncate(path, size - cut)
        copies.push({ dir: other, step: `${step}, ${extension} less ${cut}`, acknowledged, completed: false })
      }
    }
    for (const copy of copies) {
      const again: RecordingSummary[] = []
      const next = await openStore(copy.dir, { onComplete: async (summary) => void again.push(summary) })
      const before = await next.verify(sid).catch(() => undefined)
      if (copy.acknowledged >= 0) expect(before, copy.step).toMatchObject({ ok: true })
      if (copy.step.startsWith('complete')) {
        await expect.poll(() => again.map((one) => one.chain), { message: copy.step }).toEqual([whole.chain])
      } else {
        const { next: wanted } = await next.begin(header)
        expect(wanted, copy.step).toBeGreaterThanOrEqual(Math.max(0, copy.acknowledged))
        for (let n = wanted; n < 3; n++) await next.append(sid, serverA, nth(n))
        for (let n = 0; n < 3; n++) expect((await next.append(sid, serverA, nth(n))).chain, copy.step).toBe(chain)
      }
      expect(await next.complete(sid, serverA, endOf(3, chain)), copy.step).toEqual(whole)
      expect(await next.verify(sid, whole.chain), copy.step).toMatchObject({ ok: true })
      await next.close()
    }
    expect(told).toEqual([whole.chain])
  })

  test('a removal that was begun is ended by the next start', async () => {
    const base = await tempDir()
    const root = join(base, 'live')
    const copies: string[] = []
    const onStep = async (step: string) => {
      if (!step.startsWith('remove')) return
      const dir = join(base, `copy${copies.push(step)}`)
      await cp(root, dir, { recursive: true })
    }
    const store = await openStore(root, { onStep })
    await record(store, 2)
    expect(await store.removeBefore(new Date('2027-01-01'))).toHaveLength(1)
    expect(copies).toHaveLength(2)
    for (const n of copies.keys()) {
      const dir = join(base, `copy${n + 1}`)
      await openStore(dir)
      await expect.poll(() => readdir(join(dir, month))).toEqual([])
    }
  })
})

describe('damage', () => {
  interface Bench {
    readonly root: string
    readonly store: RecordingStore
    readonly sid: string
    readonly chain: string
    readonly path: (extension: Extension) => string
    readonly headerBytes: number
    readonly infos: readonly StoredChunkInfo[]
  }
  async function bench(): Promise<Bench> {
    const root = join(await tempDir(), 'recordings')
    const store = await openStore(root)
    const summary = await record(store, 12, { command: 'sh' })
    const { sid, chain } = summary
    const path = (extension: Extension) => fileIn(root, sid, extension)
    const headerBytes = Buffer.byteLength(encodeHeader(headerOf({ sid, command: 'sh' })))
    return { root, store, sid, chain, path, headerBytes, infos: await Array.fromAsync(store.read(sid, 0)) }
  }

  test('any single byte that is changed is found, and the chunk named', async () => {
    const { store, sid, chain, path, headerBytes, infos } = await bench()
    for (const extension of ['cast.zst', 'index', 'done'] as const) {
      const whole = await readFile(path(extension))
      // All of a short file, some hundred places of a long one.
      const step = Math.max(1, Math.floor(whole.length / 150))
      const file = await open(path(extension), 'r+')
      for (let at = 0; at < whole.length; at += step) {
        const byte = whole[at] ?? 0
        await file.write(Buffer.from([byte ^ (1 << (at % 8))]), 0, 1, at)
        const verdict = await store.verify(sid, chain)
        const chunk =
          extension === 'cast.zst'
            ? infos.findIndex(({ offset, bytes }) => at < offset + bytes)
            : extension === 'index'
              ? Math.max(0, Math.floor((at - headerBytes) / RECORD_BYTES))
              : 12
        expect(verdict, `${extension} at ${at}`).toMatchObject({ ok: false, chunk })
        await file.write(Buffer.from([byte]), 0, 1, at)
      }
      await file.close()
    }
    expect(await store.verify(sid, chain)).toMatchObject({ ok: true })
  })

  test.each<readonly [string, number, (bench: Bench) => Promise<void>]>([
    ['a chunk cut from the content', 11, async ({ path, infos }) => truncate(path('cast.zst'), infos[11]?.offset)],
    [
      'a line cut from the index',
      11,
      async ({ path, headerBytes }) => truncate(path('index'), headerBytes + 11 * RECORD_BYTES),
    ],
    [
      'two chunks of the same length exchanged, with their lines',
      5,
      async ({ path, infos, headerBytes }) => {
        const [a, b] = [infos[5], infos[6]]
        const content = await readFile(path('cast.zst'))
        if (a === undefined || b === undefined) throw new Error('no chunks')
        await writeFile(
          path('cast.zst'),
          Buffer.concat([
            content.subarray(0, a.offset),
            content.subarray(b.offset, b.offset + b.bytes),
            content.subarray(a.offset, a.offset + a.bytes),
            content.subarray(b.offset + b.bytes),
          ]),
        )
        const index = await readFile(path('index'))
        const lines = [
          encodeRecord({ ...b, index: 5, offset: a.offset, key: 0 }),
          encodeRecord({ ...a, index: 6, offset: a.offset + b.bytes, key: 0 }),
        ]
        Buffer.concat(lines).copy(index, headerBytes + 5 * RECORD_BYTES)
        await writeFile(path('index'), index)
      },
    ],
    ['something appended to the content', 12, async ({ path }) => writeFile(path('cast.zst'), 'x', { flag: 'a' })],
    ['something appended to the index', 12, async ({ path }) => writeFile(path('index'), ' ', { flag: 'a' })],
    ['the content removed', 0, async ({ path }) => rm(path('cast.zst'))],
    ['the index removed', 0, async ({ path }) => rm(path('index'))],
    ['the end removed', 12, async ({ path }) => rm(path('done'))],
    [
      'the content behind a link',
      0,
      async ({ path, root }) => {
        await rename(path('cast.zst'), join(root, 'elsewhere'))
        await symlink(join(root, 'elsewhere'), path('cast.zst'))
      },
    ],
    [
      'everything made anew, with good hashes',
      12,
      async ({ path, infos, sid }) => {
        let chain = firstLink(sid)
        const lines = infos.map((info) => {
          chain = nextLink(chain, { ...info, toMs: info.toMs + 1 })
          return encodeRecord({ ...info, toMs: info.toMs + 1, chain, key: info.index < 10 ? 0 : 10 })
        })
        const header = headerOf({ sid, command: 'sh' })
        await writeFile(path('index'), Buffer.concat([Buffer.from(encodeHeader(header)), ...lines]))
        const { encodeEnd } = await import('./index-file.ts')
        await writeFile(path('done'), encodeEnd(header, endOf(12, chain)))
      },
    ],
  ])('%s is found', async (_, chunk, change) => {
    const all = await bench()
    const { root, sid, chain } = all
    await change(all)
    for (const store of [all.store, await openStore(root)]) {
      expect(await store.verify(sid, chain)).toMatchObject({ ok: false, chunk })
      expect((await Array.fromAsync(store.all())).map((one) => one.sid)).toEqual([sid])
    }
  })

  test('what is good can still be read', async () => {
    const { root, sid, path, headerBytes } = await bench()
    const index = await readFile(path('index'))
    index.write('x', headerBytes + 3 * RECORD_BYTES)
    await writeFile(path('index'), index)
    const store = await openStore(root)
    const read = await Array.fromAsync(store.read(sid, 0))
    expect(read.map((chunk) => chunk.index)).toEqual([0, 1, 2, 4, 5, 6, 7, 8, 9, 10, 11])
  })

  test('a running recording whose acknowledged part is damaged takes nothing more', async () => {
    const root = join(await tempDir(), 'recordings')
    const store = await openStore(root)
    const header = headerOf()
    await store.begin(header)
    for (let n = 0; n < 3; n++) await store.append(header.sid, serverA, nth(n))
    await store.close()
    await truncate(fileIn(root, header.sid, 'cast.zst'), 10)
    const next = await openStore(root)
    await expect(next.append(header.sid, serverA, nth(3))).rejects.toMatchObject({ errno: 'ECORRUPT' })
    expect((await stat(fileIn(root, header.sid, 'index'))).size).toBeGreaterThan(3 * RECORD_BYTES)
  })
})

test('files and directories are private, and links are not followed', async () => {
  const root = join(await tempDir(), 'recordings')
  const store = await openStore(root)
  const { sid } = await record(store, 1)
  for (const extension of ['cast.zst', 'index', 'done'] as const) {
    expect((await stat(fileIn(root, sid, extension))).mode & constants.S_IRWXU, extension).toBe(0o600)
    expect((await stat(fileIn(root, sid, extension))).mode & 0o077, extension).toBe(0)
  }
  expect((await stat(join(root, month))).mode & 0o777).toBe(0o700)
  const header = headerOf()
  const victim = join(root, 'victim')
  await writeFile(victim, '')
  await symlink(victim, fileIn(root, header.sid, 'cast.zst'))
  await expect(store.begin(header)).rejects.toThrow()
  expect((await readFile(victim)).length).toBe(0)
})

test('the content is a zstd file of asciicast text', async () => {
  const root = join(await tempDir(), 'recordings')
  const store = await openStore(root)
  const { sid } = await record(store, 3)
  const { execFileSync } = await import('node:child_process')
  const text = execFileSync('zstdcat', [fileIn(root, sid, 'cast.zst')], { encoding: 'utf8' })
  expect(text.split('\n')[0]).toBe('{"version":2,"width":80,"height":24}')
  expect(text).toContain('[2,"o","second 2\\r\\n"]')
})

test('a disk with only the reserve left takes no chunk, says so once, and takes them again', async () => {
  const root = join(await tempDir(), 'recordings')
  const logged: string[] = []
  const log = (message: string) => void logged.push(message)
  const env = fakeEnv()
  let free = 1000
  const store = await openStore(root, {
    reserveBytes: 900,
    env,
    logger: { ...silentLogger, error: log, info: log },
    freeSpace: async () => ({ free, total: 1_000_000 }),
  })
  const header = headerOf()
  await store.begin(header)
  await store.append(header.sid, serverA, nth(0))
  free = 899
  await env.advance(1000)
  for (const _ of [1, 2]) {
    await expect(store.append(header.sid, serverA, nth(1))).rejects.toMatchObject({ errno: 'ENOSPC' })
    await expect(store.begin(headerOf())).rejects.toMatchObject({ errno: 'ENOSPC' })
    await env.advance(1000)
  }
  expect(await store.alarm()).toMatch(/no recordings are taken/)
  // What is there is complete all the same, and can be completed.
  expect((await store.begin(header)).next).toBe(1)
  free = 900
  await env.advance(1000)
  expect((await store.append(header.sid, serverA, nth(1))).next).toBe(2)
  expect(await store.alarm()).toBeUndefined()
  expect(logged).toEqual([expect.stringMatching(/no recordings are taken/), 'recordings are taken again'])
})

test('a small disk keeps no more than a twentieth of it free', async () => {
  const root = join(await tempDir(), 'recordings')
  const store = await openStore(root, { reserveBytes: 1e9, freeSpace: async () => ({ free: 51, total: 1000 }) })
  await store.begin(headerOf())
})

test('a write that fails leaves nothing that looks acknowledged', async () => {
  const root = join(await tempDir(), 'recordings')
  let fail = ''
  const store = await openStore(root, {
    onStep: async (step) => {
      if (step === fail) throw Object.assign(new Error('no'), { code: 'EIO' })
    },
  })
  const header = headerOf()
  await store.begin(header)
  await store.append(header.sid, serverA, nth(0))
  for (fail of ['append: content', 'append: index', 'append: synced']) {
    await expect(store.append(header.sid, serverA, nth(1)), fail).rejects.toMatchObject({ errno: 'EIO' })
    expect(await store.get(header.sid), fail).toMatchObject({ chunks: 1, bytes: nth(0).data.length })
  }
  fail = ''
  const { next, chain } = await store.append(header.sid, serverA, nth(1))
  const whole = await store.complete(header.sid, serverA, endOf(next, chain))
  expect(await store.verify(header.sid, whole.chain)).toMatchObject({ ok: true })
})

test('ten hours of chunks: any second is found in a moment', async () => {
  const root = join(await tempDir(), 'recordings')
  const header = headerOf()
  const { sid } = header
  const store = await openStore(root)
  await store.begin(header)
  await store.close()
  // Written directly: that many acknowledged chunks would take minutes.
  const { data, sha256, textBytes } = nth(0)
  let chain = firstLink(sid)
  const lines: Buffer[] = []
  for (let index = 0; index < 36_000; index++) {
    const info = {
      index,
      fromMs: index * 1000,
      toMs: index * 1000 + 900,
      textBytes,
      keyframe: index % 60 === 0,
      sha256,
    }
    chain = nextLink(chain, info)
    lines.push(
      encodeRecord({ ...info, chain, offset: index * data.length, bytes: data.length, key: index - (index % 60) }),
    )
  }
  await writeFile(fileIn(root, sid, 'index'), Buffer.concat(lines), { flag: 'a' })
  await writeFile(fileIn(root, sid, 'cast.zst'), Buffer.concat(Array.from({ length: 36_000 }, () => data)))
  const long = await openStore(root)
  const started = performance.now()
  for (const second of [0, 59, 60, 12_345, 35_999, 100_000]) {
    const chunk = await long.seek(sid, second * 1000)
    expect(chunk.index).toBe(Math.floor(Math.min(second, 35_999) / 60) * 60)
  }
  const sought = performance.now()
  expect(await long.get(sid)).toMatchObject({ chunks: 36_000, durationMs: 35_999_900 })
  expect(await long.verify(sid)).toMatchObject({ ok: true, chunks: 36_000 })
  // On a busy machine too: reading the whole once takes longer than all of these.
  expect(sought - started).toBeLessThan(performance.now() - sought)
})
