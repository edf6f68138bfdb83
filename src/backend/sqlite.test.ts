import { execFile } from 'node:child_process'
import {
  chmod,
  copyFile,
  mkdir,
  mkdtemp,
  open,
  readdir,
  rm,
  stat,
  symlink,
  truncate,
  writeFile,
} from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { describe, expect, onTestFinished, test } from 'vitest'
import { realEnv } from '../common/env.ts'
import { openSqliteBackend } from './sqlite.ts'
import { backendSuite } from './suite.ts'

backendSuite('sqlite', async ({ env, maxQueuedEvents }) =>
  openSqliteBackend(join(await temporaryDir(), 'state.sqlite'), env, { maxQueuedEvents }),
)

async function temporaryDir(): Promise<string> {
  const dir = await mkdtemp(join(tmpdir(), 'backend-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
  return dir
}

async function filledFile(): Promise<string> {
  const path = join(await temporaryDir(), 'state.sqlite')
  const backend = await openSqliteBackend(path, realEnv)
  const value = Buffer.alloc(2000, 7)
  await Promise.all(Array.from({ length: 200 }, (_, n) => backend.put({ key: ['k', String(n)], value })))
  await backend.close()
  return path
}

describe('the sqlite file', () => {
  test('is private and holds everything after a reopen, with growing revisions', async () => {
    const path = await filledFile()
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    const backend = await openSqliteBackend(path, realEnv)
    onTestFinished(() => backend.close())
    expect((await backend.range(['k'])).items).toHaveLength(200)
    const before = Number((await backend.get(['k', '0'])).revision)
    await backend.delete(['k', '0'])
    expect(Number(await backend.put({ key: ['k', '0'], value: '' }))).toBeGreaterThan(before)
    for (const name of await readdir(join(path, '..'))) {
      expect((await stat(join(path, '..', name))).mode & 0o077).toBe(0)
    }
  })

  test('the revision counter survives the deletion of the newest item and a restart', async () => {
    const path = join(await temporaryDir(), 'state.sqlite')
    const first = await openSqliteBackend(path, realEnv)
    const revision = await first.create({ key: ['a'], value: '1' })
    await first.delete(['a'])
    await first.close()
    const second = await openSqliteBackend(path, realEnv)
    onTestFinished(() => second.close())
    expect(Number(await second.create({ key: ['a'], value: '1' }))).toBeGreaterThan(Number(revision))
  })

  test('a second opener in this process or another is refused with the file name', async () => {
    const path = join(await temporaryDir(), 'state.sqlite')
    const backend = await openSqliteBackend(path, realEnv)
    onTestFinished(() => backend.close())
    await backend.put({ key: ['a'], value: '1' })
    const message = expect.stringContaining(`${path} is in use by another process`)
    const script = `
      import { openSqliteBackend } from ${JSON.stringify(join(import.meta.dirname, 'sqlite.ts'))}
      import { realEnv } from ${JSON.stringify(join(import.meta.dirname, '../common/env.ts'))}
      await openSqliteBackend(${JSON.stringify(path)}, realEnv).then(() => console.log('opened'), (e) => console.log(e.kind + ' ' + e.message))`
    const child = await promisify(execFile)('node', ['--input-type=module', '-e', script])
    expect(child.stdout).toEqual(message)
    expect(child.stdout).toContain('AlreadyAcquired')
    await expect(openSqliteBackend(path, realEnv)).rejects.toMatchObject({ kind: 'AlreadyAcquired', message })
    await backend.put({ key: ['b'], value: '1' })
  })

  test('a directory or file that others can read is refused with the repair command', async () => {
    const path = await filledFile()
    const dir = join(path, '..')
    await chmod(dir, 0o755)
    await expect(openSqliteBackend(path, realEnv)).rejects.toMatchObject({
      kind: 'AccessDenied',
      message: expect.stringContaining(`chmod 700 ${dir}`),
    })
    await chmod(dir, 0o700)
    await chmod(path, 0o640)
    await expect(openSqliteBackend(path, realEnv)).rejects.toMatchObject({
      kind: 'AccessDenied',
      message: expect.stringContaining(`chmod 600 ${path}`),
    })
  })

  test('a symbolic link or directory in its place is refused', async () => {
    const target = await filledFile()
    const dir = await temporaryDir()
    await symlink(target, join(dir, 'link.sqlite'))
    await expect(openSqliteBackend(join(dir, 'link.sqlite'), realEnv)).rejects.toMatchObject({ kind: 'AccessDenied' })
    await mkdir(join(dir, 'dir.sqlite'))
    await expect(openSqliteBackend(join(dir, 'dir.sqlite'), realEnv)).rejects.toMatchObject({ kind: 'AccessDenied' })
  })

  const damages: readonly { name: string; damage: (path: string) => Promise<void> }[] = [
    { name: 'emptied', damage: (path) => truncate(path, 0) },
    { name: 'cut in the header', damage: (path) => truncate(path, 50) },
    { name: 'cut in the middle', damage: (path) => truncate(path, 9000) },
    { name: 'overwritten with text', damage: (path) => writeFile(path, 'not a database '.repeat(2000)) },
    { name: 'overwritten in the middle', damage: (path) => overwrite(path, 4096, Buffer.alloc(8192, 0xaa)) },
    {
      name: 'removed while its journal is still there',
      damage: async (path) => {
        await copyFile(path, `${path}-wal`)
        await rm(path)
      },
    },
  ]
  test.each(damages)('$name: refused by name, with the remedy, and left untouched', async ({ damage }) => {
    const path = await filledFile()
    await damage(path)
    const size = (await stat(path).catch(() => undefined))?.size
    await expect(openSqliteBackend(path, realEnv)).rejects.toMatchObject({
      kind: 'System',
      errno: 'ECORRUPT',
      message: expect.stringMatching(/state\.sqlite.*damaged.*restore/),
    })
    expect((await stat(path).catch(() => undefined))?.size).toBe(size)
  })

  test('a half-made file from a crash at first start is made again', async () => {
    const path = join(await temporaryDir(), 'state.sqlite')
    await writeFile(`${path}.new`, 'SQLite for')
    const backend = await openSqliteBackend(path, realEnv)
    await backend.put({ key: ['a'], value: '1' })
    await backend.close()
  })

  test('a file of a newer release is refused', async () => {
    const path = await filledFile()
    const { DatabaseSync } = await import('node:sqlite')
    const database = new DatabaseSync(path)
    database.exec('PRAGMA user_version = 99')
    database.close()
    await expect(openSqliteBackend(path, realEnv)).rejects.toMatchObject({ errno: 'EVERSION' })
  })

  test('the torn tail of the log after a crash is dropped, what came before stays', async () => {
    const path = join(await temporaryDir(), 'state.sqlite')
    const backend = await openSqliteBackend(path, realEnv)
    await backend.put({ key: ['first'], value: '1' })
    await backend.put({ key: ['second'], value: '2' })
    const copy = join(await temporaryDir(), 'state.sqlite')
    await copyFile(path, copy)
    await copyFile(`${path}-wal`, `${copy}-wal`)
    await backend.close()
    await chmod(copy, 0o600)
    const { size } = await stat(`${copy}-wal`)
    await truncate(`${copy}-wal`, size - 100)
    const torn = await openSqliteBackend(copy, realEnv)
    onTestFinished(() => torn.close())
    expect((await torn.get(['first'])).value.toString()).toBe('1')
    await expect(torn.get(['second'])).rejects.toMatchObject({ kind: 'NotFound' })
  })
})

async function overwrite(path: string, position: number, data: Buffer): Promise<void> {
  const file = await open(path, 'r+')
  await file.write(data, 0, data.length, position)
  await file.close()
}
