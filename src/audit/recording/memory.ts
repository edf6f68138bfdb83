/** A store of recordings that is gone with its process: for tests of what stands above it. */

import { AccessDenied, AlreadyExists, BadParameter, CompareFailed, NotFound } from '../../errors/errors.ts'
import { firstLink, lastLink, nextLink } from './chain.ts'
import { checkChunk, expandChunk } from './check-chunk.ts'
import { checkSid } from './disk.ts'
import { pageOfSummaries } from './page.ts'
import type { Progress, RecordingStore, RecordingVerdict } from './store.ts'
import type { Chunk, RecordingEnd, RecordingHeader, RecordingSummary, StoredChunkInfo } from './types.ts'

interface Kept {
  readonly header: RecordingHeader
  readonly chunks: (Chunk & StoredChunkInfo)[]
  end?: RecordingEnd
  told?: boolean
}

export function openMemoryRecordings(
  onComplete: (summary: RecordingSummary) => Promise<void> = async () => undefined,
): RecordingStore {
  const kept = new Map<string, Kept>()
  const find = (sid: string): Kept => {
    const found = kept.get(checkSid(sid))
    if (found === undefined) throw new NotFound(`there is no recording ${sid}`)
    return found
  }
  const own = (sid: string, serverId: string): Kept => {
    const found = find(sid)
    if (found.header.serverId !== serverId) throw new AccessDenied('access denied: another server began this recording')
    return found
  }
  const progress = ({ header, chunks }: Kept): Progress => ({
    next: chunks.length,
    chain: chunks.at(-1)?.chain ?? firstLink(header.sid),
  })
  const wanted = ({ chunks, end }: Kept) =>
    new CompareFailed(
      end === undefined ? `the chunk that is wanted next is ${chunks.length}` : 'the recording is complete',
    )
  const matches = async (one: Kept, search: string) => {
    const found: { atMs: number; text: string }[] = []
    if (one.header.command?.includes(search)) found.push({ atMs: 0, text: one.header.command })
    for (const { data, fromMs, textBytes } of one.chunks) {
      if ((await expandChunk(data, textBytes)).includes(search)) found.push({ atMs: fromMs, text: search })
    }
    return found.slice(0, 3)
  }

  return {
    async begin(header) {
      checkSid(header.sid)
      const one = kept.get(header.sid) ?? { header, chunks: [] }
      if (one.header.serverId !== header.serverId) throw new AccessDenied('access denied: another server began it')
      if (one.end !== undefined) throw new AlreadyExists('the recording is complete')
      kept.set(header.sid, one)
      return progress(one)
    },
    async append(sid, serverId, chunk) {
      const one = own(sid, serverId)
      if (chunk.index === one.chunks.length) await checkChunk(chunk)
      const before = one.chunks[chunk.index]
      if (before !== undefined) {
        if (before.sha256 !== chunk.sha256) throw wanted(one)
        return progress(one)
      }
      if (chunk.index !== one.chunks.length || one.end !== undefined) throw wanted(one)
      if (chunk.fromMs < (one.chunks.at(-1)?.fromMs ?? 0)) throw new BadParameter('fromMs', 'before the one before it')
      const last = one.chunks.at(-1)
      const offset = last === undefined ? 0 : last.offset + last.bytes
      const chain = nextLink(progress(one).chain, chunk)
      one.chunks.push({ ...chunk, chain, offset, bytes: chunk.data.length })
      return progress(one)
    },
    async complete(sid, serverId, end) {
      const one = own(sid, serverId)
      const { next, chain } = progress(one)
      if (one.end === undefined && (end.chunks !== next || end.chain !== chain)) throw wanted(one)
      one.end ??= end
      if (one.told !== true) await onComplete(summaryOf(one))
      one.told = true
      return summaryOf(one)
    },
    async get(sid) {
      const one = kept.get(checkSid(sid))
      return one === undefined ? undefined : summaryOf(one)
    },
    list: (query) =>
      pageOfSummaries([...kept.values()].map(summaryOf), query, async ({ sid }, words) => {
        const found = await matches(find(sid), words)
        return found.length === 0 ? undefined : found
      }),
    async seek(sid, atMs) {
      const { chunks } = find(sid)
      const before = chunks.filter(({ fromMs, keyframe, index }) => fromMs <= atMs && (keyframe || index === 0))
      const chunk = before.at(-1) ?? chunks[0]
      if (chunk === undefined) throw new NotFound('nothing is recorded yet')
      const { data: _, ...info } = chunk
      return info
    },
    async *read(sid, from, signal) {
      for (const chunk of find(sid).chunks.slice(from)) {
        signal?.throwIfAborted()
        yield chunk
      }
    },
    async verify(sid, expected): Promise<RecordingVerdict> {
      const one = find(sid)
      const { chain } = summaryOf(one)
      if (expected === undefined || chain === expected) return { ok: true, chunks: one.chunks.length, chain }
      return { ok: false, chunk: one.chunks.length, reason: 'it is not the one that the audit log knows' }
    },
    alarm: async () => undefined,
    async *all() {
      yield* [...kept.values()].map(summaryOf).sort((a, b) => (a.started < b.started ? -1 : 1))
    },
    async removeBefore(before) {
      const old = [...kept.values()].filter(({ end }) => end !== undefined && Date.parse(end.ended) < before.getTime())
      for (const { header } of old) kept.delete(header.sid)
      return old.map(({ header }) => header.sid)
    },
    close: async () => undefined,
  }
}

function summaryOf({ header, chunks, end }: Kept): RecordingSummary {
  const last = chunks.at(-1)
  const bytes = last === undefined ? 0 : last.offset + last.bytes
  const base = { ...header, durationMs: last?.toMs ?? 0, chunks: chunks.length, bytes }
  if (end === undefined) {
    return { ...base, state: 'running', chain: last?.chain ?? firstLink(header.sid), participants: [] }
  }
  const { ended, participants, interrupted, failure } = end
  return {
    ...base,
    state: interrupted ? 'interrupted' : 'complete',
    ended,
    chain: lastLink(end.chain, header, end),
    participants,
    ...(failure === undefined ? {} : { failure }),
  }
}
