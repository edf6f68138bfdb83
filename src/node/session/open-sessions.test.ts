import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { fakeEnv } from '../../common/fake-env.ts'
import { silentLogger } from '../../common/log.ts'
import { isUuid } from '../../common/names.ts'
import { tempDir } from '../../ssh/testing/temp-dir.ts'
import { endUid, fileUid, type OpenSession, openSessionJournal } from './open-sessions.ts'

const session = (sid: string): OpenSession => ({
  sid,
  user: 'alice',
  login: 'root',
  interactive: true,
  started: '2026-11-20T10:00:00.000Z',
  'addr.local': '127.0.0.1:3022',
  'addr.remote': '127.0.0.1:40000',
})
const [one, two] = ['11111111-1111-4111-8111-111111111111', '22222222-2222-4222-8222-222222222222'] as const

/** No process has this id and start time. */
const gone = '999999999-1'

async function openIn(dir: string, owner?: string) {
  const lost: string[] = []
  const lostFiles: string[] = []
  const journal = await openSessionJournal({
    dir,
    env: fakeEnv(),
    logger: silentLogger,
    ...(owner === undefined ? {} : { owner }),
  })
  await journal.takeOver(async ({ sid }, files) => {
    lost.push(sid)
    lostFiles.push(...files.map(({ path }) => path))
  })
  return { journal, lost, lostFiles }
}

describe('the list of open sessions', () => {
  test('what a killed process left open is told once', async () => {
    using dir = tempDir()
    const killed = await openIn(dir.path, gone)
    killed.journal.opened(session(one))
    killed.journal.opened(session(two))
    killed.journal.closed(one)
    const next = await openIn(dir.path)
    expect(next.lost).toEqual([two])
    await next.journal.close()
    expect((await openIn(dir.path)).lost).toEqual([])
  })

  test('files that were open are told with their session, others are not', async () => {
    using dir = tempDir()
    const { journal } = await openIn(dir.path, gone)
    const open = (sid: string, number: number) =>
      journal.fileOpened({ sid, uid: fileUid(sid, number), event: 'sftp.write', action: 'upload', path: `/${number}` })
    journal.opened(session(one))
    journal.opened(session(two))
    for (const number of [1, 2, 3]) open(one, number)
    journal.fileClosed(fileUid(one, 2))
    open(two, 4)
    journal.closed(two)
    expect((await openIn(dir.path)).lostFiles).toEqual(['/1', '/3'])
  })

  test('a torn line, rubbish and foreign files cost nothing else', async () => {
    using dir = tempDir()
    const killed = await openIn(dir.path, gone)
    killed.journal.opened(session(one))
    appendFileSync(join(dir.path, `open-${gone}.jsonl`), `[]\n{"sid":"../x"}\nnull\n{"sid":"${two}","us`)
    writeFileSync(join(dir.path, 'notes.txt'), 'mine')
    expect((await openIn(dir.path)).lost).toEqual([one])
    expect(readdirSync(dir.path)).toEqual(['notes.txt'])
  })

  test('does not grow with the number of sessions that have ended', async () => {
    using dir = tempDir()
    const { journal } = await openIn(dir.path, '1-1')
    journal.opened(session(one))
    for (let index = 0; index < 20_000; index++) {
      journal.opened(session(two))
      journal.closed(two)
    }
    const [name = ''] = readdirSync(dir.path)
    const text = readFileSync(join(dir.path, name), 'utf8')
    expect(text.length).toBeLessThan(2_000_000)
    expect(text).toContain(one)
  })

  test('leaves no file when all have ended', async () => {
    using dir = tempDir()
    const { journal } = await openIn(dir.path)
    journal.opened(session(one))
    journal.closed(one)
    await journal.close()
    expect(readdirSync(dir.path)).toEqual([])
  })

  test('the uid of an end is a uuid, the same each time, another for each session', () => {
    expect(isUuid(endUid(one))).toBe(true)
    expect(endUid(one)).toBe(endUid(one))
    expect(endUid(one)).not.toBe(endUid(two))
  })
})
