import { generateKeyPairSync } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { expect, onTestFinished, test } from 'vitest'
import { fakeEnv } from '../common/fake-env.ts'
import { openSqliteAudit } from './sqlite.ts'
import { auditSuite, loginEvent } from './suite.ts'

const privateKey = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()

auditSuite('sqlite', async () => openSqliteAudit(await temporaryFile(), { privateKey }))

async function temporaryFile(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'audit-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return join(dir, 'audit.sqlite')
}

test('the index goes on after a reopen, and rows cannot be changed or removed', async () => {
  const path = await temporaryFile()
  const env = fakeEnv()
  const first = await openSqliteAudit(path, { privateKey })
  await first.append([loginEvent(env, 'alice')])
  await first.close()
  const second = await openSqliteAudit(path, { privateKey })
  await second.append([loginEvent(env, 'bob')])
  expect((await second.search({})).events.map((event) => event.ei)).toEqual([2, 1])
  await second.close()
  const database = new DatabaseSync(path)
  onTestFinished(() => database.close())
  expect(() => database.exec("UPDATE events SET body = 'x'")).toThrow(/only grows/)
  expect(() => database.exec('DELETE FROM events')).toThrow(/only grows/)
})
