import { spawn } from 'node:child_process'
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdDecompressSync } from 'node:zlib'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { firstLink, nextLink } from '../../audit/recording/chain.ts'
import { headerOf, nth } from '../../audit/recording/testing/make.ts'
import { castLine } from '../../audit/recording/write-cast.ts'
import { silentLogger } from '../../common/log.ts'
import { ownProcess } from '../../common/process-owner.ts'
import { waitFor } from '../../common/testing/wait-for.ts'
import { encodeFrame, segmentFile, tailFile } from './spool-format.ts'
import { adoptRecordings } from './spool-recovery.ts'
import type { SpooledRecording } from './spooled-recording.ts'
import { setUpRecorder, TestAuth, tapOptions } from './testing/recorder.ts'

/** Where waiting for the disk costs nothing: thousands of files are recovered here. */
const memory = existsSync('/dev/shm') ? '/dev/shm' : tmpdir()
let dir: string
beforeEach(async () => {
  dir = await fs.mkdtemp(join(memory, 'spool-'))
})
afterEach(() => fs.rm(dir, { recursive: true, force: true }))

/** No process has it. */
const gone = '999999-1'
const adopt = () => adoptRecordings({ dir, owner: '1-2', log: silentLogger, onBytes: () => {} })

interface Content {
  readonly chunks: readonly string[]
  readonly end: unknown
}

async function contentOf(recording: SpooledRecording): Promise<Content> {
  const chunks: string[] = []
  let end: unknown
  await recording.each(async (frame) => {
    if (frame.kind === 'chunk') chunks.push(frame.sha256)
    else end = frame
  })
  return { chunks, end }
}

describe('recovery', () => {
  const header = headerOf()
  const chunks = [0, 1, 2].map(nth)
  const chain = chunks.reduce(nextLink, firstLink(header.sid))
  const begin = encodeFrame({ kind: 'begin', header, segment: 0, index: 0, chain: firstLink(header.sid), toMs: 0 })
  const frames = chunks.map((chunk) => encodeFrame({ kind: 'chunk', ...chunk }))
  const end = { ended: '2026-11-20T11:00:00.000Z', chunks: 3, chain, participants: ['alice'], interrupted: false }
  const whole = Buffer.concat([begin, ...frames, encodeFrame({ kind: 'end', ...end })])
  const name = segmentFile({ sid: header.sid, segment: 0, owner: gone })

  test('keeps every whole chunk of a file that is cut anywhere, and nothing else', async () => {
    const ends = frames.map((_, index) => begin.length + Buffer.concat(frames.slice(0, index + 1)).length)
    for (let cut = 0; cut <= whole.length; cut++) {
      await fs.writeFile(join(dir, name), whole.subarray(0, cut))
      const [recording] = await adopt()
      if (cut < begin.length) {
        expect(recording, `cut at ${cut}`).toBeUndefined()
        expect(await fs.readdir(dir)).toEqual([])
        continue
      }
      const kept = ends.filter((at) => at <= cut).length
      const content = recording === undefined ? undefined : await contentOf(recording)
      expect(content?.chunks.slice(0, kept), `cut at ${cut}`).toEqual(chunks.slice(0, kept).map(({ sha256 }) => sha256))
      // Whoever cut it off is told in a chunk of its own.
      expect(content?.chunks.length).toBe(cut === whole.length ? kept : kept + 1)
      expect(content?.end).toMatchObject({ interrupted: cut !== whole.length, chunks: content?.chunks.length })
      await recording?.remove()
    }
    expect(await fs.readdir(dir)).toEqual([])
  })

  test('leaves out what is behind a flipped bit', async () => {
    const at = begin.length + (frames[0]?.length ?? 0) + 40
    const damaged = Buffer.from(whole)
    damaged.writeUInt8(damaged.readUInt8(at) ^ 1, at)
    await fs.writeFile(join(dir, name), damaged)
    const [recording] = await adopt()
    expect(await (recording === undefined ? undefined : contentOf(recording))).toMatchObject({
      chunks: [chunks[0]?.sha256, expect.any(String)],
      end: { interrupted: true },
    })
  })

  test('goes on in the next file where the first was given up', async () => {
    const second = encodeFrame({
      kind: 'begin',
      header,
      segment: 1,
      index: 1,
      chain: nextLink(firstLink(header.sid), nth(0)),
      toMs: 0,
    })
    await fs.writeFile(join(dir, name), Buffer.concat([begin, ...frames.slice(0, 2)]))
    const other = nth(1)
    await fs.writeFile(
      join(dir, segmentFile({ sid: header.sid, segment: 1, owner: gone })),
      Buffer.concat([second, encodeFrame({ kind: 'chunk', ...other, toMs: other.toMs + 5 })]),
    )
    const [recording] = await adopt()
    const content = recording === undefined ? undefined : await contentOf(recording)
    expect(content?.chunks).toHaveLength(3)
    expect(content?.end).toMatchObject({ chunks: 3, chain: recording?.position.chain })
  })

  test.each([
    { what: 'all of it', index: 2, cut: 0, expected: ['one', 'two'] },
    { what: 'without what was torn', index: 2, cut: 1, expected: ['one'] },
    { what: 'not when its chunk is there', index: 1, cut: 0, expected: [] },
    { what: 'not when a chunk before it is missing', index: 3, cut: 0, expected: [] },
  ])('keeps the lines of a chunk that was never closed: $what', async ({ index, cut, expected }) => {
    const toMs = nth(1).toMs
    const parts = ['one', 'two'].map((text, part) => {
      const data = Buffer.from(castLine(toMs + part, 'o', text))
      return encodeFrame({ kind: 'tail', index, part, fromMs: toMs, toMs: toMs + part, keyframe: false, data })
    })
    const tail = Buffer.concat(parts)
    await fs.writeFile(join(dir, name), Buffer.concat([begin, ...frames.slice(0, 2)]))
    await fs.writeFile(join(dir, tailFile({ sid: header.sid, owner: gone })), tail.subarray(0, tail.length - cut))
    const [recording] = await adopt()
    const last: string[] = []
    await recording?.each(async (frame) => {
      if (frame.kind === 'chunk' && frame.index === 2) last.push(String(zstdDecompressSync(frame.data)))
    })
    const lines = last.join('').trim().split('\n')
    expect(lines.slice(0, -1).map((line) => JSON.parse(line)[2])).toEqual(expected)
    expect(lines.at(-1)).toContain('the node ended before the session did')
    await recording?.remove()
    expect(await fs.readdir(dir)).toEqual([])
  })

  test('removes the lines of a recording that is at auth', async () => {
    await fs.writeFile(join(dir, tailFile({ sid: header.sid, owner: gone })), 'x')
    expect(await adopt()).toEqual([])
    expect(await fs.readdir(dir)).toEqual([])
  })

  test('leaves alone what a running process writes, and strange files', async () => {
    await fs.writeFile(join(dir, segmentFile({ sid: header.sid, segment: 0, owner: await ownProcess() })), whole)
    await fs.writeFile(join(dir, 'README'), 'x')
    await fs.symlink('/etc/passwd', join(dir, segmentFile({ sid: randomUUID(), segment: 0, owner: gone })))
    expect(await adopt()).toEqual([])
    expect(await fs.readFile('/etc/passwd', 'utf8')).toContain('root')
  })
})

test('kill -9 at random moments loses nothing that was on the disk, and the next node completes it', async () => {
  const auth = new TestAuth()
  const sids: string[] = []
  for (let round = 0; round < 3; round++) {
    const sid = randomUUID()
    sids.push(sid)
    const script = new URL('./testing/write-spool.ts', import.meta.url).pathname
    const child = spawn(process.execPath, [script, dir, sid], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(child.stdout, 'data')
    await new Promise((resolve) => setTimeout(resolve, Math.random() * 300))
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
  await using _ = await setUpRecorder({ dir, auth })
  for (const sid of sids) {
    await waitFor(async () => expect(await auth.store.get(sid)).toMatchObject({ state: 'interrupted' }))
    expect(await auth.store.verify(sid)).toMatchObject({ ok: true })
    const lines = await auth.lines(sid)
    expect(lines.at(-1)).toMatchObject({ 1: 'm', 2: 'the node ended before the session did' })
    // Lines without a gap from the first on.
    const numbers = [...new Set([...(await auth.output(sid)).matchAll(/^line (\d+) /gm)].map(([, n]) => Number(n)))]
    expect(numbers).toEqual(numbers.map((_, index) => index))
  }
  // A file goes a moment after auth has said that it has all of it.
  const left = async () => (await fs.readdir(dir)).filter((name) => name.endsWith('.rec'))
  await waitFor(async () => expect(await left()).toEqual([]))
})

test('what was sent before a restart is not sent again, and the rest follows', async () => {
  const auth = new TestAuth()
  const options = tapOptions()
  const { sid } = options.header
  {
    await using first = await setUpRecorder({ dir, auth, owner: '999998-1' })
    const tap = await first.recorder.open(options)
    tap.output(Buffer.from('before\r\n'))
    await waitFor(async () => expect(await auth.output(sid)).toContain('before'))
    auth.goAway()
    tap.output(Buffer.from('after\r\n'))
    await tap.end(['alice'])
  }
  expect((await fs.readdir(dir)).length).toBeGreaterThan(0)
  auth.problem = undefined
  await using _ = await setUpRecorder({ dir, auth })
  await waitFor(async () => expect(await auth.store.get(sid)).toMatchObject({ state: 'complete' }))
  expect(await auth.output(sid)).toBe('before\r\nafter\r\n')
})

test('the spool is private', async () => {
  const auth = new TestAuth()
  auth.goAway()
  const spool = join(dir, 'recordings')
  await using setup = await setUpRecorder({ dir: spool, auth })
  const tap = await setup.recorder.open(tapOptions({ strict: true }))
  expect((await fs.stat(spool)).mode & 0o777).toBe(0o700)
  const [file = ''] = await fs.readdir(spool)
  expect((await fs.stat(join(spool, file))).mode & 0o777).toBe(0o600)
  await tap.end([])
})
