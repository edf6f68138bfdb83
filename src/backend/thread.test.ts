import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Worker } from 'node:worker_threads'
import { describe, expect, onTestFinished, test } from 'vitest'
import { realEnv } from '../common/env.ts'
import { type Backend, isResyncNeeded, type WatchEvent } from './contract.ts'
import { openSqliteBackend } from './sqlite.ts'
import { backendSuite } from './suite.ts'
import { openThreadBackend } from './thread.ts'

backendSuite('thread', async ({ env, maxQueuedEvents }) =>
  openThreadBackend(await temporaryFile(), env, { maxQueuedEvents }),
)

async function temporaryFile(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'backend-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'state.sqlite')
}

async function open(path: string): Promise<{ readonly backend: Backend; readonly worker: Worker }> {
  const started = new Promise<Worker>((resolve) => process.once('worker', resolve))
  const backend = await openThreadBackend(path, realEnv)
  onTestFinished(() => backend.close())
  return { backend, worker: await started }
}

async function drain(watcher: AsyncIterable<WatchEvent>): Promise<void> {
  for await (const _ of watcher);
}

describe('the thread of the store', () => {
  test('a file in use is refused as without a thread, and is free after the close', async () => {
    const path = await temporaryFile()
    const { backend } = await open(path)
    const refusal = {
      kind: 'AlreadyAcquired',
      message: expect.stringContaining(`${path} is in use by another process`),
    }
    await expect(openThreadBackend(path, realEnv)).rejects.toMatchObject(refusal)
    await expect(openSqliteBackend(path, realEnv)).rejects.toMatchObject(refusal)
    await backend.put({ key: ['a'], value: '1' })
    await backend.close()
    const again = await openSqliteBackend(path, realEnv)
    onTestFinished(() => again.close())
    expect((await again.get(['a'])).value.toString()).toBe('1')
  })

  test('when it dies, who waits is told, watchers list again, and it goes on by itself', async () => {
    const { backend, worker } = await open(await temporaryFile())
    const watching = drain(await backend.watch([], new AbortController().signal))
    await backend.put({ key: ['before'], value: '1' })
    const died = worker.terminate()
    // In the same turn, so that no answer can have come.
    const waiting = backend.put({ key: ['during'], value: '1' })
    await expect(waiting).rejects.toMatchObject({ kind: 'ConnectionProblem' })
    await expect(watching).rejects.toSatisfy(isResyncNeeded)
    await died
    await expect(backend.get(['before'])).rejects.toThrow(/opened again/)
    await expect.poll(() => backend.put({ key: ['after'], value: '1' }).then(() => 'stored', String)).toBe('stored')
    expect((await backend.get(['before'])).value.toString()).toBe('1')
    const watcher = (await backend.watch([], new AbortController().signal))[Symbol.asyncIterator]()
    await backend.delete(['after'])
    expect((await watcher.next()).value).toEqual({ type: 'delete', key: ['after'] })
  })

  test('closing it while it is being opened again ends at once', async () => {
    const { backend, worker } = await open(await temporaryFile())
    await worker.terminate()
    await backend.close()
    await expect(backend.get(['a'])).rejects.toMatchObject({ kind: 'ConnectionProblem' })
  })

  test('what waits for it is bounded', async () => {
    const { backend } = await open(await temporaryFile())
    const value = Buffer.alloc(1024 * 1024)
    const puts = Array.from({ length: 70 }, () => backend.put({ key: ['a'], value }))
    const refused = (await Promise.allSettled(puts)).filter(({ status }) => status === 'rejected')
    expect(refused).toHaveLength(6)
    expect(refused[0]).toMatchObject({ reason: { kind: 'LimitExceeded' } })
    await backend.put({ key: ['a'], value })
  })
})
