import { spawnSync } from 'node:child_process'
import * as fs from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { fakeEnv } from '../../common/fake-env.ts'
import { waitFor } from '../../common/testing/wait-for.ts'
import { InlineWorker, setUpRecorder, TestAuth, tapOptions } from './testing/recorder.ts'
import { type StartWorker, startWorkerThread } from './worker-thread.ts'

const backoff = { initialMs: 2, maxMs: 5 }
/** Text that does not become smaller. */
const noise = (bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, () => 33 + Math.floor(Math.random() * 90)))
const isMounter = process.getuid?.() === 0 && spawnSync('unshare', ['--mount', 'true']).status === 0

describe.runIf(isMounter)('F10 a full disk', () => {
  let disk: string
  beforeEach(async () => {
    disk = await fs.mkdtemp(join(tmpdir(), 'full-disk-'))
    expect(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=1m,mode=700', 'tmpfs', disk]).status).toBe(0)
  })
  afterEach(async () => {
    spawnSync('umount', ['--lazy', disk])
    await fs.rmdir(disk)
  })
  const fill = async () => {
    const file = await fs.open(join(disk, 'ballast'), 'w')
    const block = Buffer.alloc(4096)
    for (;;) {
      const wrote = await file.write(block).catch(() => undefined)
      if (wrote === undefined || wrote.bytesWritten < block.length) break
    }
    await file.close()
  }
  const recordings = () => join(disk, 'recordings')

  test('does not end a session, which is recorded again once there is room; the gap is told', async () => {
    const auth = new TestAuth()
    await using setup = await setUpRecorder({ dir: recordings(), auth, limits: { backoff } })
    const options = tapOptions()
    const tap = await setup.recorder.open(options)
    await tap.output(Buffer.from('before\r\n'))
    await waitFor(async () => expect(await auth.output(options.header.sid)).toContain('before'))
    await fill()
    const lost = noise(900_000)
    await tap.output(lost)
    await waitFor(() => expect(options.failures).toHaveLength(1))
    expect(options.failures[0]?.message).toContain('no space left')
    expect(setup.failed).toHaveLength(1)
    expect(tap.output(Buffer.from('\r\n\x1b[2Jlost too'))).toBeUndefined()
    await fs.rm(join(disk, 'ballast'))
    // Whatever comes now is recorded, at the latest a second later.
    await waitFor(async () => {
      await tap.output(Buffer.from('after '))
      expect(await auth.text(options.header.sid)).toContain('were not recorded')
    })
    await tap.output(Buffer.from('the end'))
    await tap.end(['alice'])
    await waitFor(async () => expect(await auth.store.get(options.header.sid)).toMatchObject({ state: 'complete' }))
    const lines = await auth.lines(options.header.sid)
    const gap = lines.findIndex(
      ([, code, data]) => code === 'm' && /^9\d{5} bytes of output were not recorded: .*no space/i.test(data),
    )
    // The screen as it is then stands before it, so that a player goes on rightly.
    expect(lines.slice(0, gap).findLast(([, code]) => code === 'k')?.[2]).toContain('lost too')
    expect(lines.at(-1)).toMatchObject({ 1: 'o', 2: expect.stringContaining('the end') })
    expect(await auth.store.get(options.header.sid)).toMatchObject({ failure: expect.stringContaining('no space') })
    expect(options.failures).toHaveLength(1)
  })

  test('ends a strict session, and starts none', async () => {
    await using setup = await setUpRecorder({ dir: recordings(), limits: { backoff } })
    const options = tapOptions({ strict: true })
    const tap = await setup.recorder.open(options)
    await fill()
    void tap.output(noise(900_000))?.catch(() => {})
    await waitFor(() => expect(options.failures).toHaveLength(1))
    await expect(tap.output(Buffer.from('unseen'))).rejects.toThrow(/no space/)
    await tap.end(['alice'])
    // What could be kept is with auth by then, which leaves room once more.
    await waitFor(async () => expect((await fs.readdir(recordings())).join()).not.toContain(options.header.sid))
    await fill()
    const other = tapOptions({ strict: true })
    await expect(setup.recorder.open(other)).rejects.toThrow(/no space/)
    expect(other.failures).toEqual([])
    await fs.rm(join(disk, 'ballast'))
    await (await setup.recorder.open(tapOptions({ strict: true }))).end([])
  })
})

test('a full spool ends strict sessions only; there is room again when auth is back', async () => {
  const auth = new TestAuth()
  auth.goAway()
  await using setup = await setUpRecorder({ auth, limits: { backoff, spoolBytes: 400_000 } })
  const strict = tapOptions({ strict: true })
  const other = tapOptions()
  const first = await setup.recorder.open(strict)
  const second = await setup.recorder.open(other)
  for (let i = 0; i < 40; i++) await second.output(noise(40_000))
  void first.output(noise(300_000))?.catch(() => {})
  await waitFor(() => expect([...strict.failures, ...other.failures]).toHaveLength(2))
  await expect(setup.recorder.open(tapOptions({ strict: true }))).rejects.toThrow(/full/)
  expect(second.output(Buffer.from('goes on'))).toBeUndefined()
  auth.problem = undefined
  await first.end([])
  await second.end([])
  await waitFor(async () => expect(await auth.store.get(other.header.sid)).toMatchObject({ state: 'complete' }))
  const marks = (await auth.lines(other.header.sid)).filter(([, code]) => code === 'm').map(([, , text]) => text)
  expect(marks.at(-1)).toMatch(/^\d+ bytes of output were not recorded: the spool of recordings is full/)
  await waitFor(async () => (await setup.recorder.open(tapOptions({ strict: true }))).end([]))
})

test('a worker that dies costs a gap, not the node: the next one goes on', async () => {
  const worker = new InlineWorker()
  await using setup = await setUpRecorder({ startWorker: worker.start })
  const { auth } = setup
  const options = tapOptions()
  const strict = tapOptions({ strict: true })
  const tap = await setup.recorder.open(options)
  const strictTap = await setup.recorder.open(strict)
  tap.output(Buffer.from('before '))
  await waitFor(async () => expect(await auth.output(options.header.sid)).toBe('before '))
  tap.output(Buffer.from('lost'))
  worker.die('out of memory')
  expect(options.failures).toHaveLength(1)
  await waitFor(() => expect(strict.failures).toHaveLength(1))
  await strictTap.end([])
  await waitFor(() => expect(worker.engines).toHaveLength(2))
  tap.output(Buffer.from('after'))
  await tap.end(['alice'])
  for (const { header } of [options, strict]) {
    await waitFor(async () => expect(await auth.store.get(header.sid)).toMatchObject({ state: 'complete' }))
    expect(await auth.store.verify(header.sid)).toMatchObject({ ok: true })
    expect(await auth.text(header.sid)).toContain('bytes of output were not recorded: the recording worker ended')
  }
  expect(await auth.output(options.header.sid)).toBe('before after')
})

test('a thread that runs out of memory does not take the node with it', async () => {
  const gone: unknown[] = []
  const port = startWorkerThread({ message: () => {}, gone: (reason) => gone.push(reason) })
  // Nobody sends this; it makes the worker throw.
  port.post(JSON.parse('{"type":"output","id":1}'))
  port.post(JSON.parse('null'))
  await waitFor(() => expect(gone).toHaveLength(1))
  await port.close()
})

describe('a worker that does not keep up', () => {
  const away = () => {
    const start: StartWorker = ({ message }) => ({
      post: ({ type, ...rest }) => {
        if (type === 'end' && 'id' in rest) message({ type: 'ended', id: rest.id, bytes: 0, complete: false })
      },
      close: async () => {},
    })
    return { env: fakeEnv(), start }
  }

  test('stops the program after so many bytes, and after so many of all', async () => {
    const { env, start } = away()
    await using setup = await setUpRecorder({
      env,
      startWorker: start,
      limits: { sessionBytes: 100_000, totalBytes: 250_000 },
    })
    const taps = await Promise.all([1, 2, 3].map(() => setup.recorder.open(tapOptions())))
    expect(taps.map((tap) => tap.output(Buffer.alloc(90_000)))).toEqual([undefined, undefined, expect.any(Promise)])
    expect(taps[0]?.output(Buffer.alloc(20_000))).toBeInstanceOf(Promise)
  })

  test('costs a session its recording, not its life', async () => {
    const { env, start } = away()
    await using setup = await setUpRecorder({ env, startWorker: start, limits: { sessionBytes: 1000 } })
    const options = tapOptions()
    const tap = await setup.recorder.open(options)
    const wait = tap.output(Buffer.alloc(2000))
    await env.advance(31_000)
    await wait
    expect(options.failures.map(String)).toEqual([expect.stringContaining('does not keep up')])
    expect(tap.output(Buffer.alloc(2000))).toBeUndefined()
  })

  test('ends a strict session', async () => {
    const { env, start } = away()
    await using setup = await setUpRecorder({ env, startWorker: start, limits: { sessionBytes: 1000 } })
    const options = tapOptions({ strict: true })
    const opened = setup.recorder.open(options)
    opened.catch(() => {})
    await env.advance(11_000)
    await expect(opened).rejects.toThrow(/disk with the recordings/)
  })
})
