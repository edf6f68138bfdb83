import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { SftpInspector } from './inspector.ts'
import type { FileEvent } from './inspector-types.ts'
import {
  encodeInit,
  encodeReply,
  encodeRequest,
  openFlag,
  type SftpReply,
  type SftpRequest,
  statusReply,
} from './messages.ts'

/** One thing that crosses: `>` from the client, `<` from the server. */
type Step = readonly ['>' | '<', Buffer]

const to = (request: SftpRequest): Step => ['>', encodeRequest(request)]
const from = (reply: SftpReply): Step => ['<', encodeReply(reply)]
const ok = (id: number): Step => from(statusReply(id, 0))
const eof = (id: number): Step => from(statusReply(id, 1))
const denied = (id: number): Step => from(statusReply(id, 3))
const handle = (id: number, name: string): Step => from({ type: 'handle', id, handle: Buffer.from(name) })
const data = (id: number, content: string): Step => from({ type: 'data', id, data: Buffer.from(content) })
const open = (id: number, path: string, flags: number): Step =>
  to({ type: 'open', id, path: Buffer.from(path), flags, attributes: { permissions: 0o644 } })
const close = (id: number, name: string): Step => to({ type: 'close', id, handle: Buffer.from(name) })
const read = (id: number, name: string, offset: number, length = 32_768): Step =>
  to({ type: 'read', id, handle: Buffer.from(name), offset: BigInt(offset), length })
const write = (id: number, name: string, offset: number, content: string): Step =>
  to({ type: 'write', id, handle: Buffer.from(name), offset: BigInt(offset), data: Buffer.from(content) })
const greeting: readonly Step[] = [
  ['>', encodeInit({ type: 'init', version: 3, extensions: [] })],
  ['<', encodeInit({ type: 'version', version: 3, extensions: [] })],
]
const newFile = openFlag.write | openFlag.create | openFlag.truncate

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

interface Heard {
  readonly events: readonly FileEvent[]
  readonly problems: readonly string[]
}

function hear(steps: readonly Step[], cut?: (bytes: Buffer) => readonly Buffer[]): Heard {
  const events: FileEvent[] = []
  const problems: string[] = []
  const inspector = new SftpInspector({
    directory: '/home/bob',
    onEvent: (event) => events.push(event),
    onProblem: (reason) => problems.push(reason),
  })
  for (const [side, bytes] of [...greeting, ...steps]) {
    for (const piece of cut?.(bytes) ?? [bytes]) {
      // What is given is valid during the call only.
      const copy = Buffer.from(piece)
      if (side === '>') inspector.fromClient(copy)
      else inspector.fromServer(copy)
      copy.fill(0xee)
    }
  }
  inspector.finish()
  return { events, problems }
}

const upload: readonly Step[] = [
  open(1, 'a/../up', newFile),
  handle(1, 'h'),
  write(2, 'h', 0, 'hello '),
  write(3, 'h', 6, 'world'),
  ok(2),
  ok(3),
  to({ type: 'fsetstat', id: 4, handle: Buffer.from('h'), attributes: { permissions: 0o600 } }),
  ok(4),
  close(5, 'h'),
  ok(5),
]
const download: readonly Step[] = [
  open(6, '/etc/x', openFlag.read),
  handle(6, 'h'),
  read(7, 'h', 0, 5),
  read(8, 'h', 5, 5),
  data(7, 'hello'),
  data(8, '!'),
  read(9, 'h', 6, 5),
  eof(9),
  close(10, 'h'),
  ok(10),
]
const uploaded = [
  { kind: 'setstat', path: '/home/bob/up', attributes: { permissions: 0o600 } },
  { kind: 'write', path: '/home/bob/up', file: 1, size: 11, sha256: sha256('hello world'), mode: 0o644 },
]
const downloaded = { kind: 'read', path: '/etc/x', file: 2, size: 6, sha256: sha256('hello!'), mode: 0o644 }

describe('SftpInspector', () => {
  test('tells the same however the streams are cut', () => {
    const expected = { events: [...uploaded, downloaded], problems: [] }
    const steps = [...upload, ...download]
    expect(hear(steps)).toEqual(expected)
    expect(hear(steps, (bytes) => [...bytes].map((byte) => Buffer.from([byte])))).toEqual(expected)
    const longest = Math.max(...steps.map(([, bytes]) => bytes.length))
    for (let at = 1; at < longest; at++) {
      expect(hear(steps, (bytes) => [bytes.subarray(0, at), bytes.subarray(at)])).toEqual(expected)
    }
  })

  test.each<{ name: string; steps: readonly Step[]; events: readonly object[] }>([
    {
      name: 'replies in another order',
      steps: [
        open(1, 'f', openFlag.read),
        handle(1, 'h'),
        read(2, 'h', 0, 3),
        read(3, 'h', 3, 3),
        read(4, 'h', 6, 3),
        data(3, 'def'),
        eof(4),
        data(2, 'abc'),
        close(5, 'h'),
        ok(5),
      ],
      events: [{ kind: 'read', size: 6, sha256: sha256('abcdef') }],
    },
    {
      name: 'a client that knows the size and does not read to the end',
      steps: [
        to({ type: 'stat', id: 1, path: Buffer.from('f') }),
        from({ type: 'attrs', id: 1, attributes: { size: 3n } }),
        open(2, 'f', openFlag.read),
        handle(2, 'h'),
        read(3, 'h', 0),
        data(3, 'abc'),
        close(4, 'h'),
        ok(4),
      ],
      events: [{ kind: 'read', size: 3, sha256: sha256('abc') }],
    },
    {
      name: 'a read that stopped in the middle',
      steps: [open(1, 'f', 1), handle(1, 'h'), read(2, 'h', 0, 3), data(2, 'abc'), close(3, 'h'), ok(3)],
      events: [{ kind: 'read', size: 3, sha256: undefined }],
    },
    {
      name: 'writes with a hole',
      steps: [open(1, 'f', newFile), handle(1, 'h'), write(2, 'h', 5, 'abc'), ok(2), close(3, 'h'), ok(3)],
      events: [{ kind: 'write', size: 3, sha256: undefined }],
    },
    {
      name: 'bytes that were written twice',
      steps: [
        open(1, 'f', newFile),
        handle(1, 'h'),
        write(2, 'h', 0, 'abc'),
        write(3, 'h', 0, 'xyz'),
        ok(2),
        ok(3),
        close(4, 'h'),
        ok(4),
      ],
      events: [{ kind: 'write', size: 6, sha256: undefined }],
    },
    {
      name: 'a file that was not emptied, until its size was set',
      steps: [
        open(1, 'f', openFlag.write | openFlag.create),
        handle(1, 'h'),
        write(2, 'h', 0, 'abc'),
        ok(2),
        to({ type: 'fsetstat', id: 3, handle: Buffer.from('h'), attributes: { size: 3n } }),
        ok(3),
        close(4, 'h'),
        ok(4),
      ],
      events: [{ kind: 'setstat' }, { kind: 'write', size: 3, sha256: sha256('abc') }],
    },
    {
      name: 'a file that was not emptied',
      steps: [
        open(1, 'f', openFlag.write | openFlag.create),
        handle(1, 'h'),
        write(2, 'h', 0, 'abc'),
        ok(2),
        close(4, 'h'),
        ok(4),
      ],
      events: [{ kind: 'write', size: 3, sha256: undefined }],
    },
    {
      name: 'a write that failed',
      steps: [open(1, 'f', newFile), handle(1, 'h'), write(2, 'h', 0, 'abc'), denied(2), close(3, 'h'), ok(3)],
      events: [{ kind: 'write', error: 'Permission denied', sha256: undefined }],
    },
    {
      name: 'an open that failed',
      steps: [open(1, 'f', openFlag.read), denied(1)],
      events: [{ kind: 'open', path: '/home/bob/f', error: 'Permission denied' }],
    },
    {
      name: 'a session that ends with files open and requests without an answer',
      steps: [
        open(1, 'f', newFile),
        handle(1, 'h'),
        write(2, 'h', 0, 'abc'),
        to({ type: 'remove', id: 3, path: Buffer.from('g') }),
        open(4, 'i', openFlag.read),
      ],
      events: [
        { kind: 'write', path: '/home/bob/f', size: 3, error: expect.stringContaining('ended') },
        { kind: 'remove', path: '/home/bob/g', error: expect.stringContaining('ended') },
        { kind: 'open', path: '/home/bob/i', error: expect.stringContaining('ended') },
      ],
    },
    {
      name: 'an id that is used again before the answer does not hide the second request',
      steps: [
        to({ type: 'stat', id: 1, path: Buffer.from('x') }),
        open(1, 'secret', openFlag.read),
        from({ type: 'attrs', id: 1, attributes: {} }),
        handle(1, 'h'),
        close(1, 'h'),
        ok(1),
      ],
      events: [{ kind: 'read', path: '/home/bob/secret' }],
    },
    {
      name: 'a write through a handle that was guessed belongs to the file that got the handle',
      steps: [
        open(1, 'decoy', newFile),
        handle(1, 'h'),
        close(2, 'h'),
        open(3, 'real', newFile),
        write(4, 'h', 0, 'evil'),
        ok(2),
        handle(3, 'h'),
        ok(4),
        close(5, 'h'),
        ok(5),
      ],
      events: [
        { kind: 'write', path: '/home/bob/decoy', size: 0 },
        { kind: 'write', path: '/home/bob/real', size: 4, sha256: undefined },
      ],
    },
    {
      name: 'relative paths begin where the server says that it is',
      steps: [
        to({ type: 'realpath', id: 1, path: Buffer.from('.') }),
        from({
          type: 'name',
          id: 1,
          entries: [{ name: Buffer.from('/srv/data'), longName: Buffer.alloc(0), attributes: {} }],
        }),
        to({ type: 'posix-rename', id: 2, from: Buffer.from('a'), to: Buffer.from('../b') }),
        ok(2),
        to({ type: 'hardlink', id: 3, from: Buffer.from('a'), to: Buffer.from('c') }),
        denied(3),
        to({ type: 'symlink', id: 4, target: Buffer.from('../x'), link: Buffer.from('l') }),
        ok(4),
      ],
      events: [
        { kind: 'rename', path: '/srv/data/a', target: '/srv/b' },
        { kind: 'link', path: '/srv/data/a', target: '/srv/data/c', error: 'Permission denied' },
        { kind: 'symlink', path: '/srv/data/l', target: '../x' },
      ],
    },
    {
      name: 'what was copied on the node itself',
      steps: [
        open(1, 'a', openFlag.read),
        handle(1, 'r'),
        open(2, 'b', newFile),
        handle(2, 'w'),
        to({
          type: 'copy-data',
          id: 3,
          from: Buffer.from('r'),
          fromOffset: 0n,
          length: 0n,
          to: Buffer.from('w'),
          toOffset: 0n,
        }),
        ok(3),
        close(4, 'r'),
        close(5, 'w'),
        ok(4),
        ok(5),
      ],
      events: [
        { kind: 'read', path: '/home/bob/a', sha256: undefined },
        { kind: 'write', path: '/home/bob/b', sha256: undefined },
      ],
    },
  ])('$name', ({ steps, events }) => {
    const heard = hear(steps)
    expect(heard.events.map((event) => ({ sha256: undefined, ...event }))).toMatchObject(events)
    expect(heard.events).toHaveLength(events.length)
    expect(heard.problems).toEqual([])
  })

  test.each<{ name: string; step: Step }>([
    { name: 'a packet of 2^32-1 bytes', step: ['>', Buffer.from([255, 255, 255, 255, 1])] },
    {
      name: 'a WRITE whose content is longer than it',
      step: ['>', Buffer.from(`0000001d0600000001000000010${'0'.repeat(17)}0000ffff00`, 'hex')],
    },
    { name: 'a reply from the client', step: ['>', encodeReply({ type: 'data', id: 1, data: Buffer.alloc(1) })] },
    { name: 'a truncated request', step: ['>', Buffer.from([0, 0, 0, 6, 17, 0, 0, 0, 1, 0])] },
    { name: 'a reply of an unknown type', step: ['<', Buffer.from([0, 0, 0, 5, 99, 0, 0, 0, 1])] },
  ])('$name is told once, with the files that were open', ({ step }) => {
    const { events, problems } = hear([...upload.slice(0, 3), step, step, ...download])
    expect(events).toMatchObject([{ kind: 'write', path: '/home/bob/up', error: expect.any(String) }])
    expect(problems).toHaveLength(1)
  })

  test('any bytes on both sides: nothing is thrown', () => {
    const pieces = fc.array(fc.tuple(fc.constantFrom('>' as const, '<' as const), fc.uint8Array({ maxLength: 60 })))
    fc.assert(
      fc.property(pieces, (list) => {
        hear(list.map(([side, bytes]): Step => [side, Buffer.from(bytes)]))
      }),
    )
  })

  test('says when too many requests have no answer', () => {
    const inspector = new SftpInspector({ directory: '/', onEvent() {}, onProblem() {} })
    for (const [, bytes] of greeting) inspector.fromClient(bytes)
    const stat = encodeRequest({ type: 'stat', id: 1, path: Buffer.alloc(0) })
    expect(inspector.isBusy).toBe(false)
    inspector.fromClient(Buffer.concat(Array.from({ length: 20_000 }, () => stat)))
    expect(inspector.isBusy).toBe(true)
  })
})
