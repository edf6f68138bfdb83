import { Writable } from 'node:stream'
import { zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import type { CastEntry } from '../../../audit/recording/cast-entry.ts'
import { clockTime } from '../../../audit/recording/play/clock-time.ts'
import type { TextFormat } from '../../../audit/recording/play/formats.ts'
import { expandFile } from '../../../audit/recording/zstd-file.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { inMemory } from './byte-source.ts'
import { FileSource } from './file-source.ts'
import { sizeText } from './list-recordings.ts'
import { statusLine } from './status.ts'
import { parseAt, parseSpeed, sessionOf } from './target.ts'
import { writeRecording } from './write-recording.ts'

async function written(cast: string | Buffer, format: TextFormat) {
  let text = ''
  const out = new Writable({
    decodeStrings: false,
    write(chunk: string, _encoding, done) {
      text += chunk
      done()
    },
  })
  const source = await FileSource.open(inMemory(Buffer.from(cast)))
  const code = await writeRecording(source, format, out)
  await source.close()
  return { code, text }
}

const header = '{"version": 2, "width": 20, "height": 4, "timestamp": 1763668000, "env": {"TERM": "xterm"}}'
/** A recording of these outputs, a second apart. */
const cast = (...outputs: readonly string[]) =>
  [header, ...outputs.map((text, index) => JSON.stringify([index, 'o', text]))].join('\n')

describe('as text', () => {
  test.each([
    ['lines as they scrolled by', ['1\r\n2\r\n3\r\n4\r\n5\r\n6\r\n'], '1\n2\n3\n4\n5\n6\n'],
    [
      'many lines',
      [Array.from({ length: 20_000 }, (_, n) => `${n}\r\n`).join('')],
      Array.from({ length: 20_000 }, (_, n) => `${n}\n`).join(''),
    ],
    ['without escapes', ['\u001b[1;31mred\u001b[0m\u001b]0;title\u0007 plain\u202e\r\n'], 'red plain\n'],
    ['a wrapped line is one line', [`${'abcdefghij'.repeat(5)}\r\nx\r\n`], `${'abcdefghij'.repeat(5)}\nx\n`],
    ['a line that was drawn over', ['10%\r50%\r100%\r\n'], '100%\n'],
    ['what was cleared', ['one\r\ntwo\r\n\u001b[H\u001b[2Jthree\r\n'], 'one\ntwo\nthree\n'],
    ['what was cleared as tmux does', ['one\r\n\u001b[H\u001b[Jtwo\r\n'], 'one\ntwo\n'],
    [
      'the last of a full-screen program, in its place',
      ['$ vim\r\n\u001b[?1049h\u001b[2J\u001b[Hfirst', '\u001b[Hsecond', '\u001b[?1049l$ ls\r\nfile\r\n'],
      '$ vim\nsecond\n$ ls\nfile\n',
    ],
    ['a program that never left', ['$ vim\r\n\u001b[?1049h\u001b[Hscreen'], '$ vim\nscreen\n'],
    ['a reset', ['one\u001bctwo\r\n'], 'one\ntwo\n'],
    ['nothing', [''], ''],
  ])('%s', async (_, outputs, text) => expect(await written(cast(...outputs), 'text')).toEqual({ code: 0, text }))
})

describe('as asciicast', () => {
  test('everything but keyframes, controls escaped', async () => {
    const lines = [
      header,
      '[0.5, "o", "\u009b\\u001b[1mé\u202e"]',
      '[1, "k", "x"]',
      '[1, "r", "30x5"]',
      '[2, "m", "bob joined"]',
    ]
    const { text } = await written(lines.join('\n'), 'cast')
    expect(text).toBe(
      [
        '{"version":2,"width":20,"height":4,"timestamp":1763668000,"duration":2,"env":{"TERM":"xterm"}}',
        '[0.5,"o","\\u009b\\u001b[1mé\\u202e"]',
        '[1,"r","30x5"]',
        '[2,"m","bob joined"]',
        '',
      ].join('\n'),
    )
  })
})

test('as JSON', async () => {
  const { text } = await written(`${header}\n[0.5, "o", "a\\u0007"]\n[1, "r", "30x5"]\n[2, "m", "x"]`, 'json')
  expect(
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as unknown),
  ).toEqual([
    { time: 0.5, type: 'output', data: 'a\u0007' },
    { time: 1, type: 'resize', columns: 30, rows: 5 },
    { time: 2, type: 'mark', data: 'x' },
  ])
})

test('damage is told, and the rest is written', async () => {
  const frames = [`${header}\n`, '[1, "o", "lost"]\n'.repeat(20), '[2, "o", "kept\\r\\n"]\n'].map((text) =>
    zstdCompressSync(Buffer.from(text)),
  )
  frames[1]?.fill(0, 8)
  const { code, text } = await written(expandFile(Buffer.concat(frames), 1_000_000), 'text')
  expect({ code, text }).toEqual({ code: 1, text: 'kept\n' })
})

test('an empty file is no recording', async () => {
  await expect(FileSource.open(inMemory(Buffer.alloc(0)))).rejects.toThrow(BadParameter)
  await expect(FileSource.open(inMemory(Buffer.from('\n\nhello')))).rejects.toThrow(BadParameter)
})

describe('a file without keyframes', () => {
  test('gets its own, so that a jump need not read from the beginning', async () => {
    const outputs = Array.from({ length: 200 }, (_, n) => JSON.stringify([n, 'o', `${n}${' '.repeat(40_000)}\r\n`]))
    const source = await FileSource.open(inMemory(Buffer.from([header, ...outputs].join('\n'))))
    await source.settled()
    expect(source.durationMs()).toBe(199_000)
    source.scan()
    /** Where reading for 150 s begins. */
    const begins = async () => {
      for await (const entry of source.from(150_000, new AbortController().signal)) return entry.atMs
      return 0
    }
    for (let turn = 0; turn < 5000 && (await begins()) < 100_000; turn++) {
      await new Promise((resolve) => setTimeout(resolve, 2))
    }
    const entries: CastEntry[] = []
    for await (const entry of source.from(150_000, new AbortController().signal)) entries.push(entry)
    expect(entries[0]).toMatchObject({ type: 'resize', columns: 20, rows: 4 })
    expect(entries[1]).toMatchObject({ type: 'keyframe' })
    expect(entries.length).toBeLessThanOrEqual(100)
    expect(entries.at(-1)).toMatchObject({ atMs: 199_000 })
    await source.close()
  })
})

describe('on the command line', () => {
  test.each([
    ['90', 90_000],
    ['90.5', 90_500],
    ['1:30', 90_000],
    ['1:02:03', 3_723_000],
    ['0:01.25', 1250],
    ['1m30s', 90_000],
    ['2h', 7_200_000],
  ])('--at=%s', (text, ms) => expect(parseAt(text)).toBe(ms))
  test.each(['', '-1', 'x', '1:2:3:4', '1e9', '99999999999999'])('--at=%s is refused', (text) =>
    expect(() => parseAt(text)).toThrow(BadParameter),
  )
  test.each([
    ['1', 1],
    ['1.5', 1.5],
    ['2x', 2],
  ])('--speed=%s', (text, speed) => expect(parseSpeed(text)).toBe(speed))
  test.each(['0', '-1', '1e3', '100', 'fast', ''])('--speed=%s is refused', (text) =>
    expect(() => parseSpeed(text)).toThrow(BadParameter),
  )
  test('an id is a session, all else a file', () => {
    expect(sessionOf('3F1C5F6A-0D6B-4F0E-9D8E-1B2C3D4E5F60')).toBe('3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60')
    expect(sessionOf('./3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60')).toBeUndefined()
    expect(sessionOf('a.cast')).toBeUndefined()
  })
  test('times and sizes', () => {
    expect([0, 59_999, 60_000, 36_000_000].map(clockTime)).toEqual(['00:00', '00:59', '01:00', '10:00:00'])
    expect([0, 1023, 1024, 10_240, 3_500_000].map(sizeText)).toEqual(['0 B', '1023 B', '1.0 KiB', '10 KiB', '3.3 MiB'])
  })
  test.each([1, 5, 20, 40, 80, 300])('the line of the player has %s columns', (columns) => {
    const line = statusLine(
      {
        positionMs: 1000,
        durationMs: 36_000_000,
        state: 'playing',
        speed: 1.5,
        skipIdle: true,
        noticed: true,
        help: false,
        note: 'é日本\u001b[2J'.repeat(30),
      },
      columns,
    )
    expect(line.startsWith('\u001b[0;7m')).toBe(true)
    expect(line.slice(6, -4)).not.toMatch(/\p{Cc}/u)
  })
})
