/** The log when things go wrong: killed while it writes (SECURITY F1), its thread gone, its disk full (F11), an index that was damaged. */

import { spawn, spawnSync } from 'node:child_process'
import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { DatabaseSync } from 'node:sqlite'
import type { Worker } from 'node:worker_threads'
import { afterAll, describe, expect, onTestFinished, test } from 'vitest'
import { realEnv } from '../common/env.ts'
import { fakeEnv } from '../common/fake-env.ts'
import { sayProgram } from '../common/testing/say.ts'
import { newEvent } from './events.ts'
import { auditSchema } from './file.ts'
import { openSqliteAudit, type SqliteAuditOptions } from './sqlite.ts'
import type { AuditStore } from './store.ts'
import { exportLines, loginEvent, verdict, verifyLines } from './suite.ts'

const privateKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

function temporaryDir(): string {
  const dir = mkdtempSync(join(tmpdir(), 'audit-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  return dir
}

async function open(path: string, options: Partial<SqliteAuditOptions> = {}): Promise<AuditStore> {
  const store = await openSqliteAudit(path, { privateKey, ...options })
  onTestFinished(() => store.close())
  return store
}

/** Milliseconds; on a busy machine a thread takes its time. */
const slow = { timeout: 15_000 }

const env = () => ({ ...fakeEnv(), now: () => new Date() })

test('killed while it writes, it starts again with all that was acknowledged, and an unbroken chain', {
  timeout: 60_000,
}, async () => {
  const path = join(temporaryDir(), 'audit.sqlite')
  const program = `
    ${sayProgram}
    import { openSqliteAudit } from ${JSON.stringify(join(import.meta.dirname, 'sqlite.ts'))}
    import { newEvent } from ${JSON.stringify(join(import.meta.dirname, 'events.ts'))}
    import { realEnv } from ${JSON.stringify(join(import.meta.dirname, '../common/env.ts'))}
    const store = await openSqliteAudit(${JSON.stringify(path)}, { privateKey: process.env.KEY, signEvery: 7, signAfterMs: 5 })
    const lane = async () => {
      for (;;) {
        const events = Array.from({ length: 3 }, () => newEvent(realEnv, { event: 'user.login', cluster_name: 'c', user: 'u', method: 'local', success: true }))
        await store.append(events)
        for (const { uid } of events) await say(uid)
      }
    }
    await Promise.all([lane(), lane(), lane()])`
  const acknowledged = new Set<string>()
  for (let round = 0; round < 5; round++) {
    const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
      env: { ...process.env, KEY: privateKey },
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const ended = new Promise((resolve) => child.once('close', resolve))
    const lines = 20 + realEnv.randomBytes(1).readUInt8()
    let seen = 0
    for await (const uid of createInterface({ input: child.stdout })) {
      acknowledged.add(uid)
      if (++seen === lines) child.kill('SIGKILL')
    }
    await ended
  }
  const store = await open(path)
  expect(await verdict(store)).toMatchObject({ result: null })
  const stored = new Set((await exportLines(store, {})).map((line) => JSON.parse(line).uid))
  expect([...acknowledged].filter((uid) => !stored.has(uid))).toEqual([])
})

test('when its thread dies, who waits is told, and it goes on by itself', async () => {
  const path = join(temporaryDir(), 'audit.sqlite')
  const started = new Promise<Worker>((resolve) => process.once('worker', resolve))
  const store = await open(path)
  const worker = await started
  await store.append([loginEvent(fakeEnv(), 'alice')])
  const waiting = store.append([loginEvent(fakeEnv(), 'bob')])
  const failed = expect(waiting).rejects.toMatchObject({ kind: 'ConnectionProblem' })
  await worker.terminate()
  await failed
  await expect(store.append([loginEvent(fakeEnv(), 'carol')])).rejects.toThrow(/opened again/)
  await expect
    .poll(() => store.append([loginEvent(fakeEnv(), 'dave')]).then(() => 'stored', String), slow)
    .toBe('stored')
  expect(await verdict(store)).toMatchObject({ result: null })
})

test('a log from before the chain is tied together, gaps and all, and says so', async () => {
  const path = join(temporaryDir(), 'audit.sqlite')
  writeFileSync(path, '', { mode: 0o600 })
  const old = new DatabaseSync(path)
  old.exec(
    `${auditSchema.migrations[0]}; PRAGMA application_id = ${auditSchema.applicationId}; PRAGMA user_version = 1`,
  )
  const insert = old.prepare('INSERT INTO events (ei, uid, time, event, user, sid, body) VALUES (?, ?, ?, ?, ?, ?, ?)')
  for (const ei of [1, 2, 5]) {
    const event = loginEvent(fakeEnv(), `u${ei}`)
    insert.run(ei, event.uid, Date.parse(event.time), event.event, `u${ei}`, '', JSON.stringify(event))
  }
  old.close()
  const store = await open(path)
  await store.append([loginEvent(fakeEnv(), 'new')])
  expect((await store.search({})).events.map(({ ei }) => ei)).toEqual([6, 5, 2, 1])
  expect(await verdict(store)).toMatchObject({ result: null, proof: { events: 4, signedTo: 5 } })
  expect((await verifyLines(await exportLines(store, {}))).problem).toBeUndefined()
  const database = new DatabaseSync(path, { readOnly: true })
  onTestFinished(() => database.close())
})

test('an event whose uid is made from what it tells of counts once, and only for its own kind', async () => {
  const store = await open(join(temporaryDir(), 'audit.sqlite'))
  const clock = fakeEnv()
  const uid = '11111111-2222-8333-8444-555555555555'
  const told = async () => ({ ...loginEvent(clock, 'alice'), uid })
  await store.append([await told()])
  await clock.advance(1000)
  await store.append([
    await told(),
    { ...newEvent(clock, { event: 'user.delete', cluster_name: 'c', user: 'a', name: 'b' }), uid },
  ])
  expect((await store.search({})).events.map(({ event }) => event)).toEqual(['user.delete', 'user.login'])
  expect(await verdict(store)).toMatchObject({ result: null })
})

test('a search index that is damaged, missing or of another log is made again', async () => {
  const dir = temporaryDir()
  const path = join(dir, 'audit.sqlite')
  const index = join(dir, 'audit-search.sqlite')
  const found = async () => {
    const store = await openSqliteAudit(path, { privateKey })
    const { events } = await store.search({ text: 'needle' })
    await expect.poll(async () => (await store.status()).indexedTo, slow).toBe(2)
    expect((await store.search({ text: 'needle' })).events).toEqual(events)
    await store.close()
    return events.length
  }
  const store = await openSqliteAudit(path, { privateKey })
  await store.append([loginEvent(fakeEnv(), 'needle'), loginEvent(fakeEnv(), 'hay')])
  await store.close()
  expect(await found()).toBe(1)
  writeFileSync(index, readFileSync(index).fill(0x55, 0, 2000))
  expect(await found()).toBe(1)
  rmSync(index)
  expect(await found()).toBe(1)
  const database = new DatabaseSync(index)
  database.exec("UPDATE state SET ei = 1000, hash = 'x'")
  database.close()
  expect(await found()).toBe(1)
})

const mounted = temporaryMount()
function temporaryMount(): string | undefined {
  const dir = mkdtempSync(join(tmpdir(), 'audit-full-'))
  const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=8m,mode=700', 'tmpfs', dir], { stdio: 'ignore' })
  afterAll(() => {
    if (mount.status === 0) spawnSync('umount', ['-l', dir])
    rmSync(dir, { recursive: true, force: true })
  })
  return mount.status === 0 ? dir : undefined
}

describe.runIf(mounted !== undefined)('a disk without room', () => {
  test('refuses what must be recorded, keeps logins, and goes on when there is room', async () => {
    const dir = mounted ?? ''
    const path = join(dir, 'audit.sqlite')
    const told: string[] = []
    const log = {
      debug: () => undefined,
      info: (text: string) => void told.push(text),
      warn: (text: string) => void told.push(text),
      error: (text: string) => void told.push(text),
      child: () => log,
    }
    const store = await open(path, { logger: log })
    const deleted = () =>
      newEvent(env(), { event: 'user.delete', cluster_name: 'c', user: 'a', name: 'x'.repeat(4000) })
    spawnSync('sh', [
      '-c',
      `for size in 1M 4k 1; do dd if=/dev/zero bs=$size oflag=append conv=notrunc of=${dir}/filler 2>/dev/null; done`,
    ])
    // The journal may have some room of its own.
    await expect
      .poll(() =>
        store.append([deleted()]).then(
          () => 'stored',
          (error) => String(error.message),
        ),
      )
      .toMatch(/no space left/)
    await store.append([loginEvent(fakeEnv(), 'alice'), loginEvent(fakeEnv(), 'bob')])
    await store.append([loginEvent(fakeEnv(), 'carol')])
    expect(await store.status()).toMatchObject({ disk: 'reserve' })
    expect(told.join()).toMatch(/full/)
    await expect(store.append([deleted()])).rejects.toMatchObject({ errno: 'ENOSPC' })
    rmSync(join(dir, 'filler'))
    await expect.poll(() => store.append([deleted()]).then(() => 'stored', String), slow).toBe('stored')
    const users = (await store.search({ types: ['user.login'] })).events.map((event) =>
      'user' in event ? event.user : '',
    )
    expect(users).toEqual(['carol', 'bob', 'alice'])
    expect(await verdict(store)).toMatchObject({ result: null })
    expect((await store.status()).disk).not.toBe('reserve')
  })
})
