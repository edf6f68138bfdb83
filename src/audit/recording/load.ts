/** A recording as it stands on the disk, and the repair of what a crash left at its end. */

import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { readFileBounded } from '../../common/files.ts'
import { isNotFound } from '../../errors/errors.ts'
import { firstLink } from './chain.ts'
import { fileOf, openFile, readAt } from './disk.ts'
import {
  damaged,
  decodeEnd,
  decodeHeader,
  decodeRecord,
  type EndRecord,
  type IndexRecord,
  MAX_END_BYTES,
  MAX_HEADER_BYTES,
  RECORD_BYTES,
} from './index-file.ts'
import type { RecordingHeader, RecordingSummary } from './types.ts'

/** What is known of a recording without reading it through. */
export interface State {
  readonly directory: string
  readonly header: RecordingHeader
  /** Bytes of the header's line. */
  readonly headerBytes: number
  readonly chunks: number
  /** The last chunk's. */
  readonly last: IndexRecord | undefined
  readonly end: EndRecord | undefined
  /** Completed, and that was told. */
  readonly told: boolean
}

export const linkOf = ({ header, last }: State): string => last?.chain ?? firstLink(header.sid)
export const sizeOf = ({ last }: Pick<State, 'last'>): number => (last === undefined ? 0 : last.offset + last.bytes)

/** Throws NotFound when there is none in that directory, System `ECORRUPT`. `known`: no more chunks than that count. */
export async function loadState(directory: string, sid: string, known = Number.POSITIVE_INFINITY): Promise<State> {
  const path = fileOf(directory, sid, 'index')
  const file = await openFile(path, 'read')
  try {
    const { header, headerBytes } = await readHeader(file, path)
    if (header.sid !== sid) throw damaged(path, 'its header is that of another recording')
    const { size } = await file.stat()
    let chunks = Math.min(known, Math.floor((size - headerBytes) / RECORD_BYTES))
    let last = await readRecord(file, headerBytes, chunks - 1)
    // A line that a crash left half written; anything more is damage, which `verify` names.
    if (chunks > 0 && last === undefined) last = await readRecord(file, headerBytes, --chunks - 1)
    if (chunks > 0 && last === undefined) throw damaged(path, `the lines of the chunks ${chunks - 1} and ${chunks}`)
    const { end, told } = await readEnd(directory, header)
    return { directory, header, headerBytes, chunks, last, end, told }
  } finally {
    await file.close()
  }
}

/**
 * Cuts what was not acknowledged: bytes that no line of the index tells of, a half line, and a last chunk whose bytes did not reach the
 * disk although its line did. Gives the state after that. Throws System `ECORRUPT` when more than that is missing.
 */
export async function repair(state: State): Promise<State> {
  if (state.end !== undefined) return state
  const { directory, header, headerBytes } = state
  const path = fileOf(directory, header.sid, 'cast.zst')
  const data = await openFile(path, 'write').catch((error: unknown) => {
    throw isNotFound(error) ? damaged(path, 'it is missing') : error
  })
  try {
    const index = await openFile(fileOf(directory, header.sid, 'index'), 'write')
    try {
      const { last } = state
      let whole = state
      if (last !== undefined && !(await isThere(data, last))) {
        const before = await readRecord(index, headerBytes, state.chunks - 2)
        if (before === undefined && state.chunks > 1) throw damaged(directory, `chunk ${state.chunks - 2}`)
        whole = { ...state, chunks: state.chunks - 1, last: before }
      }
      const size = sizeOf(whole)
      const { size: now } = await data.stat()
      if (now < size) {
        throw damaged(path, `it has ${now} bytes, its index tells of ${size}`)
      }
      const lines = headerBytes + whole.chunks * RECORD_BYTES
      const { size: indexSize } = await index.stat()
      if (now > size) await data.truncate(size)
      if (indexSize > lines) await index.truncate(lines)
      if (now > size || indexSize > lines) await Promise.all([data.datasync(), index.datasync()])
      return whole
    } finally {
      await index.close()
    }
  } finally {
    await data.close()
  }
}

async function isThere(data: FileHandle, record: IndexRecord): Promise<boolean> {
  const bytes = await readAt(data, record.offset, record.bytes)
  return bytes.length === record.bytes && createHash('sha256').update(bytes).digest('hex') === record.sha256
}

export async function readHeader(file: FileHandle, path: string) {
  for (let length = 4096; ; length *= 8) {
    const bytes = await readAt(file, 0, Math.min(length, MAX_HEADER_BYTES))
    const headerBytes = bytes.indexOf(10) + 1
    if (headerBytes > 0) {
      return { header: decodeHeader(bytes.subarray(0, headerBytes).toString('utf8'), path), headerBytes }
    }
    if (bytes.length < length) throw damaged(path, 'its header is missing')
  }
}

/** The line of a chunk; undefined when there is none, or not one of ours. */
export async function readRecord(
  file: FileHandle,
  headerBytes: number,
  index: number,
): Promise<IndexRecord | undefined> {
  if (index < 0) return undefined
  const bytes = await readAt(file, headerBytes + index * RECORD_BYTES, RECORD_BYTES)
  return bytes.length === RECORD_BYTES ? decodeRecord(bytes, index) : undefined
}

async function readEnd(
  directory: string,
  header: RecordingHeader,
): Promise<{ readonly end: EndRecord | undefined; readonly told: boolean }> {
  for (const extension of ['done', 'end', 'done', 'removing'] as const) {
    const path = fileOf(directory, header.sid, extension)
    try {
      const text = (await readFileBounded(path, MAX_END_BYTES, { followLinks: false })).toString('utf8')
      return { end: decodeEnd(header, text, path), told: extension !== 'end' }
    } catch (error) {
      // The second look at `done`: it may have been renamed in between.
      if (!isNotFound(error)) throw error
    }
  }
  return { end: undefined, told: false }
}

export function summaryOf(state: State): RecordingSummary {
  const { header, chunks, last, end } = state
  const base = { ...header, durationMs: last?.toMs ?? 0, chunks, bytes: sizeOf(state) }
  if (end === undefined) return { ...base, state: 'running', chain: linkOf(state), participants: [] }
  const { ended, participants, interrupted, failure } = end.end
  return {
    ...base,
    state: interrupted ? 'interrupted' : 'complete',
    ended,
    chain: end.chain,
    participants,
    ...(failure === undefined ? {} : { failure }),
  }
}
