import { zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { BadParameter } from '../../errors/errors.ts'
import { EntryReader, parseHeader } from './cast-entry.ts'
import { MAX_CHUNK_TEXT } from './limits.ts'
import { expandFrame, linesOf, readChunk } from './read-cast.ts'
import { expandFile, frameEnd, isZstd } from './zstd-file.ts'

describe('headers', () => {
  test('what asciinema writes', () => {
    const line =
      '{"version": 2, "width": 100, "height": 30, "timestamp": 1763668000, "title": "t", "env": {"SHELL": "/bin/bash", "TERM": "xterm"}}'
    expect(parseHeader(line)).toEqual({
      columns: 100,
      rows: 30,
      started: new Date(1_763_668_000_000),
      title: 't',
      term: 'xterm',
    })
  })
  test.each([
    ['{"version": 2}', { columns: 80, rows: 24 }],
    [
      '{"version": 2, "width": -1, "height": 1e99, "timestamp": 1e300, "title": 5, "env": 7}',
      { columns: 80, rows: 24 },
    ],
    ['{"version": 2, "width": 300, "height": 1}', { columns: 300, rows: 1 }],
  ])('%s', (line, wanted) => expect(parseHeader(line)).toEqual(wanted))
  test.each(['', 'x', '[]', 'null', '{}', '{"version": 1}', '{"version": 3}', '[0, "o", "x"]'])('refuses %s', (line) =>
    expect(() => parseHeader(line)).toThrow(BadParameter),
  )
})

describe('entries', () => {
  test.each([
    ['[1.5, "o", "hello"]', { type: 'output', atMs: 1500, text: 'hello' }],
    ['[0.25,"r","120x40"]', { type: 'resize', atMs: 250, columns: 120, rows: 40 }],
    ['[2, "m", "bob joined"]', { type: 'mark', atMs: 2000, text: 'bob joined' }],
    ['[2, "k", "\\u001b[2J"]', { type: 'keyframe', atMs: 2000, text: '\u001b[2J' }],
    ['[2, "i", "secret"]', undefined],
    ['[2, "zz", "x"]', undefined],
    ['', undefined],
    ['\r', undefined],
  ])('%s', (line, wanted) => expect(new EntryReader().read(line)).toEqual(wanted))
  test.each([
    '[1, "o"',
    '{"a": 1}',
    '7',
    '[1]',
    '["1", "o", "x"]',
    '[1, "o", 5]',
    '[1e999, "o", "x"]',
    '[1e13, "o", "x"]',
    '[1, "r", "0x0"]',
    '[1, "r", "99999x1"]',
    '[1, "r", "80 24"]',
    '\u0000\u001b]52;c;x\u0007',
  ])('%j is damage', (line) => expect(new EntryReader().read(line)).toMatchObject({ type: 'damage' }))
  test('a line longer than a chunk may be is damage', () =>
    expect(new EntryReader().read(`[1, "o", "${'x'.repeat(MAX_CHUNK_TEXT)}"]`)).toMatchObject({ type: 'damage' }))
  test('a megabyte of one escape sequence is output like any other', () => {
    const text = `\u001b]0;${'x'.repeat(1_000_000)}`
    expect(new EntryReader().read(JSON.stringify([1, 'o', text]))).toMatchObject({ type: 'output', text })
  })
  test('times never go back', () => {
    const reader = new EntryReader(500)
    const times = ['[1, "o", ""]', '[0.2, "o", ""]', '[-5, "o", ""]', '[1.2, "o", ""]'].map(
      (line) => reader.read(line)?.atMs,
    )
    expect(times).toEqual([1000, 1000, 1000, 1200])
  })
  test('nothing makes it throw, and times are ascending', () =>
    fc.assert(
      fc.property(
        fc.array(
          fc.oneof(
            fc.string(),
            fc.json(),
            fc
              .tuple(fc.double(), fc.constantFrom('o', 'r', 'k', 'm', 'x'), fc.string())
              .map((entry) => JSON.stringify(entry)),
          ),
        ),
        (lines) => {
          const reader = new EntryReader()
          const times = lines.flatMap((line) => reader.read(line)?.atMs ?? [])
          expect(times.every((time, index) => Number.isFinite(time) && time >= (times[index - 1] ?? 0))).toBe(true)
        },
      ),
    ))
  test('what was written is read', () =>
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 360_000_000 }), fc.string({ unit: 'binary' }), (ms, text) => {
        const line = `[${(ms / 1000).toFixed(3)}, "o", ${JSON.stringify(text)}]`
        expect(new EntryReader().read(line)).toEqual({ type: 'output', atMs: ms, text: text.toWellFormed() })
      }),
    ))
})

const frame = (text: string) => zstdCompressSync(Buffer.from(text))

describe('chunks', () => {
  test('entries without the header, from the time of the chunk on', () => {
    const data = frame('{"version": 2}\n[0.1, "o", "a"]\nbroken\n[9.5, "o", "b"]\n')
    expect([...readChunk(data, 9000)]).toMatchObject([
      { type: 'output', atMs: 9000, text: 'a' },
      { type: 'damage', atMs: 9000 },
      { type: 'output', atMs: 9500, text: 'b' },
    ])
  })
  test('a frame that would expand beyond the limit is not expanded', () => {
    const bomb = zstdCompressSync(Buffer.alloc(64 * 1024 * 1024, 0x20))
    expect(bomb.length).toBeLessThan(16_384)
    expect(() => expandFrame(bomb)).toThrow(BadParameter)
    expect([...readChunk(bomb, 7)]).toMatchObject([{ type: 'damage', atMs: 7 }])
  })
  test('damage is one entry', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        for (const entry of readChunk(Buffer.from(bytes), 0)) expect(entry.atMs).toBeGreaterThanOrEqual(0)
      }),
    ))
  test('a line without its line feed counts, and bytes that are no UTF-8 are replaced', () =>
    expect([...linesOf(Buffer.from([0x61, 0x0a, 0x0a, 0xff, 0x62]))]).toEqual(['a', '', '\ufffdb']))
})

describe('files of several frames', () => {
  const parts = ['{"version": 2}\n', '[1, "o", "one"]\n', '', '[2, "o", "two"]\n'.repeat(5000)].map(frame)
  const file = Buffer.concat(parts)
  const limit = 1024 * 1024

  test('frames end where their structure says', () => {
    const ends: number[] = []
    for (let at = frameEnd(file, 0); at !== undefined; at = frameEnd(file, at)) ends.push(at)
    expect(ends).toEqual(parts.map((_, index) => Buffer.concat(parts.slice(0, index + 1)).length))
    expect(isZstd(file)).toBe(true)
    expect(isZstd(Buffer.from('{"ve'))).toBe(false)
  })
  test('all text, with skippable frames passed over', () => {
    const skippable = Buffer.concat([Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0]), Buffer.from('abc')])
    const text = expandFile(Buffer.concat([skippable, file]), limit).toString()
    expect(text).toBe(`{"version": 2}\n[1, "o", "one"]\n${'[2, "o", "two"]\n'.repeat(5000)}`)
  })
  test('one damaged frame costs that frame', () => {
    const damaged = Buffer.from(file)
    const start = parts[0]?.length ?? 0
    damaged.fill(0xff, start + 6, start + 14)
    const text = expandFile(damaged, limit).toString()
    expect(text).toContain('{"version": 2}')
    expect(text).toContain('damaged: ')
    expect(text).toContain('[2, "o", "two"]')
  })
  test('more text than allowed is refused without expanding it', () =>
    expect(() => expandFile(Buffer.concat([file, zstdCompressSync(Buffer.alloc(256 * 1024 * 1024))]), limit)).toThrow(
      /unpack it first/,
    ))
  test('any bytes give text or a refusal', () =>
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat({ max: 60 }), (bytes, at) => {
        const mixed = Buffer.concat([file.subarray(0, at), Buffer.from(bytes), parts[1] ?? Buffer.alloc(0)])
        expect(expandFile(mixed, limit).length).toBeLessThanOrEqual(limit)
      }),
    ))
})
