import { generateKeyPairSync } from 'node:crypto'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { RecordingStore } from '../audit/recording/store.ts'
import type { RecordingSummary } from '../audit/recording/types.ts'
import { openSqliteAudit } from '../audit/sqlite.ts'
import { fakeEnv } from '../common/fake-env.ts'
import { silentLogger } from '../common/log.ts'
import { Audit } from './audit.ts'
import { applyRetention } from './audit-retention.ts'
import { verifyAudit } from './audit-verify.ts'
import { tempDir } from './testing/cluster.ts'

const privateKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const day = 86_400_000

test('old recordings and events go, each with its reason in the log, and the rest is proven', async () => {
  const env = fakeEnv()
  const store = await openSqliteAudit(join(await tempDir(), 'events.sqlite'), { privateKey, env })
  onTestFinished(() => store.close())
  const audit = new Audit(
    { store, publicKey: '', heads: () => [], lost: () => [], close: async () => undefined },
    'c',
    env,
  )
  const kept: RecordingSummary[] = []
  const recordings = fakeRecordings(kept)
  const record = async (sid: string) => {
    const time = env.now().toISOString()
    kept.push({ sid, started: time, ended: time, state: 'complete' } as RecordingSummary)
    await audit.emit({ event: 'session.upload', sid, chunks: 1, size: 1, sha256: 'a'.repeat(64) })
  }
  const verify = async () => {
    let result: unknown
    const query = { recordings: 'true' as const }
    for await (const line of verifyAudit({ audit, recordings, query, signal: new AbortController().signal }))
      result = line.result
    return result
  }
  const [first, second] = [env.randomUuid(), env.randomUuid()]
  await record(first)
  await env.advance(10 * day)
  await record(second)
  const options = { audit, recordings, auditMs: 5 * day, recordingMs: 5 * day, env, logger: silentLogger }
  await applyRetention(options)
  await applyRetention(options)
  expect(kept.map(({ sid }) => sid)).toEqual([second])
  const { items } = await audit.search({ limit: 100 })
  expect(items.map(({ event }) => event)).toEqual(['audit.cut', 'session.recording.removed', 'session.upload'])
  expect(items[1]).toMatchObject({ sid: first })
  expect(await verify()).toBeNull()
  // Removed by hand, it is missed.
  kept.length = 0
  expect(await verify()).toMatchObject({
    what: 'recording',
    sid: second,
    message: expect.stringContaining('is missing'),
  })
})

function fakeRecordings(kept: RecordingSummary[]): RecordingStore {
  const store = {
    async *all() {
      yield* [...kept]
    },
    get: async (sid: string) => kept.find((one) => one.sid === sid),
    verify: async () => ({ ok: true, chunks: 1, chain: '' }),
    removeBefore: async (before: Date) => {
      const old = kept.filter(({ ended }) => Date.parse(ended ?? '') < before.getTime())
      for (const one of old) kept.splice(kept.indexOf(one), 1)
      return old.map(({ sid }) => sid)
    },
  }
  return store as unknown as RecordingStore
}
