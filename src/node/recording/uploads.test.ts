import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { realEnv } from '../../common/env.ts'
import { waitFor } from '../../common/testing/wait-for.ts'
import { AccessDenied, BadParameter, LimitExceeded } from '../../errors/errors.ts'
import { setUpRecorder, TestAuth, tapOptions } from './testing/recorder.ts'

/** No test waits for the next attempt. */
const backoff = { initialMs: 2, maxMs: 5 }
const files = async (dir: string): Promise<string[]> => (await fs.readdir(dir)).filter((name) => name.endsWith('.rec'))

test('while auth is away everything waits on the disk, and goes when it is back', async () => {
  await using setup = await setUpRecorder({ limits: { backoff } })
  const { auth, recorder } = setup
  auth.goAway()
  const options = tapOptions()
  const tap = await recorder.open(options)
  for (let line = 0; line < 100; line++) await tap.output(Buffer.from(`${line} ${'x'.repeat(20_000)}\r\n`))
  await tap.end(['alice'])
  expect(recorder.pendingBytes).toBeGreaterThan(0)
  const calls = auth.calls
  await waitFor(() => expect(auth.calls).toBeGreaterThan(calls + 3))
  expect(await auth.store.get(options.header.sid)).toBeUndefined()
  auth.problem = undefined
  await waitFor(async () => expect(await auth.store.get(options.header.sid)).toMatchObject({ state: 'complete' }))
  expect((await auth.output(options.header.sid)).length).toBe(100 * 20_000 + 290 + 200)
  expect(options.failures).toEqual([])
  expect(setup.failed).toEqual([])
})

test.each([
  { name: 'denies', problem: new AccessDenied('not yours') },
  { name: 'refuses', problem: new BadParameter('data', 'no') },
])('a recording that auth $name for good goes into quarantine, with one event', async ({ problem }) => {
  await using setup = await setUpRecorder({ limits: { backoff } })
  const { auth, recorder, dir } = setup
  auth.problem = problem
  const options = tapOptions()
  const tap = await recorder.open(options)
  tap.output(Buffer.from('hello'))
  await waitFor(async () => expect(await fs.readdir(join(dir, 'quarantine'))).toHaveLength(1))
  expect(setup.failed).toEqual([{ sid: options.header.sid, reason: expect.stringContaining(problem.message) }])
  expect(options.failures).toHaveLength(1)
  expect(auth.calls).toBe(6)
  // The session goes on, unrecorded, with its screen.
  expect(tap.output(Buffer.from(' world'))).toBeUndefined()
  expect((await tap.screen()).data).toContain('hello world')
  await tap.end([])
  expect(await files(dir)).toEqual([])
  expect(recorder.pendingBytes).toBe(0)
  expect(auth.calls).toBe(6)
})

test('the quarantine has a limit', async () => {
  await using setup = await setUpRecorder({ limits: { backoff, quarantineBytes: 3000, attempts: 1 } })
  setup.auth.problem = new BadParameter('data', 'no')
  for (let i = 0; i < 12; i++) {
    const tap = await setup.recorder.open(tapOptions())
    await tap.end([])
  }
  await waitFor(() => expect(setup.failed).toHaveLength(12))
  await waitFor(async () => {
    const quarantine = join(setup.dir, 'quarantine')
    const sizes = await Promise.all(
      (await fs.readdir(quarantine)).map(async (name) => (await fs.stat(join(quarantine, name))).size),
    )
    expect(sizes.length).toBeGreaterThan(0)
    expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(3000)
  })
})

test('an auth service without room is waited for', async () => {
  await using setup = await setUpRecorder({ limits: { backoff } })
  setup.auth.problem = new LimitExceeded('no room')
  const options = tapOptions()
  const tap = await setup.recorder.open(options)
  await tap.end([])
  await waitFor(() => expect(setup.auth.calls).toBeGreaterThan(10))
  setup.auth.problem = undefined
  const { sid } = options.header
  await waitFor(async () => expect(await setup.auth.store.get(sid)).toMatchObject({ state: 'complete' }))
  expect(setup.failed).toEqual([])
})

test('a lost acknowledgement of the end is no failure', async () => {
  const auth = new TestAuth()
  const complete = auth.complete.bind(auth)
  let lost = 0
  auth.complete = async (...args) => {
    await complete(...args)
    if (lost++ === 0) throw new Error('connection reset')
  }
  await using setup = await setUpRecorder({ auth, limits: { backoff, attempts: 1 } })
  const tap = await setup.recorder.open(tapOptions())
  await tap.end([])
  await waitFor(async () => expect(await files(setup.dir)).toEqual([]))
  expect(setup.failed).toEqual([])
})

test('recordings wait for each other only a few at a time', async () => {
  const auth = new TestAuth()
  let running = 0
  let most = 0
  auth.beforeAppend = async () => {
    most = Math.max(most, ++running)
    await realEnv.sleep(5)
    running--
  }
  await using setup = await setUpRecorder({ auth, limits: { parallel: 3 } })
  const taps = await Promise.all(Array.from({ length: 20 }, () => setup.recorder.open(tapOptions())))
  await Promise.all(taps.map((tap) => tap.end([])))
  await waitFor(async () => expect(await files(setup.dir)).toEqual([]))
  expect(most).toBeLessThanOrEqual(3)
})

test('what auth has leaves the disk before the session ends', async () => {
  const { InlineWorker } = await import('./testing/recorder.ts')
  await using setup = await setUpRecorder({ startWorker: new InlineWorker(realEnv, 100_000).start })
  const tap = await setup.recorder.open(tapOptions())
  const noise = Buffer.from(Array.from({ length: 40_000 }, () => 33 + Math.floor(Math.random() * 90)))
  for (let i = 0; i < 60; i++) await tap.output(noise)
  await waitFor(async () => {
    expect(await files(setup.dir)).toHaveLength(1)
    expect(await files(setup.dir)).not.toEqual([expect.stringContaining('.0.')])
  })
  await tap.end([])
})
