/** The copying itself: trees both ways with OpenSSH's server, and what a server that lies can do to the files here: nothing. */

import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { isConnectionProblem } from '../../../errors/errors.ts'
import { connectSftp } from '../../../ssh/sftp/client.ts'
import { statusCode } from '../../../ssh/sftp/constants.ts'
import { statusReply } from '../../../ssh/sftp/encode.ts'
import type { Attributes, SftpReply, SftpRequest } from '../../../ssh/sftp/types.ts'
import { hasOpensshSftpServer, scriptedSftp, startOpensshSftp } from '../../../ssh/testing/sftp-peers.ts'
import { Copier } from './copier.ts'
import type { FileSystem } from './file-system.ts'
import { localFiles } from './local-files.ts'
import { noProgress } from './progress.ts'
import { RemoteFiles } from './remote-files.ts'

let dir: string
const at = (...names: readonly string[]) => join(dir, ...names)
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'tsh-scp-'))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

async function copy(
  from: FileSystem,
  to: FileSystem,
  sources: readonly string[],
  target: string,
  options: { into?: boolean; preserve?: boolean; signal?: AbortSignal } = {},
) {
  const lines: string[] = []
  const copier = new Copier(from, to, {
    recursive: true,
    preserve: options.preserve ?? false,
    signal: options.signal ?? new AbortController().signal,
    progress: noProgress,
    report: (line) => void lines.push(line),
  })
  await copier.copy(sources, target, options.into ?? false)
  return { failures: copier.failures, lines }
}

describe.skipIf(!hasOpensshSftpServer)("with OpenSSH's server", () => {
  let node: RemoteFiles
  beforeEach(async () => {
    mkdirSync(at('home'))
    node = new RemoteFiles(await connectSftp(startOpensshSftp(at('home')), { label: 'node:' }), 'node:')
    mkdirSync(at('tree/empty'), { recursive: true })
    mkdirSync(at('tree/locked'))
    writeFileSync(at('tree/big'), Buffer.alloc(1_234_567, 'some text '))
    writeFileSync(at('tree/locked/run'), '#!/bin/sh\n', { mode: 0o4755 })
    chmodSync(at('tree/locked/run'), 0o4755)
    for (let index = 0; index < 50; index++) writeFileSync(at(`tree/small-${index}`), String(index))
    symlinkSync('big', at('tree/link'))
    for (const name of ['tree/big', 'tree/locked/run', 'tree/locked', 'tree']) utimesSync(at(name), 1e9, 1e9)
    chmodSync(at('tree/locked'), 0o555)
    utimesSync(at('tree'), 1e9, 1e9)
  })

  const facts = (root: string) =>
    readdirSync(root, { recursive: true })
      .map(String)
      .sort()
      .map((name) => {
        const found = statSync(join(root, name))
        const content = found.isFile() ? readFileSync(join(root, name), 'latin1') : ''
        return { name, mode: found.mode & 0o777, mtime: Math.floor(found.mtimeMs / 1000), content }
      })

  test('a tree goes up and comes down again as it was, with modes and times', async () => {
    expect(await copy(localFiles, node, [at('tree')], 'up', { preserve: true })).toEqual({ failures: 0, lines: [] })
    expect(facts(at('home/up'))).toEqual(facts(at('tree')))
    expect(statSync(at('home/up')).mtimeMs).toBe(1e12)
    expect(await copy(node, localFiles, ['up'], at('down'), { preserve: true })).toEqual({ failures: 0, lines: [] })
    expect(facts(at('down'))).toEqual(facts(at('tree')))
    // Nobody becomes somebody else by a copy.
    expect(statSync(at('down/locked/run')).mode & 0o7000).toBe(0)
    expect(statSync(at('home/up/locked/run')).mode & 0o7000).toBe(0)
  })

  test('between two servers', async () => {
    mkdirSync(at('other'))
    const other = new RemoteFiles(await connectSftp(startOpensshSftp(at('other')), { label: 'other:' }), 'other:')
    await copy(localFiles, node, [at('tree')], 'up')
    expect(await copy(node, other, ['up'], 'there')).toEqual({ failures: 0, lines: [] })
    expect(readFileSync(at('other/there/big')).equals(readFileSync(at('tree/big')))).toBe(true)
    expect(readdirSync(at('other/there'), { recursive: true })).toHaveLength(55)
  })

  test('a longer file that was there is cut, and keeps its mode', async () => {
    writeFileSync(at('home/small-7'), 'much longer than before', { mode: 0o600 })
    writeFileSync(at('small-7'), 'much longer than before', { mode: 0o600 })
    await copy(localFiles, node, [at('tree/small-7')], '.', { into: true })
    await copy(node, localFiles, ['small-7'], at('small-7'))
    for (const path of [at('home/small-7'), at('small-7')]) {
      expect(readFileSync(path, 'utf8')).toBe('7')
      expect(statSync(path).mode & 0o777).toBe(0o600)
    }
  })

  test('what cannot be copied is named, and the rest is copied', async () => {
    symlinkSync('nowhere', at('tree/dead'))
    mkdirSync(at('home/up/small-3'), { recursive: true })
    const { failures, lines } = await copy(localFiles, node, [at('tree'), at('nothing')], 'up')
    expect(failures).toBe(3)
    expect(lines.sort()).toEqual([
      expect.stringMatching(/^cannot read .*\/nothing: no such file or directory$/),
      expect.stringMatching(/^cannot read .*\/tree\/dead: no such file or directory$/),
      expect.stringMatching(/^node:up\/small-3: /),
    ])
    expect(readFileSync(at('home/up/small-4'), 'utf8')).toBe('4')
  })

  test('a tree without a bottom ends at a depth', async () => {
    mkdirSync(at('deep', ...Array.from({ length: 70 }, () => 'd')), { recursive: true })
    mkdirSync(at('loop'))
    symlinkSync('.', at('loop/again'))
    const { failures, lines } = await copy(localFiles, node, [at('deep'), at('loop')], '.', { into: true })
    expect(failures).toBe(2)
    expect(lines[0]).toMatch(/more than 64 directories deep/)
    expect(lines[1]).toMatch(/symbolic links|64 directories/)
  })

  test('a copy onto itself destroys nothing', async () => {
    writeFileSync(at('home/same'), 'precious')
    await copy(node, localFiles, ['same'], at('home/same'))
    expect(readFileSync(at('home/same'), 'utf8')).toBe('precious')
  })

  test('the user ends it', async () => {
    const stop = new AbortController()
    const copying = copy(localFiles, node, [at('tree')], 'up', { signal: stop.signal })
    stop.abort(new Error('interrupted'))
    await expect(copying).rejects.toThrow('interrupted')
  })
})

describe('a server that lies', () => {
  const directory: Attributes = { permissions: 0o040755 }
  const file = (size: number | bigint, permissions = 0o100644): Attributes => ({ permissions, size: BigInt(size) })
  const handle = (id: number): SftpReply => ({ type: 'handle', id, handle: Buffer.from('h') })

  /** Answers what every server does; `lie` comes first. */
  async function rogue(lie: (request: SftpRequest) => SftpReply | undefined): Promise<RemoteFiles> {
    const stream = scriptedSftp({
      answer(request) {
        const { type, id } = request
        const told = lie(request)
        if (told !== undefined) return [told]
        if (type === 'open' || type === 'opendir') return [handle(id)]
        if (type === 'stat') return [{ type: 'attrs', id, attributes: file(4) }]
        if (type === 'read') return [{ type: 'data', id, data: Buffer.from('evil').subarray(0, request.length) }]
        return [statusReply(id, type === 'readdir' ? statusCode.eof : statusCode.ok)]
      },
    })
    return new RemoteFiles(await connectSftp(stream, { label: 'evil:' }), 'evil:')
  }
  const listing = (names: readonly string[], attributes: Attributes) => {
    let told = false
    return (request: SftpRequest): SftpReply | undefined => {
      if (request.type === 'stat' && request.path.toString() === 'd')
        return { type: 'attrs', id: request.id, attributes: directory }
      if (request.type !== 'readdir' || told) return undefined
      told = true
      const entries = names.map((name) => ({ name: Buffer.from(name), longName: Buffer.alloc(0), attributes }))
      return { type: 'name', id: request.id, entries }
    }
  }

  test('names that lead out of the target write nothing there', async () => {
    mkdirSync(at('target'))
    const names = ['../escaped', '..', '/tmp/escaped', 'sub/escaped', 'fine', 'bell\x07']
    const files = await rogue(listing(names, file(4)))
    const { failures, lines } = await copy(files, localFiles, ['d'], at('target/d'))
    expect(failures).toBe(4)
    expect(lines.every((line) => /^evil:d: the server lists .*; not copied$/.test(line))).toBe(true)
    expect(readdirSync(dir, { recursive: true }).map(String).sort()).toEqual(['target', 'target/d', 'target/d/fine'])
  })

  test('setuid, setgid and sticky bits do not arrive', async () => {
    const files = await rogue(listing(['tool'], file(4, 0o107777)))
    await copy(files, localFiles, ['d'], at('d'), { preserve: true })
    expect(statSync(at('d/tool')).mode & 0o7777).toBe(0o777)
  })

  test.each([
    ['2^63', 1n << 63n],
    ['2^64-1', (1n << 64n) - 1n],
    ['2^53', 1n << 53n],
  ])('a size of %s is refused', async (_, size) => {
    const files = await rogue(listing(['huge', 'fine'], file(size)))
    const { lines } = await copy(files, localFiles, ['d'], at('d')).catch((error: unknown) => ({
      lines: [String(error)],
    }))
    expect(lines.join('')).toMatch(/cannot be/)
    expect(existsSync(at('d/huge'))).toBe(false)
  })

  test('a file that is longer than it said is copied as long as it said', async () => {
    const files = await rogue(() => undefined)
    await copy(files, localFiles, ['x'], at('x'))
    expect(readFileSync(at('x'), 'utf8')).toBe('evil')
  })

  test('devices and the like are not copied', async () => {
    const files = await rogue(listing(['zero'], { permissions: 0o020666 }))
    const { lines } = await copy(files, localFiles, ['d'], at('d'))
    expect(lines).toEqual(['evil:d/zero: not a regular file'])
  })

  test('an error in the middle says what is incomplete', async () => {
    let reads = 0
    const files = await rogue((request) => {
      if (request.type === 'stat') return { type: 'attrs', id: request.id, attributes: file(100_000) }
      if (request.type !== 'read') return undefined
      const data = Buffer.alloc(request.length, 'x')
      return ++reads > 2
        ? statusReply(request.id, statusCode.failure, 'bad disk')
        : { type: 'data', id: request.id, data }
    })
    const { failures, lines } = await copy(files, localFiles, ['x'], at('x'))
    expect(failures).toBe(1)
    expect(lines).toEqual([expect.stringMatching(/\/x is incomplete: \S+KB of +97\.7KB$/), 'evil:x: bad disk'])
  })

  test('a connection that ends, ends the copy', async () => {
    const files = await rogue((request) =>
      request.type === 'read' ? { type: 'data', id: request.id + 1, data: Buffer.alloc(4) } : undefined,
    )
    await expect(copy(files, localFiles, ['x', 'y'], dir, { into: true })).rejects.toSatisfy(isConnectionProblem)
  })
})
