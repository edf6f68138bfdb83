/** Takes over what ended processes left in the spool: cuts torn tails, completes what has no end, and says so in the recording. */

import { constants } from 'node:fs'
import * as fs from 'node:fs/promises'
import { join } from 'node:path'
import { nextLink } from '../../audit/recording/chain.ts'
import type { RecordingEnd } from '../../audit/recording/types.ts'
import type { Logger } from '../../common/log.ts'
import { processAlive } from '../../common/process-owner.ts'
import { errnoOf, messageOf } from '../../errors/system.ts'
import { ChunkBuilder, type OpenLines } from './chunk-builder.ts'
import type { SpoolPosition } from './messages.ts'
import { SegmentWriter } from './segment-writer.ts'
import {
  type BeginFrame,
  encodeFrame,
  parseSegmentFile,
  parseTailFile,
  readFrame,
  type SegmentName,
  segmentFile,
  type TailName,
  tailFile,
} from './spool-format.ts'
import { type Segment, SpooledRecording } from './spooled-recording.ts'
import { readTail } from './tail-file.ts'

export interface RecoveryOptions {
  readonly dir: string
  readonly owner: string
  readonly log: Logger
  onBytes(change: number): void
}

/** Recordings whose writers ended, each ready to be sent. One that cannot be read is left where it is, with a log line. */
export async function adoptRecordings(options: RecoveryOptions): Promise<readonly SpooledRecording[]> {
  const { dir, owner, log } = options
  const orphans = new Map<string, SegmentName[]>()
  const tails = new Map<string, TailName>()
  for (const file of await fs.readdir(dir)) {
    const name = parseSegmentFile(file)
    const tail = parseTailFile(file)
    const of = (name ?? tail)?.owner
    if (of === undefined || of === owner || (await processAlive(of))) continue
    if (tail !== undefined) tails.set(tail.sid, tail)
    if (name === undefined) continue
    orphans.set(name.sid, [...(orphans.get(name.sid) ?? []), name])
  }
  const recordings: SpooledRecording[] = []
  for (const names of orphans.values()) {
    try {
      const recording = await adopt(names, tails.get(names[0]?.sid ?? ''), options)
      if (recording !== undefined) recordings.push(recording)
    } catch (error) {
      log.error('cannot take over a recording of an earlier process', { sid: names[0]?.sid, reason: messageOf(error) })
    }
  }
  for (const name of tails.values()) {
    // Its recording is at auth.
    if (!orphans.has(name.sid)) await fs.rm(join(dir, tailFile(name)), { force: true })
  }
  return recordings
}

async function adopt(
  names: readonly SegmentName[],
  tailName: TailName | undefined,
  options: RecoveryOptions,
): Promise<SpooledRecording | undefined> {
  const { dir, owner, onBytes } = options
  const begun: (Found & { readonly segment: number })[] = []
  let changed = 0
  for (const name of [...names].sort((a, b) => a.segment - b.segment)) {
    const path = join(dir, segmentFile({ ...name, owner }))
    // The name is the claim: of two processes that adopt at once, one finds the file gone.
    const claimed = await fs.rename(join(dir, segmentFile(name)), path).then(
      () => true,
      (error: unknown) => {
        if (errnoOf(error) === 'ENOENT') return false
        throw error
      },
    )
    if (!claimed) continue
    changed = Math.max(changed, (await fs.stat(path)).mtimeMs)
    const begin = await readBegin(path)
    // Its first frame was never whole: nothing was ever said to be in it.
    if (begin === undefined) await fs.rm(path, { force: true })
    else begun.push({ path, segment: name.segment, begin })
  }
  const first = begun[0]
  if (first === undefined) return undefined

  const { header } = first.begin
  let position: SpoolPosition = { ...pick(first.begin), segment: first.segment }
  let ended = false
  const segments: Segment[] = []
  for (const [at, found] of begun.entries()) {
    // What the next file begins with was not written into this one, whatever is there.
    const limit = begun[at + 1]?.begin.index
    const scanned = await scan(found, limit)
    position = { ...scanned.position, segment: found.segment + 1 }
    ended = scanned.ended
    segments.push({ segment: found.segment, bytes: scanned.bytes })
  }
  const recording = new SpooledRecording(header, { dir, owner }, position, onBytes, segments)
  const tail = tailName === undefined ? undefined : await claimTail(tailName, options)
  if (!ended) {
    const lines =
      tail === undefined || position.index === 0
        ? undefined
        : await readTail(tail, position.index).catch(() => undefined)
    await finishRecording(recording, {
      ...(lines === undefined ? {} : { lines }),
      mark: 'the node ended before the session did',
      end: { ended: new Date(changed).toISOString(), participants: [header.user], interrupted: true },
    })
  }
  if (tail !== undefined) await fs.rm(tail, { force: true })
  recording.finished = true
  return recording
}

/** Its path, under our name now. */
async function claimTail(name: TailName, { dir, owner }: RecoveryOptions): Promise<string | undefined> {
  const path = join(dir, tailFile({ ...name, owner }))
  try {
    await fs.rename(join(dir, tailFile(name)), path)
    return path
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined
    throw error
  }
}

interface Found {
  readonly path: string
  readonly begin: BeginFrame
}

const pick = ({ index, chain, toMs }: BeginFrame) => ({ index, chain, toMs })

async function readBegin(path: string): Promise<BeginFrame | undefined> {
  const file = await fs.open(path, constants.O_RDONLY | constants.O_NOFOLLOW)
  try {
    const frame = (await readFrame(file, 0))?.frame
    return frame?.kind === 'begin' ? frame : undefined
  } finally {
    await file.close()
  }
}

/** Where the whole frames of a file end; the rest is cut off. */
async function scan(
  { path, begin }: Found,
  limit = Number.POSITIVE_INFINITY,
): Promise<{ readonly position: Omit<SpoolPosition, 'segment'>; readonly bytes: number; readonly ended: boolean }> {
  const file = await fs.open(path, constants.O_RDWR | constants.O_NOFOLLOW)
  try {
    let position = pick(begin)
    let bytes = 0
    let ended = false
    while (!ended) {
      const read = await readFrame(file, bytes)
      if (read === undefined) break
      const { frame, next } = read
      if (frame.kind === 'chunk') {
        if (frame.index !== position.index || frame.index >= limit) break
        position = { index: frame.index + 1, chain: nextLink(position.chain, frame), toMs: frame.toMs }
      }
      ended = frame.kind === 'end'
      bytes = next
    }
    await file.truncate(bytes)
    return { position, bytes, ended }
  } finally {
    await file.close()
  }
}

/** Ends a recording whose writer is gone; in memory when the disk has no room for it, since what was recorded can go all the same. */
export async function finishRecording(
  recording: SpooledRecording,
  {
    lines,
    mark,
    end,
  }: {
    /** That the writer had collected. */
    readonly lines?: OpenLines
    readonly mark: string
    readonly end: Omit<RecordingEnd, 'chunks' | 'chain'>
  },
): Promise<void> {
  const { header, dir, owner } = recording
  const { index, chain, toMs, segment } = recording.position
  const builder = new ChunkBuilder(toMs)
  if (index === 0) builder.header(header)
  else if (lines !== undefined) builder.restore(lines)
  builder.add(toMs, 'm', mark)
  const { outputBytes: _, ...built } = builder.close()
  const chunk = { ...built, index }
  const after = { index: index + 1, chain: nextLink(chain, chunk), toMs: chunk.toMs }
  const added: Segment[] = []
  const writer = new SegmentWriter({
    dir,
    owner,
    header,
    durable: true,
    segment,
    segmentBytes: Number.POSITIVE_INFINITY,
    onSegment: (number, bytes) => added.push({ segment: number, bytes }),
  })
  try {
    const frames = [
      encodeFrame({ kind: 'chunk', ...chunk }),
      encodeFrame({ kind: 'end', ...end, chunks: after.index, chain: after.chain }),
    ]
    await writer.append(Buffer.concat(frames), { index, chain, toMs })
    recording.position = { ...after, segment: writer.segment }
  } catch {
    recording.endInMemory = { ...end, chunks: index, chain }
  } finally {
    for (const { segment: number } of added) recording.addSegment(number, writer.bytes)
    await writer.close().catch(() => undefined)
    recording.finished = true
  }
}
