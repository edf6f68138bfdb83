import { execFileSync } from 'node:child_process'
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { beforeEach, describe, expect, onTestFinished, test } from 'vitest'
import { checkPrivateDir, ensurePrivateDir, readFileBounded, readPrivateFile, writeFileAtomic } from './files.ts'

let dir = ''
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'files-'))
  onTestFinished(() => rm(dir, { recursive: true, force: true }))
})

describe('atomic writes', () => {
  test('private, whole, nothing left behind, umask or not', async () => {
    const path = join(dir, 'a')
    const umask = process.umask(0)
    onTestFinished(() => void process.umask(umask))
    await writeFileAtomic(path, 'one')
    await writeFileAtomic(path, Buffer.from('two'))
    expect(await readFile(path, 'utf8')).toBe('two')
    expect((await stat(path)).mode & 0o777).toBe(0o600)
    await writeFileAtomic(path, 'three', { mode: 0o644 })
    expect((await stat(path)).mode & 0o777).toBe(0o644)
    expect(await readdir(dir)).toEqual(['a'])
  })
  test('a link in its place is replaced, its target untouched', async () => {
    await writeFile(join(dir, 'target'), 'old')
    await symlink(join(dir, 'target'), join(dir, 'link'))
    await writeFileAtomic(join(dir, 'link'), 'new')
    expect(await readFile(join(dir, 'target'), 'utf8')).toBe('old')
    expect((await lstat(join(dir, 'link'))).isSymbolicLink()).toBe(false)
  })
  test('without overwrite the first one stays', async () => {
    const path = join(dir, 'a')
    await writeFileAtomic(path, 'one', { overwrite: false })
    await expect(writeFileAtomic(path, 'two', { overwrite: false })).rejects.toMatchObject({ kind: 'AlreadyExists' })
    expect(await readFile(path, 'utf8')).toBe('one')
    expect(await readdir(dir)).toEqual(['a'])
  })
  test('a missing directory is named', async () => {
    await expect(writeFileAtomic(join(dir, 'no', 'a'), '')).rejects.toMatchObject({
      kind: 'NotFound',
      message: expect.stringContaining(join(dir, 'no', 'a')),
    })
  })
})

describe('reading', () => {
  test('bounded', async () => {
    await writeFile(join(dir, 'a'), '12345')
    expect((await readFileBounded(join(dir, 'a'), 5)).toString()).toBe('12345')
    await expect(readFileBounded(join(dir, 'a'), 4)).rejects.toMatchObject({ kind: 'LimitExceeded' })
    await expect(readFileBounded(join(dir, 'no'), 4)).rejects.toMatchObject({ kind: 'NotFound' })
    await expect(readFileBounded('/dev/zero', 4)).rejects.toMatchObject({ kind: 'BadParameter' })
    await expect(readFileBounded(dir, 4)).rejects.toMatchObject({ kind: 'BadParameter' })
  })
  test('a FIFO does not hang the reader', async () => {
    execFileSync('mkfifo', [join(dir, 'fifo')])
    await expect(readFileBounded(join(dir, 'fifo'), 4)).rejects.toMatchObject({ kind: 'BadParameter' })
  })
  test('secrets: private and no link', async () => {
    const path = join(dir, 'key')
    await writeFile(path, 'k', { mode: 0o600 })
    expect((await readPrivateFile(path, 10)).toString()).toBe('k')
    await symlink(path, join(dir, 'link'))
    await expect(readPrivateFile(join(dir, 'link'), 10)).rejects.toMatchObject({ kind: 'AccessDenied' })
    await chmod(path, 0o640)
    await expect(readPrivateFile(path, 10)).rejects.toThrow(`chmod 600 ${path}`)
  })
})

describe('private directories', () => {
  test('made with their parents', async () => {
    const path = join(dir, 'a', 'b')
    await ensurePrivateDir(path)
    expect((await stat(path)).mode & 0o777).toBe(0o700)
    await ensurePrivateDir(path)
  })
  test('loose, linked, missing and not a directory are refused with what to do', async () => {
    const loose = join(dir, 'loose')
    await mkdir(loose)
    await chmod(loose, 0o750)
    await expect(checkPrivateDir(loose)).rejects.toThrow(
      `${loose} is open to other users (mode 0750); close it with: chmod 700 ${loose}`,
    )
    await symlink(dir, join(dir, 'link'))
    await expect(checkPrivateDir(join(dir, 'link'))).rejects.toThrow('is a symbolic link')
    await writeFile(join(dir, 'file'), '')
    await expect(checkPrivateDir(join(dir, 'file'))).rejects.toThrow('is not a directory')
    await expect(checkPrivateDir(join(dir, 'no'))).rejects.toMatchObject({ kind: 'NotFound' })
    await expect(ensurePrivateDir(join(dir, 'file', 'x'))).rejects.toThrow(join(dir, 'file', 'x'))
  })
  test.skipIf(process.getuid?.() !== 0)("another user's directory is refused", async () => {
    const path = join(dir, 'theirs')
    await mkdir(path, { mode: 0o700 })
    execFileSync('chown', ['12345', path])
    await expect(checkPrivateDir(path)).rejects.toThrow('belongs to user id 12345')
  })
})
