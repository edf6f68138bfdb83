import { readdir } from 'node:fs/promises'
import { expect, test } from 'vitest'
import { waitFor } from '../../common/testing/wait-for.ts'
import { setUpRecorder, tapOptions } from './testing/recorder.ts'
import { startWorkerThread } from './worker-thread.ts'

const files = async (dir: string): Promise<string[]> => (await readdir(dir)).filter((name) => name.endsWith('.rec'))

test('a session is recorded by the worker, sent, and leaves nothing on the disk', async () => {
  await using setup = await setUpRecorder({ startWorker: startWorkerThread })
  const options = tapOptions()
  const tap = await setup.recorder.open(options)
  expect(tap.output(Buffer.from('hello \xff\r\n', 'latin1'))).toBeUndefined()
  tap.resize(100, 40)
  tap.mark('bob joined')
  const umlaut = Buffer.from('ü')
  tap.output(umlaut.subarray(0, 1))
  await new Promise((resolve) => setImmediate(resolve))
  tap.output(umlaut.subarray(1))
  expect(await tap.screen()).toMatchObject({ columns: 100, rows: 40, data: expect.stringContaining('hello \ufffd') })
  await tap.end(['alice', 'bob'])
  const { sid } = options.header
  await waitFor(async () => expect(await setup.auth.store.get(sid)).toMatchObject({ state: 'complete' }))
  const lines = await setup.auth.lines(sid)
  expect(lines.map(([, code, data]) => [code, data])).toEqual([
    ['o', 'hello \ufffd\r\n'],
    ['r', '100x40'],
    ['m', 'bob joined'],
    ['o', 'ü'],
  ])
  expect(await setup.auth.store.get(sid)).toMatchObject({ participants: ['alice', 'bob'] })
  expect(await setup.auth.store.verify(sid)).toMatchObject({ ok: true })
  await waitFor(async () => expect(await files(setup.dir)).toEqual([]))
  expect(setup.recorder.pendingBytes).toBe(0)
  expect(setup.failed).toEqual([])
})
