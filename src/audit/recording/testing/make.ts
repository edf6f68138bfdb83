/** Recordings for tests. */

import { createHash, randomUUID } from 'node:crypto'
import { zstdCompressSync } from 'node:zlib'
import type { RecordingStore } from '../store.ts'
import type { Chunk, RecordingEnd, RecordingHeader } from '../types.ts'

export const serverA = 'aaaaaaaa-aaaa-4aaa-8aaa-aaaaaaaaaaaa'
export const serverB = 'bbbbbbbb-bbbb-4bbb-8bbb-bbbbbbbbbbbb'

export const headerOf = (more: Partial<RecordingHeader> = {}): RecordingHeader => ({
  sid: randomUUID(),
  user: 'alice',
  login: 'root',
  serverId: serverA,
  serverHostname: 'web1',
  started: '2026-11-20T10:00:00.000Z',
  interactive: true,
  columns: 80,
  rows: 24,
  term: 'xterm',
  ...more,
})

export type Line = readonly [seconds: number, code: 'o' | 'r' | 'm' | 'k', data: string]

/** A chunk with these lines; the first one of a recording has the header's line too. */
export function chunkOf(index: number, lines: readonly Line[], more: Partial<Chunk> = {}): Chunk {
  const head = index === 0 ? '{"version":2,"width":80,"height":24}\n' : ''
  const text = head + lines.map((line) => `${JSON.stringify(line)}\n`).join('')
  const data = zstdCompressSync(Buffer.from(text))
  return {
    index,
    fromMs: Math.round((lines[0]?.[0] ?? 0) * 1000),
    toMs: Math.round((lines.at(-1)?.[0] ?? 0) * 1000),
    textBytes: Buffer.byteLength(text),
    keyframe: lines[0]?.[1] === 'k',
    sha256: createHash('sha256').update(data).digest('hex'),
    data,
    ...more,
  }
}

/** Chunk `n` of a dull recording: a second each, every tenth one begins with a keyframe. */
export const nth = (n: number): Chunk =>
  chunkOf(n, [
    ...(n % 10 === 0 && n > 0 ? [[n, 'k', 'screen'] as const] : []),
    [n, 'o', `second ${n}\r\n`],
    [n + 0.9, 'o', '.'],
  ])

export const endOf = (chunks: number, chain: string, more: Partial<RecordingEnd> = {}): RecordingEnd => ({
  ended: '2026-11-20T11:00:00.000Z',
  chunks,
  chain,
  participants: ['alice', 'bob'],
  interrupted: false,
  ...more,
})

/** A complete recording of so many chunks. */
export async function record(
  store: RecordingStore,
  chunks: number | readonly Chunk[] = 3,
  header: Partial<RecordingHeader> = {},
  end: Partial<RecordingEnd> = {},
) {
  const all = typeof chunks === 'number' ? Array.from({ length: chunks }, (_, n) => nth(n)) : chunks
  const whole = headerOf(header)
  let progress = await store.begin(whole)
  for (const chunk of all) progress = await store.append(whole.sid, whole.serverId, chunk)
  return store.complete(whole.sid, whole.serverId, endOf(progress.next, progress.chain, end))
}
