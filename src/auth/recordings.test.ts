/** Recordings through the API: whose they are, who may watch them, and what the audit log says about it. */

import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Caller } from '../api/caller.ts'
import { loadIdentity } from '../api/identity.ts'
import * as routes from '../api/routes.ts'
import { createUser, signUser } from '../api/routes.ts'
import { chunkOf, endOf, headerOf, type Line, nth } from '../audit/recording/testing/make.ts'
import type { Chunk, RecordingEnd, RecordingHeader } from '../audit/recording/types.ts'
import { uploadUid } from './recordings.ts'
import { authPaths } from './server.ts'
import { newKey, testCluster } from './testing/cluster.ts'
import { adminCaller, machineCaller, machineUuid, type TestServices, testServices } from './testing/services.ts'

const otherNode: Caller = { ...machineCaller('Node'), name: '44444444-4444-4444-8444-444444444444' }

async function userWith(bench: TestServices, name: string, roles: readonly string[]): Promise<Caller> {
  const admin = bench.as(adminCaller)
  await admin.call(createUser, { body: { name, roles: [...roles], traits: { logins: [name] } } })
  const credentials = await admin.call(signUser, { body: { user: name, publicKey: newKey().line } })
  return bench.user(credentials)
}

const toBody = ({ data, ...chunk }: Chunk) => ({ ...chunk, data: data.toString('base64') })
const toEnd = (end: RecordingEnd) => ({ ...end, participants: [...end.participants] })

async function begin(bench: TestServices, more: Partial<RecordingHeader> = {}) {
  const node = bench.as(machineCaller('Node'))
  const header = headerOf({ started: bench.env.now().toISOString(), ...more })
  await node.call(routes.beginRecording, { body: header })
  const params = { sid: header.sid }
  const append = (chunk: Chunk) => node.call(routes.appendChunk, { params, body: toBody(chunk) })
  const complete = async (more: Partial<RecordingEnd> = {}) => {
    const progress = await node.call(routes.beginRecording, { body: header })
    const body = toEnd(endOf(progress.next, progress.chain, more))
    return node.call(routes.completeRecording, { params, body })
  }
  return { sid: header.sid, params, append, complete, node }
}

const eventsOf = (bench: TestServices, name: string) => bench.events.filter(({ event }) => event === name)
const play = { action: 'play' as const }
const out = (seconds: number, text: string): Line => [seconds, 'o', text]

describe('nodes', () => {
  test('store under their own name only, and the end is told once', async () => {
    const bench = await testServices()
    const { sid, params, append, complete, node } = await begin(bench, { user: 'alice', command: 'ls' })
    await append(nth(0))
    await append(nth(1))
    const stranger = bench.as(otherNode)
    await expect(stranger.call(routes.appendChunk, { params, body: toBody(nth(2)) })).rejects.toMatchObject({
      kind: 'AccessDenied',
    })
    await expect(
      stranger.call(routes.beginRecording, { body: headerOf({ sid, serverId: machineUuid }) }),
    ).rejects.toMatchObject({
      kind: 'AccessDenied',
    })
    const summary = await complete({ interrupted: true })
    expect(summary).toMatchObject({ serverId: machineUuid, state: 'interrupted', chunks: 2 })
    const again = toEnd(endOf(2, summary.chain))
    expect(await node.call(routes.completeRecording, { params, body: again })).toEqual(summary)
    expect(eventsOf(bench, 'session.upload')).toMatchObject([
      {
        code: 'T2005I',
        sid,
        user: 'alice',
        login: 'root',
        server_id: machineUuid,
        server_hostname: 'web1',
        chunks: 2,
        size: summary.bytes,
        sha256: summary.chain,
        interrupted: true,
      },
    ])
    expect(await bench.services.recordings.verify(sid, summary.chain)).toMatchObject({ ok: true })
  })

  test('an end that the audit log could not take is told with the next try, under the same id', async () => {
    const bench = await testServices()
    const { sid, params, append, node } = await begin(bench)
    const { chain } = await append(nth(0))
    const body = toEnd(endOf(1, chain))
    bench.auditFailure = new Error('no space left')
    await expect(node.call(routes.completeRecording, { params, body })).rejects.toThrow()
    expect(eventsOf(bench, 'session.upload')).toEqual([])
    bench.auditFailure = undefined
    await node.call(routes.completeRecording, { params, body })
    await node.call(routes.completeRecording, { params, body })
    expect(eventsOf(bench, 'session.upload')).toHaveLength(1)
    expect(eventsOf(bench, 'session.upload')[0]).toMatchObject({ sid, uid: uploadUid(sid) })
    expect(uploadUid(sid)).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-8[0-9a-f]{3}-[0-9a-f]{12}$/)
  })

  test.each([
    ['data that is no base64', { data: '%%%%' }],
    ['another hash', { sha256: '0'.repeat(64) }],
    ['a wrong length', { textBytes: 1 }],
  ])('a chunk with %s is refused', async (_, change) => {
    const bench = await testServices()
    const { params, node } = await begin(bench)
    await expect(
      node.call(routes.appendChunk, { params, body: { ...toBody(nth(0)), ...change } }),
    ).rejects.toMatchObject({
      kind: 'BadParameter',
    })
  })
})

describe('people', () => {
  async function cast() {
    const bench = await testServices()
    const alice = await userWith(bench, 'alice', ['access'])
    const bob = await userWith(bench, 'bob', ['access'])
    const audrey = await userWith(bench, 'audrey', ['auditor'])
    const ofAlice = await begin(bench, { user: 'alice' })
    await ofAlice.append(chunkOf(0, [out(0, 'secret\r\n')]))
    const sidsOf = async (caller: Caller, query = {}) =>
      (await bench.as(caller).call(routes.listRecordings, { query })).items.map(({ sid }) => sid)
    const sees = (caller: Caller) =>
      bench
        .as(caller)
        .call(routes.getRecording, { params: ofAlice.params })
        .then(
          () => true,
          (error: { kind: string }) => error.kind,
        )
    const reads = (caller: Caller) =>
      Array.fromAsync(bench.as(caller).stream(routes.readRecording, { params: ofAlice.params, query: play })).then(
        (chunks) => chunks.length,
        (error: { kind: string }) => error.kind,
      )
    return { bench, alice, bob, audrey, ofAlice, sidsOf, sees, reads }
  }

  test('see their own, those they took part in once it is over, and auditors all', async () => {
    const { bench, alice, bob, audrey, ofAlice, sidsOf, sees, reads } = await cast()
    for (const caller of [alice, audrey, adminCaller]) {
      expect(await sees(caller), caller.name).toBe(true)
      expect(await reads(caller), caller.name).toBe(1)
      expect(await sidsOf(caller), caller.name).toEqual([ofAlice.sid])
      expect(await sidsOf(caller, { search: 'secret' }), caller.name).toEqual([ofAlice.sid])
    }
    const before = bench.events.length
    expect([await sees(bob), await reads(bob), await sidsOf(bob)]).toEqual(['NotFound', 'NotFound', []])
    expect(await sidsOf(bob, { user: 'alice' })).toEqual([])
    expect(bench.events).toHaveLength(before)
    expect(await sidsOf(bob, { search: 'secret' })).toEqual([])
    expect(bench.events.slice(before)).toMatchObject([
      { event: 'session.recording.access', user: 'bob', action: 'search', search: 'secret' },
    ])
    await ofAlice.complete({ participants: ['alice', 'bob'] })
    expect([await sees(bob), await reads(bob), await sidsOf(bob)]).toEqual([true, 1, [ofAlice.sid]])
    expect(await sidsOf(bob, { user: 'alice' })).toEqual([ofAlice.sid])
  })

  test('what they may not see and what is not there look alike', async () => {
    const { bench, bob, ofAlice } = await cast()
    const messageOf = (sid: string) =>
      bench
        .as(bob)
        .call(routes.getRecording, { params: { sid } })
        .catch((error: Error) => error.message.replace(sid, 'SID'))
    expect(await messageOf(ofAlice.sid)).toBe(await messageOf(headerOf().sid))
  })

  test('a new user does not see what an earlier one of the same name did', async () => {
    const { bench, ofAlice } = await cast()
    await ofAlice.complete({ participants: ['alice'] })
    await bench.as(adminCaller).call(routes.deleteUser, { params: { name: 'alice' } })
    await expect.poll(() => bench.services.hub.user('alice')).toBeUndefined()
    await bench.env.advance(120_000)
    const alice = bench.as(await userWith(bench, 'alice', ['access']))
    expect((await alice.call(routes.listRecordings, { query: {} })).items).toEqual([])
    await expect(alice.call(routes.getRecording, { params: ofAlice.params })).rejects.toMatchObject({
      kind: 'NotFound',
    })
  })

  test('watching is in the audit log before anything is shown', async () => {
    const { bench, audrey, ofAlice, reads } = await cast()
    expect(await reads(audrey)).toBe(1)
    expect(eventsOf(bench, 'session.recording.access')).toMatchObject([
      { code: 'T2012I', user: 'audrey', sid: ofAlice.sid, action: 'play', 'addr.remote': '203.0.113.7' },
    ])
    bench.auditFailure = new Error('no space left')
    expect(await reads(audrey)).toBe('System')
  })

  test('one person watches so many at once and no more', async () => {
    const cluster = await testCluster()
    const node = cluster.connect(await cluster.join('node', 'node1'))
    const header = headerOf()
    const params = { sid: header.sid }
    await node.call(routes.beginRecording, { body: header })
    await node.call(routes.appendChunk, { params, body: toBody(nth(0)) })
    const identity = await loadIdentity(authPaths(cluster.dataDir).admin)
    // A connection has few channels, so one who wants many takes several.
    const connections = Array.from({ length: 5 }, () => cluster.connect(identity))
    const reads = (n: number, follow: 'true' | 'false') =>
      (connections[n % 5] ?? cluster.admin).stream(routes.readRecording, { params, query: { ...play, follow } })
    const open = Array.from({ length: 32 }, (_, n) => reads(n, 'true')[Symbol.asyncIterator]())
    for (const one of open) expect((await one.next()).value?.index).toBe(0)
    await expect(Array.fromAsync(reads(4, 'false'))).rejects.toMatchObject({ kind: 'LimitExceeded' })
    // Who has gone leaves the place to others.
    for (const one of open) await one.return?.()
    await expect
      .poll(() =>
        Array.fromAsync(reads(4, 'false')).then(
          (all) => all.length,
          () => 0,
        ),
      )
      .toBe(1)
  })

  test('begin at the keyframe before the time they ask for', async () => {
    const { bench, alice } = await cast()
    const { params, append } = await begin(bench, { user: 'alice' })
    for (let n = 0; n < 25; n++) await append(nth(n))
    const from = async (at: number) => {
      const stream = bench.as(alice).stream(routes.readRecording, { params, query: { ...play, at } })
      return (await Array.fromAsync(stream)).map(({ index }) => index)
    }
    expect(await from(0)).toHaveLength(25)
    expect(await from(9_999)).toHaveLength(25)
    expect((await from(12_000))[0]).toBe(10)
    expect((await from(99_000))[0]).toBe(20)
    const [chunk] = await Array.fromAsync(
      bench.as(alice).stream(routes.readRecording, { params, query: { ...play, at: 24_000 } }),
    )
    expect(chunk).toEqual(toBody(nth(20)))
  })

  test('a picture of a time gets nothing of what comes after it, and is a word of its own in the audit log', async () => {
    const { bench, alice } = await cast()
    const { sid, params, append } = await begin(bench, { user: 'alice' })
    for (let n = 0; n < 25; n++) await append(nth(n))
    const query = { action: 'thumbnail', at: 12_500, follow: 'true' } as const
    const chunks = await Array.fromAsync(bench.as(alice).stream(routes.readRecording, { params, query }))
    expect(chunks.map(({ index }) => index)).toEqual([10, 11, 12])
    expect(eventsOf(bench, 'session.recording.access')).toMatchObject([{ user: 'alice', sid, action: 'thumbnail' }])
  })

  test('follow a running session until it ends', async () => {
    const { bench, alice, ofAlice } = await cast()
    const seen: number[] = []
    const query = { ...play, follow: 'true' as const }
    const following = (async () => {
      const stream = bench.as(alice).stream(routes.readRecording, { params: ofAlice.params, query })
      for await (const { index } of stream) seen.push(index)
    })()
    await expect.poll(() => seen).toEqual([0])
    await ofAlice.append(chunkOf(1, [out(1, 'more')]))
    await expect.poll(() => bench.env.advance(500).then(() => seen)).toEqual([0, 1])
    // Long silence is bridged, and the end ends it.
    for (let n = 0; n < 100; n++) await bench.env.advance(500)
    await ofAlice.append(chunkOf(2, [out(2, 'last')]))
    await ofAlice.complete()
    await expect.poll(() => bench.env.advance(500).then(() => seen)).toEqual([0, 1, 2])
    await following
  })

  test('a malformed search says what is wrong with it', async () => {
    const cluster = await testCluster()
    const list = (search: string) => cluster.admin.call(routes.listRecordings, { query: { search } })
    await expect(list('"open')).rejects.toMatchObject({
      kind: 'BadParameter',
      message: expect.stringContaining('quote'),
    })
    await expect(list('%%%')).rejects.toMatchObject({ kind: 'BadParameter', message: expect.stringContaining('word') })
    expect(await list("x' OR 1=1 --")).toEqual({ items: [] })
  })
})

test('over SSH, through a restart: nothing acknowledged is lost', async () => {
  const first = await testCluster()
  const identity = await first.join('node', 'node1')
  const node = first.connect(identity)
  const header = headerOf()
  const params = { sid: header.sid }
  await node.call(routes.beginRecording, { body: header })
  const { chain } = await node.call(routes.appendChunk, { params, body: toBody(nth(0)) })
  await first.auth.close()
  const second = await testCluster({ dataDir: first.dataDir })
  const again = second.connect(identity)
  expect(await again.call(routes.beginRecording, { body: header })).toEqual({ next: 1, chain })
  // A large chunk crosses in one line.
  const large = chunkOf(1, [out(1, randomBytes(1_000_000).toString('base64'))])
  expect(large.data.length).toBeGreaterThan(1_000_000)
  const progress = await again.call(routes.appendChunk, { params, body: toBody(large) })
  const summary = await again.call(routes.completeRecording, {
    params,
    body: toEnd(endOf(progress.next, progress.chain)),
  })
  expect(summary).toMatchObject({ state: 'complete', serverId: identity.uuid, chunks: 2 })
  const stream = second.admin.stream(routes.readRecording, { params, query: { action: 'export' } })
  expect((await Array.fromAsync(stream)).map(({ data }) => data)).toEqual(
    [nth(0), large].map(({ data }) => data.toString('base64')),
  )
  const { items } = await second.admin.call(routes.searchEvents, { query: { session: header.sid } })
  expect(items.map((item) => item.event).sort()).toEqual(['session.recording.access', 'session.upload'])
  await expect
    .poll(
      async () => (await second.admin.call(routes.listRecordings, { query: { search: '"second 0"' } })).items.length,
    )
    .toBe(1)
})
