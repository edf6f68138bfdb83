import { createHash } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import { describe, expect, test } from 'vitest'
import { ChunkCache } from '../../../audit/recording/play/chunk-cache.ts'
import type { PlaySource } from '../../../audit/recording/play/source.ts'
import { ConnectionProblem } from '../../../errors/errors.ts'
import { type ServerRecording, serverSource } from './server-source.ts'

const sid = '3f1c5f6a-0d6b-4f0e-9d8e-1b2c3d4e5f60'
const hash = '0'.repeat(64)

/** Ten chunks of a second each, every third with a keyframe: chunk n shows `n` at n + 0.5 s. */
const chunks = Array.from({ length: 10 }, (_, index) => {
  const keyframe = index % 3 === 0
  const lines = [
    ...(index === 0 ? ['{"version":2}'] : []),
    ...(keyframe && index > 0 ? [`[${index}, "k", "screen ${index}"]`] : []),
    `[${index}.5, "o", "${index}"]`,
  ]
  const data = zstdCompressSync(Buffer.from(`${lines.join('\n')}\n`))
  return {
    index,
    fromMs: index * 1000,
    toMs: index * 1000 + 999,
    textBytes: 1,
    keyframe,
    sha256: createHash('sha256').update(data).digest('hex'),
    data: data.toString('base64'),
  }
})

/** An auth service that remembers what it was asked; `fail` makes requests fail from that chunk on. */
function server(options: { readonly fail?: number; readonly without?: number; readonly changed?: number } = {}) {
  const asked: number[] = []
  const api = {
    call: async () => undefined,
    async *stream(_: unknown, { query }: { query: { at: number } }, signal?: AbortSignal) {
      asked.push(query.at)
      const first = chunks.findLast((chunk) => chunk.keyframe && chunk.fromMs <= query.at)?.index ?? 0
      for (const chunk of chunks.slice(first)) {
        await new Promise((resolve) => setImmediate(resolve))
        signal?.throwIfAborted()
        if (chunk.index === options.fail) throw new ConnectionProblem('the proxy went away')
        if (chunk.index !== options.without) yield chunk.index === options.changed ? { ...chunk, sha256: hash } : chunk
      }
    },
  } as unknown as ServerRecording['api']
  const source = serverSource(
    { api, sid, action: 'play' },
    {
      user: 'alice',
      login: 'root',
      serverHostname: 'db-1',
      started: '2026-11-20T12:00:00.000Z',
      columns: 0,
      rows: 0,
      durationMs: 9999,
    },
  )
  return { source, asked }
}

/** What is shown from that time on. */
async function shown(source: PlaySource, atMs: number, until = Number.POSITIVE_INFINITY): Promise<string> {
  const texts: string[] = []
  for await (const entry of source.from(atMs, new AbortController().signal)) {
    if (entry.atMs > until) break
    if (entry.type !== 'resize') texts.push(entry.type === 'keyframe' ? `<${entry.text}>` : entry.text)
  }
  return texts.join('')
}

describe('a recording at the auth service', () => {
  test('all of it, asked for once; jumps within what was read ask nobody', async () => {
    const { source, asked } = server()
    expect(source.header).toMatchObject({ columns: 80, rows: 24, title: 'alice: root@db-1' })
    expect(await shown(source, 0)).toBe('012<screen 3>345<screen 6>678<screen 9>9')
    expect(await shown(source, 7200)).toBe('<screen 6>678<screen 9>9')
    expect(await shown(source, 2000)).toBe('012<screen 3>345<screen 6>678<screen 9>9')
    expect(await shown(source, 99_999_999)).toBe('<screen 9>9')
    expect(asked.slice(0, 1)).toEqual([0])
    expect(asked.length).toBeLessThanOrEqual(2)
  })
  test('from the middle, then back', async () => {
    const { source, asked } = server()
    expect(await shown(source, 8000)).toBe('<screen 6>678<screen 9>9')
    expect(await shown(source, 9500)).toBe('<screen 9>9')
    expect(asked).toEqual([8000])
    expect(await shown(source, 4000, 7000)).toBe('<screen 3>345<screen 6>6')
    expect(asked).toEqual([8000, 4000])
  })
  test('a viewer who leaves in the middle and comes again', async () => {
    const { source } = server()
    expect(await shown(source, 0, 1500)).toBe('01')
    expect(await shown(source, 8000, 8600)).toBe('<screen 6>678')
    expect(await shown(source, 0)).toBe('012<screen 3>345<screen 6>678<screen 9>9')
    await source.close()
  })
  test('what goes wrong is told after what came before it', async () => {
    const { source } = server({ fail: 4 })
    const texts: string[] = []
    const reading = (async () => {
      for await (const entry of source.from(0, new AbortController().signal))
        if (entry.type === 'output') texts.push(entry.text)
    })()
    await expect(reading).rejects.toThrow('the proxy went away')
    expect(texts.join('')).toBe('0123')
    await expect(shown(server({ fail: 0 }).source, 0)).rejects.toThrow('the proxy went away')
  })
  test('a piece that is missing or was changed is told, and the rest is shown', async () => {
    expect(await shown(server({ without: 4 }).source, 0)).toBe(
      '012<screen 3>3pieces 4 to 4 are missing5<screen 6>678<screen 9>9',
    )
    expect(await shown(server({ changed: 7 }).source, 6000)).toBe(
      '<screen 6>6piece 7 was changed after it was recorded78<screen 9>9',
    )
  })
})

describe('the cache', () => {
  const chunk = (index: number, keyframe = index === 0) => ({
    index,
    fromMs: index * 10,
    toMs: index * 10 + 9,
    textBytes: 1,
    keyframe,
    data: Buffer.alloc(100),
  })
  test('knows where to begin only when nothing is missing', () => {
    const cache = new ChunkCache()
    for (const index of [0, 1, 2, 5, 6]) cache.add(chunk(index, index === 0 || index === 5), 0)
    expect([0, 5, 29, 30, 49, 50, 69, 70].map((ms) => cache.startFor(ms))).toEqual([
      0,
      0,
      0,
      undefined,
      undefined,
      5,
      5,
      undefined,
    ])
  })
  test('forgets what was watched first, never what is to come', () => {
    const cache = new ChunkCache(350)
    for (let index = 0; index < 10; index++) cache.add(chunk(index), Math.min(index, 6))
    expect(Array.from({ length: 10 }, (_, index) => cache.has(index))).toEqual([
      ...Array.from({ length: 6 }, () => false),
      true,
      true,
      true,
      true,
    ])
  })
})
