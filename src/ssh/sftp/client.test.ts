import {
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { duplexPair } from 'node:stream'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  AccessDenied,
  isAccessDenied,
  isConnectionProblem,
  isNotFound,
  isSystemError,
  KindError,
} from '../../errors/errors.ts'
import { hasOpensshSftpServer, type Script, scriptedSftp, startOpensshSftp } from '../testing/sftp-peers.ts'
import { connectSftp } from './client.ts'
import type { SftpClient } from './client-types.ts'
import { extensionName, openFlag, statusCode } from './constants.ts'
import { encodeInit, encodeLimits, encodeReply, statusReply } from './encode.ts'
import { copyPipelined } from './pipeline.ts'
import type { NameEntry, SftpReply } from './types.ts'

describe.skipIf(!hasOpensshSftpServer)("the client with OpenSSH's server", () => {
  let dir: string
  let client: SftpClient
  beforeEach(async () => {
    dir = mkdtempSync(join(tmpdir(), 'sftp-client-'))
    client = await connectSftp(startOpensshSftp(dir))
  })
  afterEach(() => {
    client.end()
    rmSync(dir, { recursive: true, force: true })
  })
  const names = async (path: string) => {
    const found: string[] = []
    for await (const entry of client.readdir(path)) found.push('name' in entry ? entry.name.toString() : entry.refused)
    return found.sort()
  }

  test('takes its limits', () => {
    expect(client.maxRead).toBe(261_120)
    expect(client.maxWrite).toBe(261_120)
    expect(client.extensions.has('posix-rename@openssh.com')).toBe(true)
  })

  test('writes and reads a file at offsets', async () => {
    const handle = await client.open('f', openFlag.read | openFlag.write | openFlag.create, 0o640)
    await Promise.all([client.write(handle, 5, Buffer.from('world')), client.write(handle, 0, Buffer.from('hello'))])
    expect((await client.read(handle, 3, 100))?.toString()).toBe('loworld')
    expect(await client.read(handle, 10, 1)).toBeUndefined()
    await client.fsetstat(handle, { permissions: 0o600, times: { atime: 1, mtime: 2 } })
    expect(await client.fstat(handle)).toMatchObject({ size: 10n, permissions: 0o100600, times: { mtime: 2 } })
    await client.close(handle)
    expect(readFileSync(join(dir, 'f'), 'utf8')).toBe('helloworld')
  })

  test('directories, links, names and the rest', async () => {
    await client.mkdir('d', 0o700)
    expect(statSync(join(dir, 'd')).mode & 0o777).toBe(0o700)
    writeFileSync(join(dir, 'd/a'), 'a')
    await client.symlink('a', 'd/link')
    expect((await client.readlink('d/link')).toString()).toBe('a')
    expect((await client.lstat('d/link')).permissions).toBe(0o120777)
    expect((await client.stat('d/link')).size).toBe(1n)
    expect(await names('d')).toEqual(['a', 'link'])
    writeFileSync(join(dir, 'd/b'), 'b')
    await client.rename('d/a', 'd/b')
    expect(readdirSync(join(dir, 'd')).sort()).toEqual(['b', 'link'])
    await client.setstat('d/b', { permissions: 0o604 })
    expect(statSync(join(dir, 'd/b')).mode & 0o777).toBe(0o604)
    expect((await client.realpath('d/../d/b')).toString()).toBe(join(dir, 'd/b'))
    expect((await client.statvfs('.')).blockSize).toBeGreaterThan(0n)
    await client.remove('d/b')
    await client.remove('d/link')
    await client.rmdir('d')
    expect(readdirSync(dir)).toEqual([])
  })

  test('a thousand names come in several answers', async () => {
    for (let index = 0; index < 1000; index++) writeFileSync(join(dir, `file-${index}`), '')
    expect(await names('.')).toHaveLength(1000)
  })

  test('names that are no UTF-8 are bytes', async () => {
    const name = Buffer.from([0x66, 0xff, 0xfe])
    const handle = await client.open(name, openFlag.write | openFlag.create)
    await client.close(handle)
    for await (const entry of client.readdir('.')) expect('name' in entry && entry.name.equals(name)).toBe(true)
  })

  test('refusals are kinds that name the path', async () => {
    mkdirSync(join(dir, 'd'))
    writeFileSync(join(dir, 'd/x'), '')
    symlinkSync('nowhere', join(dir, 'dead'))
    await expect(client.stat('nix')).rejects.toSatisfy(isNotFound)
    await expect(client.stat('dead')).rejects.toThrow(/^dead: no such file or directory$/)
    await expect(client.open('a/b', openFlag.read)).rejects.toSatisfy(isNotFound)
    await expect(client.rmdir('d')).rejects.toSatisfy(isSystemError)
    await expect(client.expandPath('~nobody-of-that-name/x')).rejects.toThrow(/^~nobody/)
  })

  test('copies a file with many requests on their way, both directions', async () => {
    const content = Buffer.alloc(1_500_001, 'abcdefghijk')
    const source = { read: async (offset: number, length: number) => content.subarray(offset, offset + length) }
    const up = await client.open('big', openFlag.write | openFlag.create, 0o600)
    const sent: number[] = []
    const options = { size: content.length, chunk: 40_000, window: 400_000 }
    const sink = { write: (offset: number, data: Buffer) => client.write(up, offset, data) }
    const onBytes = (count: number) => void sent.push(count)
    expect(await copyPipelined(source, sink, { ...options, onBytes })).toBe(content.length)
    await client.close(up)
    expect(readFileSync(join(dir, 'big')).equals(content)).toBe(true)
    expect(sent.reduce((sum, count) => sum + count)).toBe(content.length)

    const back = Buffer.alloc(content.length)
    const down = await client.open('big', openFlag.read)
    const from = { read: (offset: number, length: number) => client.read(down, offset, length) }
    const to = { write: async (offset: number, data: Buffer) => void data.copy(back, offset) }
    // Longer than it is: it has become shorter meanwhile.
    expect(await copyPipelined(from, to, { ...options, size: content.length + 100_000 })).toBe(content.length)
    expect(back.equals(content)).toBe(true)
    expect(await copyPipelined(from, to, { ...options, size: undefined })).toBe(content.length)
  })
})

describe('the client with a server that means harm, or is broken', () => {
  const open = (answer: Script['answer'], script: Omit<Script, 'answer'> = {}) =>
    connectSftp(scriptedSftp({ ...script, answer }))
  const entry = (name: string): NameEntry => ({ name: Buffer.from(name), longName: Buffer.alloc(0), attributes: {} })

  test('a reply to a question that nobody asked ends it, and what waits is told', async () => {
    const client = await open(({ id }) => [statusReply(id + 7, statusCode.ok)])
    await expect(Promise.all([client.remove('a'), client.remove('b')])).rejects.toSatisfy(isConnectionProblem)
    await expect(client.remove('c')).rejects.toThrow(/nobody asked/)
  })

  test('the same reply twice ends it', async () => {
    const client = await open(({ id }) => [statusReply(id, statusCode.ok), statusReply(id, statusCode.ok)])
    await client.remove('a')
    await expect(client.remove('b')).rejects.toSatisfy(isConnectionProblem)
  })

  test.each<{ name: string; bytes: (id: number) => Buffer }>([
    { name: 'a packet of 4 GiB', bytes: () => Buffer.from('ffffffff65', 'hex') },
    { name: 'an empty packet', bytes: () => Buffer.alloc(8) },
    { name: 'a type that does not exist', bytes: (id) => Buffer.from([0, 0, 0, 5, 99, 0, 0, 0, id]) },
    { name: 'a cut-off packet', bytes: (id) => Buffer.from([0, 0, 0, 7, 101, 0, 0, 0, id, 0, 0]) },
    { name: 'two billion names', bytes: (id) => Buffer.from([0, 0, 0, 9, 104, 0, 0, 0, id, 0x7f, 255, 255, 255]) },
  ])('$name ends it', async ({ bytes }) => {
    const client = await open(({ id }) => [bytes(id)])
    await expect(client.stat('x')).rejects.toSatisfy(isConnectionProblem)
  })

  test.each<{ name: string; reply: (id: number) => SftpReply }>([
    { name: 'more data than asked', reply: (id) => ({ type: 'data', id, data: Buffer.alloc(11) }) },
    { name: 'no data at all, for ever', reply: (id) => ({ type: 'data', id, data: Buffer.alloc(0) }) },
    { name: 'a handle instead', reply: (id) => ({ type: 'handle', id, handle: Buffer.from('h') }) },
    { name: 'success instead', reply: (id) => statusReply(id, statusCode.ok) },
  ])('a read answered with $name ends it', async ({ reply }) => {
    const client = await open((request) =>
      request.type === 'open' ? [{ type: 'handle', id: request.id, handle: Buffer.from('h') }] : [reply(request.id)],
    )
    const handle = await client.open('x', openFlag.read)
    await expect(client.read(handle, 0, 10)).rejects.toSatisfy(isConnectionProblem)
  })

  test('names that are paths, tricks or nothing are refused one by one', async () => {
    const bad = ['../../.ssh/rc', '/etc/passwd', '', 'a\nb', 'x\x1b[2J', 'nul\0', 'a/b', 'd\x7fl', 'x'.repeat(2000)]
    let asked = 0
    const client = await open((request) => {
      const { id } = request
      if (request.type === 'opendir') return [{ type: 'handle', id, handle: Buffer.from('h') }]
      if (request.type === 'close') return [statusReply(id, statusCode.ok)]
      const entries = ['.', '..', 'good', ...bad].map(entry)
      return [asked++ === 0 ? { type: 'name', id, entries } : statusReply(id, statusCode.eof)]
    })
    const [names, refused]: [string[], string[]] = [[], []]
    for await (const one of client.readdir('d')) {
      if ('name' in one) names.push(one.name.toString())
      else refused.push(one.refused)
    }
    expect(names).toEqual(['good'])
    expect(refused).toHaveLength(bad.length)
    expect(refused.join('')).not.toMatch(/[\x00-\x1f\x7f]/)
  })

  test('a list of no names, for ever, ends it', async () => {
    const client = await open(({ type, id }) =>
      type === 'opendir' ? [{ type: 'handle', id, handle: Buffer.from('h') }] : [{ type: 'name', id, entries: [] }],
    )
    await expect(client.readdir('d').next()).rejects.toSatisfy(isConnectionProblem)
  })

  test('its words cannot move the cursor', async () => {
    const client = await open(({ id }) => [statusReply(id, statusCode.failure, 'disk\x1b[2J full\n')])
    await expect(client.remove('a\x1b]0;x\x07')).rejects.toThrow(/^"a\\u001b\]0;x\\u0007": disk\[2J full$/)
  })

  test.each([
    { name: 'nothing', limits: [0n, 0n, 0n, 0n], expected: 261_120 },
    { name: 'more than a packet holds', limits: [0n, 1n << 63n, 1n << 63n, 0n], expected: 261_120 },
    { name: 'very little', limits: [0n, 1n, 1n, 0n], expected: 1 },
  ] as const)('limits that say $name', async ({ limits, expected }) => {
    const [maxPacket, maxRead, maxWrite, maxHandles] = limits
    const data = encodeLimits({ maxPacket, maxRead, maxWrite, maxHandles })
    const client = await open(({ id }) => [{ type: 'extended-reply', id, data }], {
      extensions: [{ name: extensionName.limits, data: Buffer.from('1') }],
    })
    expect([client.maxRead, client.maxWrite]).toEqual([expected, expected])
  })

  test('an answer to limits that is cut off', async () => {
    const connecting = open(({ id }) => [{ type: 'extended-reply', id, data: Buffer.alloc(3) }], {
      extensions: [{ name: extensionName.limits, data: Buffer.from('1') }],
    })
    await expect(connecting).rejects.toSatisfy(isConnectionProblem)
  })

  test('an older version is refused', async () => {
    await expect(open(() => [], { version: 2 })).rejects.toThrow(/version 2/)
  })

  test('something that is no SFTP server', async () => {
    const [near, far] = duplexPair()
    far.end('This account is currently not available.\n')
    await expect(connectSftp(near)).rejects.toSatisfy(isConnectionProblem)
  })

  test('any bytes end it, sooner or later', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 200 }), fc.boolean(), async (bytes, greet) => {
        const [near, far] = duplexPair()
        far.resume()
        if (greet) far.write(encodeInit({ type: 'version', version: 3, extensions: [] }))
        const asking = connectSftp(near).then((client) => client.stat('x'))
        asking.catch(() => undefined)
        far.end(bytes)
        await expect(asking).rejects.toSatisfy((error) => error instanceof KindError)
      }),
    )
  })

  test('an end in the middle', async () => {
    const stream = scriptedSftp({ answer: ({ id }) => [encodeReply(statusReply(id, 0)).subarray(0, 6)] })
    const client = await connectSftp(stream)
    const waiting = client.remove('x')
    stream.destroy()
    await expect(waiting).rejects.toSatisfy(isConnectionProblem)
  })

  test('the signal ends what waits, with its reason', async () => {
    const stop = new AbortController()
    const client = await connectSftp(scriptedSftp({ answer: () => [] }), { signal: stop.signal })
    const waiting = client.remove('x')
    stop.abort(new AccessDenied('enough'))
    await expect(waiting).rejects.toSatisfy(isAccessDenied)
  })
})
