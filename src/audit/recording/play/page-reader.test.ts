/** What the page uses to read recordings, against what Node.js writes. */

import { createHash } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { chunkReader } from '../../../../web/src/recordings/decode.ts'
import { MAX_CHUNK_TEXT } from '../limits.ts'

const packed = (text: string) => ({
  data: new Uint8Array(zstdCompressSync(Buffer.from(text))),
  fromMs: 2000,
  textBytes: Buffer.byteLength(text),
})
const line = (seconds: number, text: string) => `${JSON.stringify([seconds, 'o', text])}\n`
const damage = [{ type: 'damage', atMs: 2000, text: 'a piece of the recording is damaged' }]

describe('chunks in the page', () => {
  test.each([
    ['a short one', `{"version":2}\n${line(2, 'é世界')}`, 1],
    ['a repetitive one', line(2, 'x'.repeat(500_000)), 1],
    ['one of many lines', Array.from({ length: 5000 }, (_, n) => line(2 + n, `${n * 7919} of it`)).join(''), 5000],
    [
      'one that nothing makes shorter',
      line(2, Buffer.from(Array.from({ length: 90_000 }, (_, n) => (n * 7919 * n) % 251)).toString('base64')),
      1,
    ],
  ])('%s', (_, text, count) => {
    const entries = [...chunkReader.entries(packed(text))]
    expect(entries).toHaveLength(count)
    expect(entries.every(({ type }) => type === 'output')).toBe(true)
    expect(line(2, entries[0]?.type === 'output' ? entries[0].text : '')).toBe(
      `${text.slice(text.indexOf('['), text.indexOf('\n', text.indexOf('[')))}\n`,
    )
  })

  test.each([
    ['no zstd', { ...packed('x'), data: new TextEncoder().encode('this is no zstd at all') }],
    ['a cut one', { ...packed(line(2, 'abc')), data: packed(line(2, 'abc')).data.subarray(0, 12) }],
    ['one that claims too much', { ...packed('x'), textBytes: MAX_CHUNK_TEXT + 1 }],
  ])('%s is one entry of damage', (_, chunk) => expect([...chunkReader.entries(chunk)]).toEqual(damage))

  test('a frame that would expand beyond what was said is not expanded beyond it', () => {
    const bomb = { ...packed('a'.repeat(64 * 1024 * 1024)), textBytes: 1000 }
    expect([...chunkReader.entries(bomb)].map(({ type }) => type)).toEqual(['damage'])
  })

  test('bytes and hashes are those of Node.js', async () => {
    const data = Buffer.from(Array.from({ length: 256 }, (_, n) => n))
    expect(Buffer.from(chunkReader.bytes(data.toString('base64')))).toEqual(data)
    expect(await chunkReader.sha256(data)).toBe(createHash('sha256').update(data).digest('hex'))
  })
})
