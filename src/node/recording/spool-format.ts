/**
 * The files in which recordings wait for auth. Each file is a row of frames: lengths, a header in JSON, data, a checksum. A write
 * that was cut off leaves a torn last frame, which readers leave out. A long recording has several files (segments), so that
 * what auth has acknowledged can go before the session ends.
 *
 * `SID.SEGMENT.OWNER.rec`; the owner is the process that writes it, see `common/process-owner.ts`.
 */

import type { FileHandle } from 'node:fs/promises'
import { crc32 } from 'node:zlib'
import { z } from 'zod'
import { recordingHeader } from '../../api/recording-model.ts'
import { MAX_CHUNK_BYTES } from '../../audit/recording/limits.ts'
import type { Chunk, RecordingEnd, RecordingHeader } from '../../audit/recording/types.ts'
import type { SpoolPosition } from './messages.ts'

const count = z.number().int().nonnegative()
const link = z.string().regex(/^[0-9a-f]{64}$/)

const beginFrame = z.object({
  kind: z.literal('begin'),
  header: recordingHeader,
  segment: count,
  /** What comes next, as in `SpoolPosition`. */
  index: count,
  chain: link,
  toMs: count,
})
const chunkFrame = z.object({
  kind: z.literal('chunk'),
  index: count,
  fromMs: count,
  toMs: count,
  textBytes: count,
  keyframe: z.boolean(),
  sha256: link,
})
/** Lines of a chunk to come, see `TailFile`. */
const tailFrame = z.object({
  kind: z.literal('tail'),
  /** Of the chunk. */
  index: count,
  /** From 0 for each chunk. */
  part: count,
  fromMs: count,
  toMs: count,
  keyframe: z.boolean(),
})
const endFrame = z.object({
  kind: z.literal('end'),
  ended: z.string(),
  chunks: count,
  chain: link,
  participants: z.array(z.string()),
  interrupted: z.boolean(),
  failure: z.string().optional(),
})
const frameHeader = z.discriminatedUnion('kind', [beginFrame, chunkFrame, tailFrame, endFrame])

export interface BeginFrame extends Omit<SpoolPosition, 'segment'> {
  readonly kind: 'begin'
  readonly header: RecordingHeader
  readonly segment: number
}
export type TailFrame = Readonly<z.infer<typeof tailFrame>> & { readonly data: Buffer }
export type Frame =
  | BeginFrame
  | TailFrame
  | ({ readonly kind: 'chunk' } & Chunk)
  | ({ readonly kind: 'end' } & RecordingEnd)

const MAGIC = 0x54524543
const PREFIX = 12
const SUFFIX = 4
/** A thousand names of participants. */
const MAX_HEADER = 512 * 1024

const noData = Buffer.alloc(0)

export function encodeFrame(frame: Frame): Buffer {
  const { data, ...header } = frame.kind === 'chunk' || frame.kind === 'tail' ? frame : { ...frame, data: noData }
  const text = Buffer.from(JSON.stringify(header))
  const bytes = Buffer.allocUnsafe(PREFIX + text.length + data.length + SUFFIX)
  bytes.writeUInt32BE(MAGIC, 0)
  bytes.writeUInt32BE(text.length, 4)
  bytes.writeUInt32BE(data.length, 8)
  text.copy(bytes, PREFIX)
  data.copy(bytes, PREFIX + text.length)
  const end = bytes.length - SUFFIX
  bytes.writeUInt32BE(crc32(bytes.subarray(0, end)), end)
  return bytes
}

/** The frame at `offset` and where the next begins; undefined when it is torn, damaged, or not all before `limit`. */
export async function readFrame(
  file: FileHandle,
  offset: number,
  limit = Number.POSITIVE_INFINITY,
): Promise<{ readonly frame: Frame; readonly next: number } | undefined> {
  const prefix = await readExactly(file, offset, PREFIX)
  if (prefix === undefined || prefix.readUInt32BE(0) !== MAGIC) return undefined
  const headerLength = prefix.readUInt32BE(4)
  const dataLength = prefix.readUInt32BE(8)
  if (headerLength > MAX_HEADER || dataLength > MAX_CHUNK_BYTES) return undefined
  const length = PREFIX + headerLength + dataLength + SUFFIX
  if (offset + length > limit) return undefined
  const rest = await readExactly(file, offset + PREFIX, length - PREFIX)
  if (rest === undefined) return undefined
  const end = rest.length - SUFFIX
  if (crc32(rest.subarray(0, end), crc32(prefix)) !== rest.readUInt32BE(end)) return undefined
  const header = parseHeader(rest.toString('utf8', 0, headerLength))
  if (header === undefined) return undefined
  const frame =
    header.kind === 'chunk' || header.kind === 'tail' ? { ...header, data: rest.subarray(headerLength, end) } : header
  // Zod's optional fields may be undefined, ours may not; JSON has neither.
  return { frame: frame as Frame, next: offset + length }
}

function parseHeader(text: string): z.infer<typeof frameHeader> | undefined {
  try {
    const parsed = frameHeader.safeParse(JSON.parse(text))
    return parsed.success ? parsed.data : undefined
  } catch {
    return undefined
  }
}

async function readExactly(file: FileHandle, offset: number, length: number): Promise<Buffer | undefined> {
  const buffer = Buffer.allocUnsafe(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(buffer, filled, length - filled, offset + filled)
    if (bytesRead === 0) return undefined
    filled += bytesRead
  }
  return buffer
}

export interface SegmentName {
  readonly sid: string
  readonly segment: number
  readonly owner: string
}

export const segmentFile = ({ sid, segment, owner }: SegmentName): string => `${sid}.${segment}.${owner}.rec`

export function parseSegmentFile(name: string): SegmentName | undefined {
  const match = /^([0-9a-f-]{36})\.(\d{1,9})\.(\d+-\d+)\.rec$/.exec(name)
  const [, sid, segment, owner] = match ?? []
  return sid === undefined || segment === undefined || owner === undefined
    ? undefined
    : { sid, segment: Number(segment), owner }
}

export interface TailName {
  readonly sid: string
  readonly owner: string
}

export const tailFile = ({ sid, owner }: TailName): string => `${sid}.${owner}.tail`

export function parseTailFile(name: string): TailName | undefined {
  const [, sid, owner] = /^([0-9a-f-]{36})\.(\d+-\d+)\.tail$/.exec(name) ?? []
  return sid === undefined || owner === undefined ? undefined : { sid, owner }
}
