import { expect, test } from 'vitest'
import { waitFor } from '../../common/testing/wait-for.ts'
import { AccessDenied } from '../../errors/errors.ts'
import { setUpRecorder, TestAuth, tapOptions } from './testing/recorder.ts'

const sync = () => tapOptions({ mode: 'node-sync' })

test('nothing is shown before auth has it', async () => {
  const auth = new TestAuth()
  await using setup = await setUpRecorder({ auth })
  const options = sync()
  const tap = await setup.recorder.open(options)
  const { sid } = options.header
  for (const text of ['one', ' two', ' three']) {
    await tap.output(Buffer.from(text))
    expect(await auth.output(sid)).toContain(text)
  }
  tap.mark('bob joined')
  await tap.end(['alice'])
  // The end waits for auth, too.
  expect(await auth.store.get(sid)).toMatchObject({ state: 'complete' })
  expect((await auth.lines(sid)).at(-1)).toMatchObject({ 1: 'm' })
})

test('what comes while a chunk is on its way goes together', async () => {
  const auth = new TestAuth()
  await using setup = await setUpRecorder({ auth })
  const options = sync()
  const tap = await setup.recorder.open(options)
  await tap.output(Buffer.from('first'))
  const gate = Promise.withResolvers<void>()
  auth.beforeAppend = () => gate.promise
  const before = auth.calls
  const outputs = Array.from({ length: 50 }, (_, i) => tap.output(Buffer.from(`${i} `)))
  tap.resize(90, 30)
  gate.resolve()
  await Promise.all(outputs)
  expect(auth.calls - before).toBeLessThanOrEqual(4)
  expect(await auth.output(options.header.sid)).toContain('48 49 ')
  await tap.end([])
})

test('half a character does not stop a session', async () => {
  await using setup = await setUpRecorder()
  const options = sync()
  const tap = await setup.recorder.open(options)
  const character = Buffer.from('漢')
  await tap.output(character.subarray(0, 1))
  await tap.output(character.subarray(1))
  await tap.output(Buffer.alloc(200_000, 'x'))
  expect((await setup.auth.output(options.header.sid)).length).toBe(200_001)
  await tap.end([])
})

test('no session starts while auth is away', async () => {
  await using setup = await setUpRecorder()
  setup.auth.goAway()
  await expect(setup.recorder.open(sync())).rejects.toThrow(/must be recorded by the auth service.*auth is away/)
})

test('a session ends when auth is away for too long; what it had is sent later', async () => {
  await using setup = await setUpRecorder({ limits: { syncMs: 700 } })
  const { auth } = setup
  const options = sync()
  const tap = await setup.recorder.open(options)
  await tap.output(Buffer.from('shown'))
  auth.goAway()
  const unseen = tap.output(Buffer.from('unseen'))
  await expect(unseen).rejects.toThrow(/not stored/)
  await expect(tap.output(Buffer.from('more'))).rejects.toThrow(/not stored/)
  expect(options.failures).toHaveLength(1)
  expect(setup.failed).toHaveLength(1)
  auth.problem = undefined
  await tap.end(['alice'])
  const { sid } = options.header
  await waitFor(async () => expect(await auth.store.get(sid)).toMatchObject({ state: 'complete' }))
  expect(await auth.store.get(sid)).toMatchObject({ failure: expect.stringContaining('not stored') })
})

test('a session ends when auth refuses', async () => {
  await using setup = await setUpRecorder({ limits: { attempts: 2 } })
  const options = sync()
  const tap = await setup.recorder.open(options)
  await tap.output(Buffer.from('shown'))
  setup.auth.problem = new AccessDenied('no longer yours')
  await expect(tap.output(Buffer.from('unseen'))).rejects.toThrow(/no longer yours/)
  expect(options.failures).toHaveLength(1)
  await tap.end([])
})
