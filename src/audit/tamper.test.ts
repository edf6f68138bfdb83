/** Whoever can write the file is found out (SECURITY R1): rows edited with SQLite, bytes flipped below it, an end cut off. */

import { generateKeyPairSync } from 'node:crypto'
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { fakeEnv } from '../common/fake-env.ts'
import { boundEvent } from './bound.ts'
import { auditKey, type Head, linkLine, nextHash, parseAuditPublicKey, parseLinkLine } from './chain.ts'
import { AuditFile, uidBytes } from './file.ts'
import type { VerifyStep } from './store.ts'
import { loginEvent } from './suite.ts'
import { verifyLog } from './verify-log.ts'

const pem = () => generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString()
const key = auditKey(pem())
const now = Date.parse('2026-01-01T00:00:00Z')
let dir: string
let original: string
let copy: string

function rowsOf(count: number, name = 'user') {
  const env = fakeEnv()
  return Array.from({ length: count }, (_, n) => {
    const { uid, timeMs, body } = boundEvent(loginEvent(env, `${name}-${n + 1}-é`))
    return { uid: uidBytes(uid), timeMs, body }
  })
}

beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), 'tamper-'))
  original = join(dir, 'original.sqlite')
  copy = join(dir, 'copy.sqlite')
  const log = new AuditFile(original, key, now)
  for (const row of rowsOf(35)) log.append([row], 10, now)
  log.close()
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

async function verify(path: string, expected: readonly Head[] = []): Promise<VerifyStep | undefined> {
  const log = new AuditFile(path, key, now)
  try {
    let last: VerifyStep | undefined
    for await (const step of verifyLog(log, [parseAuditPublicKey(key.public)], expected)) last = step
    return last
  } finally {
    log.close()
  }
}

/** A copy of the log, changed by somebody who knows SQLite. */
function edited(sql: string, ...values: (string | number)[]): string {
  copyFileSync(original, copy)
  const database = new DatabaseSync(copy)
  for (const trigger of ['events_keep', 'events_fixed', 'checkpoints_keep', 'checkpoints_fixed'])
    database.exec(`DROP TRIGGER ${trigger}`)
  if (values.length === 0) database.exec(sql)
  else database.prepare(sql).run(...values)
  database.close()
  return copy
}

test('what was not touched is proven', async () => {
  copyFileSync(original, copy)
  expect(await verify(copy)).toMatchObject({
    result: null,
    proof: { events: 35, checkpoints: 3, signedTo: 30, startsAfter: 0, head: { ei: 35 } },
  })
})

describe('a row edited by hand is named', () => {
  test.each([
    {
      name: 'body',
      sql: `UPDATE events SET body = replace(body, 'user-7-', 'user-8-') WHERE ei = 7`,
      bad: { what: 'changed', ei: 7 },
    },
    { name: 'time', sql: 'UPDATE events SET time = time + 1 WHERE ei = 7', bad: { what: 'changed', ei: 7 } },
    { name: 'once', sql: 'UPDATE events SET once = once + 1 WHERE ei = 7', bad: { what: 'changed', ei: 7 } },
    { name: 'uid', sql: 'UPDATE events SET uid = zeroblob(16) WHERE ei = 7', bad: { what: 'changed', ei: 7 } },
    { name: 'hash', sql: `UPDATE events SET hash = 'x' WHERE ei = 7`, bad: { what: 'changed', ei: 7 } },
    { name: 'number', sql: 'UPDATE events SET ei = 70 WHERE ei = 7', bad: { what: 'missing', ei: 7 } },
    { name: 'one removed', sql: 'DELETE FROM events WHERE ei = 7', bad: { what: 'missing', ei: 7 } },
    { name: 'the first removed', sql: 'DELETE FROM events WHERE ei = 1', bad: { what: 'missing', ei: 1 } },
    { name: 'signed end removed', sql: 'DELETE FROM events WHERE ei > 28', bad: { what: 'missing', ei: 29 } },
    { name: 'all removed', sql: 'DELETE FROM events', bad: { what: 'missing', ei: 1 } },
    {
      name: 'two exchanged',
      sql: 'UPDATE events SET ei = -7 WHERE ei = 7; UPDATE events SET ei = 7 WHERE ei = 8; UPDATE events SET ei = 8 WHERE ei = -7',
      bad: { what: 'changed', ei: 7 },
    },
    { name: 'checkpoint removed', sql: 'DELETE FROM checkpoints WHERE n = 2', bad: { what: 'missing', checkpoint: 2 } },
    {
      name: 'first checkpoint removed',
      sql: 'DELETE FROM checkpoints WHERE n = 1',
      bad: { what: 'missing', checkpoint: 1 },
    },
    {
      name: 'checkpoint changed',
      sql: `UPDATE checkpoints SET text = replace(text, '2026', '2027') WHERE n = 2`,
      bad: { what: 'signature', checkpoint: 2 },
    },
    { name: 'checkpoint moved', sql: 'UPDATE checkpoints SET ei = 19 WHERE n = 2', bad: {} },
    { name: 'checkpoint renumbered', sql: 'UPDATE checkpoints SET n = 9 WHERE n = 3', bad: {} },
    {
      name: 'signature changed',
      sql: 'UPDATE checkpoints SET signature = (SELECT signature FROM checkpoints WHERE n = 1) WHERE n = 2',
      bad: { what: 'signature', checkpoint: 2 },
    },
  ])('$name', async ({ sql, bad }) => {
    const step = await verify(edited(sql))
    expect(step?.result).toBeTruthy()
    expect(step?.result).toMatchObject(bad)
  })
})

test('who computes all hashes anew still has no signature', async () => {
  copyFileSync(original, copy)
  const reader = new DatabaseSync(copy)
  const rows = reader.prepare('SELECT ei, body, hash FROM events WHERE ei >= 4 ORDER BY ei').all()
  let hash = String(rows[0]?.hash)
  reader.close()
  edited('SELECT 1')
  const database = new DatabaseSync(copy)
  for (const row of rows.slice(1)) {
    const body = String(row.body).replace('user-5-', 'user-X-')
    hash = nextHash(hash, Number(row.ei), body)
    database.prepare('UPDATE events SET body = ?, hash = ? WHERE ei = ?').run(body, hash, Number(row.ei))
  }
  database.close()
  expect((await verify(copy))?.result).toMatchObject({ what: 'changed', checkpoint: 1, ei: 1 })
  // Nor one of another key.
  const other = new AuditFile(join(dir, 'other.sqlite'), auditKey(pem()), now)
  other.append(rowsOf(35), 10, now)
  other.close()
  expect((await verify(join(dir, 'other.sqlite')))?.result).toMatchObject({ what: 'signature', checkpoint: 1 })
})

test('an end that was removed with its signatures is missed by who knew it', async () => {
  const known = new AuditFile(edited('SELECT 1'), key, now)
  const { head } = known
  known.close()
  const cut = edited('DELETE FROM events WHERE ei > 20; DELETE FROM checkpoints WHERE n > 2')
  expect((await verify(cut))?.result).toBeNull()
  expect((await verify(cut, [head]))?.result).toMatchObject({ what: 'missing', ei: 21 })
  // Filled up again it is another log.
  const log = new AuditFile(cut, key, now)
  log.append(rowsOf(20, 'new'), 10, now)
  log.close()
  expect((await verify(cut, [head]))?.result).toMatchObject({ what: 'head', ei: 35 })
})

test('any byte of an event or a checkpoint that is flipped on the disk is found', async () => {
  const whole = readFileSync(original)
  const places: { readonly at: number; readonly bad: object }[] = []
  const database = new DatabaseSync(original, { readOnly: true })
  for (const row of database.prepare('SELECT ei, body, hash FROM events WHERE ei % 8 = 3').all()) {
    const ei = Number(row.ei)
    for (const text of [String(row.body), String(row.hash)]) {
      const start = whole.indexOf(Buffer.from(text))
      const length = Buffer.byteLength(text)
      for (const offset of [0, 1, Math.floor(length / 3), length - 2, length - 1])
        places.push({ at: start + offset, bad: { ei } })
    }
    const accent = whole.indexOf('é', whole.indexOf(String(row.body)))
    places.push({ at: accent, bad: { ei } }, { at: accent + 1, bad: { ei } })
  }
  for (const row of database.prepare('SELECT n, text, signature FROM checkpoints').all()) {
    for (const text of [String(row.text), String(row.signature)]) {
      const start = whole.indexOf(text)
      for (const offset of [0, 5, text.length - 2, text.length - 1])
        places.push({ at: start + offset, bad: { checkpoint: Number(row.n) } })
    }
  }
  database.close()
  for (const { at, bad } of places) {
    for (const bits of [0x01, 0x80, 0x5a]) {
      const spoilt = Buffer.from(whole)
      spoilt.writeUInt8(spoilt.readUInt8(at) ^ bits, at)
      writeFileSync(copy, spoilt)
      expect((await verify(copy))?.result, `byte ${at} ^ ${bits}`).toMatchObject(bad)
    }
  }
})

test('a body is the same JSON however often it is read and written', () => {
  const json = fc.dictionary(
    fc.oneof(fc.string({ unit: 'binary', maxLength: 12 }), fc.constantFrom('__proto__', '1', 'constructor', 'user')),
    fc.jsonValue({ maxDepth: 3 }),
    { maxKeys: 8 },
  )
  fc.assert(
    fc.property(json, fc.nat({ max: 1e9 }), (more, ei) => {
      const { body } = boundEvent({ ...more, ...loginEvent(fakeEnv(), 'alice') })
      expect(JSON.stringify(JSON.parse(body))).toBe(body)
      const link = { ei: ei + 1, hash: nextHash('', ei, body), body }
      expect(parseLinkLine(linkLine(link))).toEqual(link)
      expect(JSON.parse(linkLine(link))).toMatchObject({ ei: ei + 1, event: 'user.login' })
    }),
  )
})
