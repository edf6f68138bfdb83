import { appendFile, mkdir, mkdtemp, readdir, readFile, rm, stat, utimes, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { fakeEnv } from '../common/fake-env.ts'
import { silentLogger } from '../common/log.ts'
import { ownProcess } from '../common/process-owner.ts'
import { BadParameter, ConnectionProblem } from '../errors/errors.ts'
import { type AuditEvent, newEvent } from './events.ts'
import { openSpool, type SpoolOptions } from './spool.ts'
import { loginEvent } from './suite.ts'

const never = new AbortController().signal
const env = fakeEnv()
let dir = ''

beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'spool-')), 'spool')
})

const names = (events: readonly AuditEvent[]) => events.map((event) => ('user' in event ? (event.user ?? '') : ''))
const user = (name: string) => loginEvent(env, name)

async function open(deliver: SpoolOptions['deliver'], more: Partial<SpoolOptions> = {}) {
  const spool = await openSpool({ dir, deliver, env, log: silentLogger, ...more })
  onTestFinished(async () => {
    await spool.close()
    await rm(join(dir, '..'), { recursive: true, force: true })
  })
  return spool
}

const ownFile = async () => join(dir, `events-${await ownProcess()}.jsonl`)
const line = (name: string) => `${JSON.stringify(user(name))}\n`
/** Pid 1 runs, but has not run since this. */
const gone = 'events-1-987654321.jsonl'

const away: SpoolOptions['deliver'] = async () => {
  throw new ConnectionProblem('auth is away')
}

describe('the audit spool', () => {
  test('delivers in order and is empty afterwards', async () => {
    const got: string[] = []
    const spool = await open(async (events) => void got.push(...names(events)))
    await Promise.all(Array.from({ length: 500 }, (_, n) => spool.append([user(`u${n}`)])))
    await spool.drain(never)
    expect(got).toEqual(Array.from({ length: 500 }, (_, n) => `u${n}`))
    expect(spool.pending).toBe(0)
    expect((await stat(await ownFile())).size).toBe(0)
    expect((await stat(await ownFile())).mode & 0o777).toBe(0o600)
  })

  test('keeps events while auth is away and delivers them when it is back', async () => {
    let back = false
    const got: string[] = []
    const spool = await open(async (events) => {
      if (!back) throw new ConnectionProblem('auth is away')
      got.push(...names(events))
    })
    await spool.append([user('a')])
    await spool.append([user('b')])
    await env.advance(5000)
    expect(got).toEqual([])
    expect(spool.pending).toBe(2)
    back = true
    const drained = spool.drain(never)
    await env.advance(60_000)
    await drained
    expect(got).toEqual(['a', 'b'])
  })

  test('keeps events over a restart', async () => {
    const first = await open(away)
    await first.append([user('a'), user('b')])
    await first.close()
    const got: string[] = []
    const second = await open(async (events) => void got.push(...names(events)))
    await second.drain(never)
    expect(got).toEqual(['a', 'b'])
  })

  test('drops a torn last line and sets damaged lines aside', async () => {
    const first = await open(away)
    await first.append([user('a')])
    await first.close()
    const path = await ownFile()
    await appendFile(path, 'garbage\n')
    await appendFile(path, `${JSON.stringify(user('b'))}\n{"event":"user.lo`)
    const got: string[] = []
    const second = await open(async (events) => void got.push(...names(events)))
    await second.append([user('c')])
    await second.drain(never)
    expect(got).toEqual(['a', 'b', 'c'])
    expect(await readFile(join(dir, 'events.bad'), 'utf8')).toBe('garbage\n')
  })

  test('takes over what ended processes left, oldest first, and removes it', async () => {
    await mkdir(dir, { mode: 0o700 })
    await writeFile(join(dir, 'events.jsonl'), line('a'), { mode: 0o600 })
    await utimes(join(dir, 'events.jsonl'), 1, 1)
    await writeFile(join(dir, gone), line('b'), { mode: 0o600 })
    const got: string[] = []
    const spool = await open(async (events) => void got.push(...names(events)))
    await spool.append([user('c')])
    await spool.drain(never)
    expect(got).toEqual(['a', 'b', 'c'])
    expect(await readdir(dir)).toEqual([basename(await ownFile())])
  })

  test('leaves the file of a process that still drains alone', async () => {
    const got: string[] = []
    const draining = await open(away, { owner: await ownProcess() })
    await draining.append([user('of the old one')])
    const spool = await open(async (events) => void got.push(...names(events)), { owner: '1-1' })
    await spool.append([user('of the new one')])
    await spool.drain(never)
    expect(got).toEqual(['of the new one'])
    expect(await readFile(await ownFile(), 'utf8')).toContain('of the old one')
  })

  test('takes over later what a process leaves that ended meanwhile', async () => {
    const got: string[] = []
    const spool = await open(async (events) => void got.push(...names(events)))
    await writeFile(join(dir, gone), line('late'), { mode: 0o600 })
    await spool.append([user('a')])
    await spool.drain(never)
    expect(got).toEqual(['a'])
    await env.advance(61_000)
    await expect.poll(() => got).toEqual(['a', 'late'])
    await expect.poll(() => readdir(dir)).toEqual([basename(await ownFile())])
  })

  test('an event that auth refuses for ever does not block the others', async () => {
    const got: string[] = []
    const spool = await open(async (events) => {
      if (names(events).includes('poison')) throw new BadParameter('event', 'no')
      got.push(...names(events))
    })
    await spool.append([user('a'), user('poison'), user('b')])
    await spool.drain(never)
    expect(got).toEqual(['a', 'b'])
    expect(await readFile(join(dir, 'events.bad'), 'utf8')).toContain('poison')
  })

  test('a full spool refuses instead of dropping', async () => {
    const spool = await open(away, { maxBytes: 2000 })
    let stored = 0
    const fill = async () => {
      for (;;) {
        await spool.append([user('a')])
        stored++
      }
    }
    await expect(fill()).rejects.toMatchObject({ kind: 'LimitExceeded' })
    expect(stored).toBeGreaterThan(3)
    expect(spool.pending).toBe(stored)
  })

  test('refused logins fill half of it at most, so that strangers cannot keep users out', async () => {
    const spool = await open(away, { maxBytes: 4000 })
    const refusal = () => newEvent(env, { event: 'auth', cluster_name: 'c', user: 'x', success: false, error: 'no' })
    const fill = async () => {
      for (;;) await spool.append([refusal()])
    }
    await expect(fill()).rejects.toMatchObject({ kind: 'LimitExceeded' })
    for (let count = 0; count < 3; count++) await spool.append([user('a')])
  })

  test('a delivered beginning is compacted away while the rest waits', async () => {
    let open1 = true
    const spool = await open(
      async (events) => {
        if (!open1 || names(events).includes('stop')) throw new ConnectionProblem('away')
      },
      { maxBytes: 20_000 },
    )
    for (let n = 0; n < 300; n++) {
      await spool.append([user('a')])
      if (n % 20 === 0) await spool.drain(never)
    }
    open1 = false
    await spool.append([user('stop')])
    expect((await stat(await ownFile())).size).toBeLessThan(40_000)
  })

  test('malformed events and use after close are refused', async () => {
    const spool = await open(away)
    await expect(spool.append([{ ...user('a'), code: 'x' } as unknown as AuditEvent])).rejects.toMatchObject({
      kind: 'BadParameter',
    })
    await spool.close()
    await expect(spool.append([user('a')])).rejects.toMatchObject({ kind: 'ConnectionProblem' })
  })

  test('a spool that others may read is refused', async () => {
    const spool = await open(away)
    await spool.close()
    const { chmod } = await import('node:fs/promises')
    await chmod(dir, 0o755)
    await expect(openSpool({ dir, deliver: away, env, log: silentLogger })).rejects.toMatchObject({
      kind: 'AccessDenied',
    })
    await writeFile(join(dir, 'x'), '')
  })
})
