/** The audit log for its administrator: search, proof of the live log and of an export, and what happens when somebody edits the file. */

import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Cluster, startCluster } from './cluster.ts'
import { bin, run } from './run.ts'

let cluster: Cluster

beforeAll(async () => {
  cluster = await startCluster()
  for (const name of ['alice', 'bob', 'mallory']) expect((await cluster.tctl('users', 'add', name)).code).toBe(0)
})
afterAll(() => cluster.remove())

const file = (name: string) => join(cluster.dir, name)
const verdict = (stdout: string) => JSON.parse(stdout)

test('search finds words, and says what a question without words is', async () => {
  const found = await cluster.tctl('audit', 'search', 'mallor*', '--type=user.create', '--format=json')
  expect(JSON.parse(found.stdout)).toMatchObject([{ event: 'user.create', name: 'mallory' }])
  expect((await cluster.tctl('audit', 'search', 'alice', 'access')).stdout).toContain('user.create')
  expect((await cluster.tctl('audit', 'search', '%%%')).stderr).toMatch(/no word/)
  expect((await cluster.tctl('audit', 'ls', '--type=user.create,cert.create', '--limit=2')).code).toBe(0)
})

test('the live log proves itself, and contains the head that was noted', async () => {
  const first = await cluster.tctl('audit', 'verify')
  expect(first.stdout, first.stderr).toMatch(/^The audit log is whole and unchanged\.\nProven: \d+ events/)
  const head = /Head: (\d+:[0-9a-f]{64})/.exec(first.stdout)?.[1] ?? ''
  expect((await cluster.tctl('audit', 'verify', `--expect-head=${head}`)).code).toBe(0)
  const other = await cluster.tctl('audit', 'verify', `--expect-head=100000${head}`)
  expect(other.code).toBe(1)
  expect(other.stdout).toMatch(/^BAD: .*are missing/)
})

test('an export proves itself without a server, with the key that was noted', async () => {
  const out = file('audit.jsonl')
  expect((await cluster.tctl('audit', 'export', `--out=${out}`)).stdout).toContain(out)
  expect(statSync(out).mode & 0o777).toBe(0o600)
  const offline = (...flags: string[]) => run(bin('tctl'), ['audit', 'verify', ...flags], { env: cluster.env() })
  const proof = verdict((await offline(`--file=${out}`, '--format=json')).stdout)
  expect(proof).toMatchObject({ ok: true, filtered: false })
  expect((await offline(`--file=${out}`, `--key=${proof.keys[0].key}`, `--expect-head=${proof.head}`)).code).toBe(0)
  const other = 'MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE='
  expect((await offline(`--file=${out}`, `--key=${other}`)).stdout).toMatch(/^BAD: checkpoint 1 was changed or is not/)
  writeFileSync(file('spoilt.jsonl'), readFileSync(out, 'utf8').replace('mallory', 'malloru'))
  const spoilt = await offline(`--file=${file('spoilt.jsonl')}`)
  expect(spoilt.code).toBe(1)
  expect(spoilt.stdout).toMatch(/^BAD: event \d+ is not as it was stored/)
  const part = file('part.jsonl')
  await cluster.tctl('audit', 'export', `--out=${part}`, '--type=user.create')
  expect((await offline(`--file=${part}`)).stdout).toContain('It is a part of the log: nothing is proven')
  expect((await offline(`--file=${cluster.config}`)).stderr).toMatch(/not an export/)
})

test('a row that was edited by hand, and an end that was removed, are named', async () => {
  const noted = /Head: (\d+:[0-9a-f]{64})/.exec((await cluster.tctl('audit', 'verify')).stdout)?.[1] ?? ''
  await cluster.stop()
  const database = new DatabaseSync(join(cluster.dir, 'data', 'auth', 'events.sqlite'))
  expect(() => database.exec("UPDATE events SET body = replace(body, 'mallory', 'nobody1')")).toThrow(/only grows/)
  database.exec('DROP TRIGGER events_fixed; DROP TRIGGER events_keep; DROP TRIGGER checkpoints_keep')
  const row = database
    .prepare(`SELECT ei, body FROM events WHERE body LIKE '%"name":"mallory"%' ORDER BY ei LIMIT 1`)
    .get()
  database
    .prepare('UPDATE events SET body = ? WHERE ei = ?')
    .run(String(row?.body).replace('mallory', 'nobody1'), Number(row?.ei))
  database.close()
  await cluster.start()
  const edited = await cluster.tctl('audit', 'verify', '--format=json')
  expect(edited.code).toBe(1)
  expect(verdict(edited.stdout)).toMatchObject({ ok: false, problem: { what: 'changed', ei: row?.ei } })

  await cluster.stop()
  const again = new DatabaseSync(join(cluster.dir, 'data', 'auth', 'events.sqlite'))
  again.prepare('UPDATE events SET body = ? WHERE ei = ?').run(String(row?.body), Number(row?.ei))
  const last = Number(noted.split(':')[0])
  again.exec(`DELETE FROM events WHERE ei >= ${last}; DELETE FROM checkpoints WHERE ei >= ${last}`)
  again.close()
  await cluster.start()
  expect((await cluster.tctl('status')).stdout).toContain('DAMAGED: run tctl audit verify')
  const cut = await cluster.tctl('audit', 'verify', '--format=json')
  expect(cut.code).toBe(1)
  expect(verdict(cut.stdout)).toMatchObject({ ok: false, problem: { ei: expect.any(Number) } })
})
