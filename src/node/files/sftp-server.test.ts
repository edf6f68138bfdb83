/** The server process alone, spoken to in packets: what no well-behaved client does, and what OpenSSH's `sftp` does not show. */

import { type ChildProcess, spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync, readlinkSync, symlinkSync, truncateSync, utimesSync, writeFileSync } from 'node:fs'
import { userInfo } from 'node:os'
import { fileURLToPath } from 'node:url'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import {
  type Attributes,
  decodeReply,
  encodeInit,
  encodeRequest,
  openFlag,
  PacketSplitter,
  readLimits,
  readStatVfs,
  readUsersGroups,
  type SftpReply,
  type SftpRequest,
  statusCode,
} from '../../ssh/sftp/messages.ts'
import { type TempDir, tempDir } from '../../ssh/testing/temp-dir.ts'
import { maxHandles } from './handles.ts'

type Ask = SftpRequest extends infer Request ? (Request extends SftpRequest ? Omit<Request, 'id'> : never) : never

class Client {
  readonly process: ChildProcess
  readonly exited: Promise<number | null>
  stderr = ''
  readonly #waiting = new Map<number, (reply: SftpReply) => void>()
  #id = 0
  #greeted = Promise.withResolvers<Buffer>()

  constructor(directory: string) {
    const { username, uid, gid, homedir } = userInfo()
    const main = fileURLToPath(new URL('./sftp-main.ts', import.meta.url))
    this.process = spawn(process.execPath, [main, username, String(uid), String(gid), homedir, directory], { env: {} })
    this.exited = new Promise((resolve) => this.process.on('close', resolve))
    this.process.stdin?.on('error', () => {})
    this.process.stderr?.on('data', (chunk: Buffer) => {
      this.stderr += chunk.toString()
    })
    const splitter = new PacketSplitter()
    this.process.stdout?.on('data', (chunk: Buffer) => {
      for (const packet of splitter.push(chunk)) this.#reply(packet)
    })
  }

  #reply(packet: Buffer): void {
    if (packet[0] === 2) {
      this.#greeted.resolve(packet)
      return
    }
    const reply = decodeReply(Buffer.from(packet))
    if (reply !== undefined) this.#waiting.get(reply.id)?.(reply)
  }

  send(bytes: Buffer): void {
    this.process.stdin?.write(bytes)
  }

  greet(): Promise<Buffer> {
    this.send(encodeInit({ type: 'init', version: 3, extensions: [] }))
    return this.#greeted.promise
  }

  ask(request: Ask): Promise<SftpReply> {
    const id = this.#id++
    const { promise, resolve } = Promise.withResolvers<SftpReply>()
    this.#waiting.set(id, resolve)
    this.send(encodeRequest({ ...request, id } as SftpRequest))
    return promise
  }

  async open(path: string, flags: number, attributes: Attributes = {}): Promise<Buffer> {
    const reply = await this.ask({ type: 'open', path: Buffer.from(path), flags, attributes })
    if (reply.type !== 'handle') throw new Error(JSON.stringify(reply))
    return reply.handle
  }

  async code(request: Ask): Promise<number | string> {
    const reply = await this.ask(request)
    return reply.type === 'status' ? reply.code : reply.type
  }
}

let directory: TempDir
let client: Client
const bytes = (text: string): Buffer => Buffer.from(text)
const at = (name: string): Buffer => bytes(directory.file(name))

beforeEach(async () => {
  directory = tempDir()
  client = new Client(directory.path)
  await client.greet()
})
afterEach(async () => {
  client.process.stdin?.end()
  await client.exited
  directory[Symbol.dispose]()
})

describe('the SFTP server', () => {
  test('S22 a read of 2^32-1 bytes gives what fits into a packet, and no more memory', async () => {
    const content = randomBytes(400_000)
    writeFileSync(directory.file('f'), content)
    const handle = await client.open(directory.file('f'), openFlag.read)
    const reply = await client.ask({ type: 'read', handle, offset: 0n, length: 0xffff_ffff })
    expect(reply.type === 'data' && reply.data.equals(content.subarray(0, 256 * 1024 - 1024))).toBe(true)
    expect(await client.code({ type: 'read', handle, offset: 2n ** 63n - 1n, length: 0xffff_ffff })).not.toBe('data')
    expect(await client.code({ type: 'read', handle, offset: 2n ** 64n - 1n, length: 1 })).not.toBe('data')
    expect(await client.code({ type: 'read', handle, offset: 0n, length: 0 })).toBe(statusCode.eof)
  })

  test('positions beyond 4 GiB, and beyond what a file can have', async () => {
    const flags = openFlag.read | openFlag.write | openFlag.create
    const handle = await client.open(directory.file('sparse'), flags)
    const offset = 5n * 2n ** 30n + 7n
    expect(await client.code({ type: 'write', handle, offset, data: bytes('far') })).toBe(statusCode.ok)
    const reply = await client.ask({ type: 'read', handle, offset, length: 10 })
    expect(reply).toMatchObject({ type: 'data', data: bytes('far') })
    expect(await client.ask({ type: 'fstat', handle })).toMatchObject({ attributes: { size: offset + 3n } })
    for (const far of [2n ** 53n, 2n ** 64n - 1n]) {
      expect(await client.code({ type: 'write', handle, offset: far, data: bytes('x') })).toBe(statusCode.failure)
    }
    expect(await client.ask({ type: 'fstat', handle })).toMatchObject({ attributes: { size: offset + 3n } })
  })

  test('S22 handles are limited, with words, and come back when closed', async () => {
    writeFileSync(directory.file('f'), 'x')
    const open: Ask = { type: 'open', path: at('f'), flags: openFlag.read, attributes: {} }
    const replies = await Promise.all(Array.from({ length: maxHandles + 500 }, () => client.ask(open)))
    const handles = replies.flatMap((reply) => (reply.type === 'handle' ? [reply.handle] : []))
    expect(handles).toHaveLength(maxHandles)
    expect(replies.at(-1)).toMatchObject({ code: statusCode.failure, message: expect.stringContaining('at most 1000') })
    for (const handle of handles.slice(0, 2)) expect(await client.code({ type: 'close', handle })).toBe(0)
    expect(await client.code(open)).toBe('handle')
    expect(await client.code({ type: 'opendir', path: at('') })).toBe('handle')
    expect(await client.code(open)).toBe(statusCode.failure)
  })

  test('handles that do not exist, and of the wrong kind', async () => {
    const opened = await client.ask({ type: 'opendir', path: at('') })
    const dir = opened.type === 'handle' ? opened.handle : Buffer.alloc(0)
    for (const handle of [Buffer.alloc(0), bytes('none'), Buffer.alloc(4, 0xff), Buffer.alloc(256)]) {
      expect(await client.code({ type: 'close', handle })).toBe(statusCode.failure)
      expect(await client.code({ type: 'read', handle, offset: 0n, length: 1 })).toBe(statusCode.failure)
    }
    expect(await client.code({ type: 'read', handle: dir, offset: 0n, length: 1 })).toBe(statusCode.failure)
    expect(await client.code({ type: 'write', handle: dir, offset: 0n, data: bytes('x') })).toBe(statusCode.failure)
  })

  test('a rename replaces nothing, unless the client asks for POSIX', async () => {
    writeFileSync(directory.file('a'), 'a')
    writeFileSync(directory.file('b'), 'b')
    mkdirSync(directory.file('d'))
    mkdirSync(directory.file('e'))
    expect(await client.code({ type: 'rename', from: at('a'), to: at('b') })).toBe(statusCode.failure)
    expect(await client.code({ type: 'rename', from: at('d'), to: at('e') })).toBe(statusCode.failure)
    expect(await client.code({ type: 'rename', from: at('d'), to: at('g') })).toBe(statusCode.ok)
    expect(await client.code({ type: 'rename', from: at('none'), to: at('x') })).toBe(statusCode.noSuchFile)
    expect(readFileSync(directory.file('b'), 'utf8')).toBe('b')
    expect(await client.code({ type: 'posix-rename', from: at('a'), to: at('b') })).toBe(statusCode.ok)
    expect(readFileSync(directory.file('b'), 'utf8')).toBe('a')
  })

  test('append goes to the end whatever the offset says; exclusive does not open what is there', async () => {
    writeFileSync(directory.file('log'), 'one')
    const handle = await client.open(directory.file('log'), openFlag.write | openFlag.append)
    expect(await client.code({ type: 'write', handle, offset: 0n, data: bytes('two') })).toBe(0)
    expect(readFileSync(directory.file('log'), 'utf8')).toBe('onetwo')
    const flags = openFlag.write | openFlag.create | openFlag.exclusive
    expect(await client.code({ type: 'open', path: at('log'), flags, attributes: {} })).toBe(statusCode.failure)
  })

  test('REALPATH as OpenSSH: the last part may be missing, links that lead nowhere are followed', async () => {
    symlinkSync('gone', directory.file('dangling'))
    symlinkSync('loop', directory.file('loop'))
    const real = async (path: Buffer): Promise<string | number> => {
      const reply = await client.ask({ type: 'realpath', path })
      return reply.type === 'name'
        ? (reply.entries[0]?.name.toString() ?? '')
        : reply.type === 'status'
          ? reply.code
          : -1
    }
    expect(await real(Buffer.alloc(0))).toBe(directory.path)
    expect(await real(bytes('new'))).toBe(directory.file('new'))
    expect(await real(bytes('new/'))).toBe(directory.file('new'))
    expect(await real(bytes('dangling'))).toBe(directory.file('gone'))
    expect(await real(bytes('no/such'))).toBe(statusCode.noSuchFile)
    expect(await real(bytes('loop'))).toBe(statusCode.noSuchFile)
    expect(await real(bytes('/../..'))).toBe('/')
  })

  test('names that are no UTF-8, in a directory of more than one reply', async () => {
    const odd = Buffer.concat([at(''), Buffer.from([0x2f, 0xff, 0xfe])])
    writeFileSync(odd, 'x')
    for (let index = 0; index < 230; index++) writeFileSync(directory.file(`f${index}`), '')
    const opened = await client.ask({ type: 'opendir', path: at('') })
    const handle = opened.type === 'handle' ? opened.handle : Buffer.alloc(0)
    const names: string[] = []
    for (;;) {
      const reply = await client.ask({ type: 'readdir', handle })
      if (reply.type !== 'name') break
      expect(reply.entries.length).toBeLessThanOrEqual(100)
      names.push(...reply.entries.map(({ name }) => name.toString('latin1')))
    }
    expect(names).toHaveLength(233)
    expect(names.slice(0, 2)).toEqual(['.', '..'])
    expect(names).toContain('\xff\xfe')
  })

  test('sizes, modes and times by name, by handle and of links', async () => {
    writeFileSync(directory.file('f'), 'content')
    symlinkSync('f', directory.file('l'))
    const attributes = { size: 3n, permissions: 0o100640, times: { atime: 1000, mtime: 2000 } }
    expect(await client.code({ type: 'setstat', path: at('l'), attributes })).toBe(0)
    const { owner, ...found } = ((await client.ask({ type: 'stat', path: at('f') })) as { attributes: Attributes })
      .attributes
    expect(owner).toBeDefined()
    expect(found).toEqual(attributes)
    expect(readlinkSync(directory.file('l'))).toBe('f')
    const times = { atime: 5, mtime: 6 }
    expect(await client.code({ type: 'lsetstat', path: at('l'), attributes: { times } })).toBe(0)
    expect(await client.ask({ type: 'lstat', path: at('l') })).toMatchObject({ attributes: { times: { mtime: 6 } } })
    expect(await client.ask({ type: 'stat', path: at('l') })).toMatchObject({ attributes: { times: { mtime: 2000 } } })
    // A link has no mode; what it leads to must not get it instead.
    expect(await client.code({ type: 'lsetstat', path: at('l'), attributes: { permissions: 0o777 } })).toBe(4)
    expect(await client.code({ type: 'lsetstat', path: at('f'), attributes: { permissions: 0o600 } })).toBe(0)
    expect(await client.ask({ type: 'stat', path: at('f') })).toMatchObject({ attributes: { permissions: 0o100600 } })
    utimesSync(directory.file('f'), 4_294_967_295, 4_294_967_295)
    expect(await client.ask({ type: 'stat', path: at('f') })).toMatchObject({
      attributes: { times: { mtime: 4_294_967_295 } },
    })
  })

  test('OpenSSH extensions: limits, statvfs, copy-data, expand-path, users-groups-by-id', async () => {
    const limits = await client.ask({ type: 'limits' })
    expect(limits.type === 'extended-reply' && readLimits(limits.data)).toMatchObject({ maxPacket: 262_144n })
    const space = await client.ask({ type: 'statvfs', path: at('') })
    expect(space.type === 'extended-reply' && readStatVfs(space.data).blocks).toBeGreaterThan(0n)
    const ids = await client.ask({ type: 'users-groups-by-id', uids: [0, 4_000_000_000], gids: [0] })
    expect(ids.type === 'extended-reply' && readUsersGroups(ids.data)).toEqual({
      users: ['root', ''],
      groups: ['root'],
    })
    expect(await client.ask({ type: 'expand-path', path: bytes('~/') })).toMatchObject({
      entries: [{ name: bytes(userInfo().homedir) }],
    })
    expect(await client.code({ type: 'expand-path', path: bytes('~no-such-user/x') })).toBe(statusCode.noSuchFile)
    writeFileSync(directory.file('from'), randomBytes(1000))
    truncateSync(directory.file('from'), 3_000_000)
    const from = await client.open(directory.file('from'), openFlag.read)
    const to = await client.open(directory.file('to'), openFlag.write | openFlag.create)
    const copy = { type: 'copy-data', from, fromOffset: 0n, length: 0n, to, toOffset: 0n } as const
    expect(await client.code(copy)).toBe(0)
    expect(readFileSync(directory.file('to')).equals(readFileSync(directory.file('from')))).toBe(true)
    expect(await client.code({ ...copy, to: from })).toBe(statusCode.failure)
    expect(await client.code({ ...copy, length: 2n ** 64n - 1n })).toBe(statusCode.failure)
    expect(await client.code({ type: 'fsync', handle: to })).toBe(0)
    expect(await client.code({ type: 'extended', name: 'x@example.com', data: Buffer.alloc(5) })).toBe(
      statusCode.unsupported,
    )
  })

  test.each([
    { name: 'a NUL in a path', path: Buffer.from('a\0b'), code: statusCode.badMessage },
    { name: 'a path of 60,000 bytes', path: Buffer.alloc(60_000, 0x61), code: statusCode.badMessage },
    { name: 'an empty path', path: Buffer.alloc(0), code: statusCode.noSuchFile },
  ])('$name is an answer, not an end', async ({ path, code }) => {
    expect(await client.code({ type: 'stat', path })).toBe(code)
    expect(await client.code({ type: 'open', path, flags: openFlag.read, attributes: {} })).toBe(code)
    expect(await client.code({ type: 'lstat', path: at('') })).toBe('attrs')
  })

  test.each([
    { name: 'a packet of 2^32-1 bytes', hex: 'ffffffff' },
    { name: 'an empty packet', hex: '00000000' },
    { name: 'a truncated request', hex: '000000061100000001ff' },
    { name: 'a WRITE longer than its packet', hex: `00000019060000000100000004${'00'.repeat(12)}00ffffff` },
  ])('$name ends the session with words', async ({ hex }) => {
    client.send(Buffer.from(hex, 'hex'))
    expect(await client.exited).toBe(11)
    expect(client.stderr).toMatch(/^sftp-server: .+\n$/)
  })

  test('what comes before INIT ends the session', async () => {
    const early = new Client(directory.path)
    early.send(encodeRequest({ type: 'stat', id: 1, path: at('') }))
    expect(await early.exited).toBe(11)
  })
})
