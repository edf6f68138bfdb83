/** Checks a recording of the directory store: every byte of its files is either tied to the last link or has one possible value. */

import { createHash } from 'node:crypto'
import type { FileHandle } from 'node:fs/promises'
import { isAccessDenied, isBadParameter, isNotFound, isSystemError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import { firstLink, nextLink } from './chain.ts'
import { fileOf, openFile, readAt } from './disk.ts'
import { decodeRecord, type EndRecord, RECORD_BYTES } from './index-file.ts'
import { MAX_CHUNK_BYTES } from './limits.ts'
import { loadState, readHeader } from './load.ts'
import type { Progress, RecordingVerdict } from './store.ts'
import type { RecordingHeader } from './types.ts'

/** What is there cannot be read, now or later. */
const UNREADABLE = new Set(['ECORRUPT', 'ELOOP', 'EIO'])
const LINES = 64
const AHEAD_BYTES = 1024 * 1024

/** `acknowledged`: what must be there when the recording is still running; undefined when this process has not touched it. */
export async function verifyFiles(
  directory: string,
  sid: string,
  acknowledged: Progress | undefined,
  expected: string | undefined,
): Promise<RecordingVerdict> {
  const index = await openOrNothing(fileOf(directory, sid, 'index'))
  if (index === undefined) return bad(0, 'the index is missing')
  try {
    const path = fileOf(directory, sid, 'index')
    const { header, headerBytes } = await readHeader(index, path)
    if (header.sid !== sid) return bad(0, 'the header is that of another recording')
    const content = await openOrNothing(fileOf(directory, sid, 'cast.zst'))
    if (content === undefined) return bad(0, 'the content is missing')
    try {
      return await verifyContent({ directory, header, headerBytes, index, content, acknowledged, expected })
    } finally {
      await content.close()
    }
  } catch (error) {
    if (isSystemError(error) && UNREADABLE.has(error.errno)) return bad(0, error.message)
    if (isBadParameter(error) || isAccessDenied(error)) return bad(0, error.message)
    throw error
  } finally {
    await index.close()
  }
}

/** Reads a file from start to end in larger pieces than are asked for. */
function ahead(file: FileHandle, size: number): (position: number, length: number) => Promise<Buffer> {
  let start = 0
  let piece: Buffer = Buffer.alloc(0)
  return async (position, length) => {
    if (position < start || position + length > start + piece.length) {
      start = position
      piece = await readAt(file, position, Math.max(size, length))
    }
    return piece.subarray(position - start, position - start + length)
  }
}

interface Files {
  readonly directory: string
  readonly header: RecordingHeader
  readonly headerBytes: number
  readonly index: FileHandle
  readonly content: FileHandle
  readonly acknowledged: Progress | undefined
  readonly expected: string | undefined
}

async function verifyContent(files: Files): Promise<RecordingVerdict> {
  const { directory, header, headerBytes, index, content, acknowledged, expected } = files
  const { end, problem } = await readEndAgain(directory, header.sid)
  const indexSize = (await index.stat()).size - headerBytes
  const contentSize = (await content.stat()).size
  const lines = Math.floor(indexSize / RECORD_BYTES)
  const running = end === undefined && problem === undefined
  const chunks = end?.end.chunks ?? (running ? (acknowledged?.next ?? lines) : lines)
  // A crash can leave the last line without its bytes; nobody was told that this chunk is stored, and it will be cut.
  const mayBeTorn = running && acknowledged === undefined ? chunks - 1 : -1
  let chain = firstLink(header.sid)
  let offset = 0
  let from = 0
  let key = 0
  const lineOf = ahead(index, LINES * RECORD_BYTES)
  const contentOf = ahead(content, AHEAD_BYTES)
  for (let at = 0; at < chunks; at++) {
    const bytes = await lineOf(headerBytes + at * RECORD_BYTES, RECORD_BYTES)
    if (bytes.length < RECORD_BYTES) return bad(at, 'its line in the index is missing')
    const record = decodeRecord(bytes, at)
    if (record === undefined) return bad(at, 'its line in the index was changed')
    if (record.keyframe) key = at
    if (record.offset !== offset || record.key !== key) return bad(at, 'it is not where it was stored')
    if (record.fromMs < from || record.toMs < record.fromMs) return bad(at, 'its time is out of order')
    const data = await contentOf(offset, Math.min(record.bytes, MAX_CHUNK_BYTES))
    const sha256 = createHash('sha256').update(data).digest('hex')
    if (sha256 !== record.sha256 && at === mayBeTorn) return { ok: true, chunks: at, chain }
    if (data.length !== record.bytes) return bad(at, 'its content is cut off')
    if (sha256 !== record.sha256) return bad(at, 'its content was changed')
    chain = nextLink(chain, record)
    if (chain !== record.chain) return bad(at, 'its link to the chunk before was changed')
    offset += record.bytes
    from = record.fromMs
  }
  if (problem !== undefined) return bad(chunks, problem)
  if (end === undefined) {
    if (expected !== undefined) return bad(chunks, 'the audit log knows it as complete, but its end is missing')
    if (acknowledged !== undefined && acknowledged.chain !== chain) return bad(chunks, 'its last link was changed')
    return { ok: true, chunks, chain }
  }
  if (end.end.chain !== chain) return bad(chunks, 'the end does not belong to these chunks')
  if (indexSize !== chunks * RECORD_BYTES || contentSize !== offset)
    return bad(chunks, 'something follows the last chunk')
  if (expected !== undefined && expected !== end.chain) return bad(chunks, 'it is not the one that the audit log knows')
  return { ok: true, chunks, chain: end.chain }
}

async function openOrNothing(path: string): Promise<FileHandle | undefined> {
  try {
    return await openFile(path, 'read')
  } catch (error) {
    if (isNotFound(error)) return undefined
    throw error
  }
}

/** From the disk, whatever is known in memory. */
async function readEndAgain(
  directory: string,
  sid: string,
): Promise<{ readonly end?: EndRecord | undefined; readonly problem?: string }> {
  try {
    // No more than no chunks: only the header and the end are of interest.
    return { end: (await loadState(directory, sid, 0)).end }
  } catch (error) {
    if (isSystemError(error)) return { problem: messageOf(error) }
    throw error
  }
}

const bad = (chunk: number, reason: string): RecordingVerdict => ({ ok: false, chunk, reason })
