import { describe, expect, test } from 'vitest'
import type { AuditEvent, EventInput } from '../../audit/events.ts'
import { realEnv } from '../../common/env.ts'
import { LimitExceeded } from '../../errors/errors.ts'
import type { NodeContext } from '../context.ts'
import { EventQueue } from './event-queue.ts'

const input = (path: string): EventInput<'sftp.mkdir'> => ({
  event: 'sftp.mkdir',
  cluster_name: 'test',
  server_id: 'id',
  server_hostname: 'node',
  user: 'alice',
  login: 'root',
  sid: 'sid',
  path,
  success: true,
})

/** A log that keeps each batch when the test says so. */
class SlowLog {
  readonly kept: string[] = []
  readonly batches: number[] = []
  #pending: { events: readonly AuditEvent[]; resolve(): void; reject(error: Error): void } | undefined
  readonly node: NodeContext
  nowMs = 0

  constructor() {
    const audit = (events: readonly AuditEvent[]): Promise<void> => {
      const { promise, resolve, reject } = Promise.withResolvers<void>()
      this.#pending = { events, resolve, reject }
      return promise
    }
    const env = {
      ...realEnv,
      monotonicMs: () => this.nowMs,
      sleep: async (ms: number) => {
        this.nowMs += ms
      },
    }
    this.node = { env, audit } as unknown as NodeContext
  }

  async #take() {
    for (;;) {
      await new Promise((resolve) => setImmediate(resolve))
      const pending = this.#pending
      this.#pending = undefined
      if (pending !== undefined) return pending
    }
  }

  async keep(): Promise<void> {
    const { events, resolve } = await this.#take()
    this.batches.push(events.length)
    for (const event of events) if (event.event === 'sftp.mkdir') this.kept.push(event.path)
    resolve()
    await new Promise((done) => setImmediate(done))
  }

  async fail(error: Error): Promise<void> {
    const { reject } = await this.#take()
    reject(error)
    await new Promise((done) => setImmediate(done))
  }
}

describe('EventQueue', () => {
  test('keeps events in order and together, and says when there is room again', async () => {
    const log = new SlowLog()
    const queue = new EventQueue(log.node, () => {})
    const names = Array.from({ length: 400 }, (_, index) => String(index))
    let room = 0
    for (const name of names) queue.push(input(name))
    expect(queue.isFull).toBe(true)
    queue.whenRoom(() => room++)
    expect(room).toBe(0)
    await log.keep()
    expect(room).toBe(1)
    expect(queue.isFull).toBe(false)
    queue.whenRoom(() => room++)
    expect(room).toBe(2)
    queue.push(input('last'))
    const settled = queue.settled()
    await log.keep()
    await settled
    expect(log.kept).toEqual([...names, 'last'])
    expect(log.batches).toEqual([400, 1])
  })

  test('an event that comes while others are being kept goes with the next', async () => {
    const log = new SlowLog()
    const queue = new EventQueue(log.node, () => {})
    queue.push(input('a'))
    await new Promise((resolve) => setImmediate(resolve))
    queue.push(input('b'))
    const settled = queue.settled()
    await log.keep()
    await log.keep()
    await settled
    expect(log.kept).toEqual(['a', 'b'])
  })

  test('tells once that events cannot be kept, and lets nothing more through', async () => {
    const log = new SlowLog()
    const failures: unknown[] = []
    const queue = new EventQueue(log.node, (error) => failures.push(error))
    queue.push(input('a'))
    const settled = queue.settled()
    await log.fail(new Error('no space'))
    await settled
    queue.push(input('b'))
    expect(queue.isFull).toBe(true)
    queue.whenRoom(() => expect.unreachable())
    expect(failures).toHaveLength(1)
    expect(log.kept).toEqual([])
  })

  test('waits while the spool is full, but not for ever', async () => {
    const log = new SlowLog()
    const failures: unknown[] = []
    const queue = new EventQueue(log.node, (error) => failures.push(error))
    queue.push(input('a'))
    for (let times = 0; times < 20; times++) await log.fail(new LimitExceeded('full'))
    await log.keep()
    await queue.settled()
    expect(log.kept).toEqual(['a'])
    queue.push(input('b'))
    const settled = queue.settled()
    while (failures.length === 0) await log.fail(new LimitExceeded('full'))
    await settled
    expect(log.nowMs).toBeGreaterThanOrEqual(30_000)
  })
})
