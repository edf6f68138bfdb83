/**
 * The text forms beside the content of a recording: the index (a header line, then a line of fixed length for each chunk, so that any of
 * them is found without reading the others) and the end. One value has one text form: whatever else stands there was not written by us.
 */

import { createHash } from 'node:crypto'
import { SystemError } from '../../errors/errors.ts'
import { lastLink } from './chain.ts'
import type { RecordingEnd, RecordingHeader, StoredChunkInfo } from './types.ts'

/** Bytes of a chunk's line, with its line feed. */
export const RECORD_BYTES = 320
/** A header's texts are bounded by the API; in JSON each character may take six bytes. */
export const MAX_HEADER_BYTES = 256 * 1024
export const MAX_END_BYTES = 1024 * 1024

export interface IndexRecord extends StoredChunkInfo {
  /** Index of the last chunk up to this one that a player may begin with. */
  readonly key: number
}

const sha256 = (text: string): string => createHash('sha256').update(text).digest('hex')

export function encodeHeader(header: RecordingHeader): string {
  const { sid, user, login, serverId, serverHostname, started, interactive, columns, rows, command, term } = header
  const text = JSON.stringify({
    sid,
    user,
    login,
    serverId,
    serverHostname,
    started,
    interactive,
    columns,
    rows,
    command,
    term,
  })
  return `{"recording":1,"sha256":"${sha256(text)}","header":${text}}\n`
}

/** `line` with its line feed. Throws System `ECORRUPT`. */
export function decodeHeader(line: string, file: string): RecordingHeader {
  const header = parseAs<{ header: RecordingHeader }>(line, file, 'header').header
  if (header === undefined || encodeHeader(header) !== line) throw damaged(file, 'its header was changed')
  return header
}

export function encodeRecord(record: IndexRecord): Buffer {
  const { index, fromMs, toMs, textBytes, keyframe, sha256: hash, chain, offset, bytes, key } = record
  const text = JSON.stringify({ index, fromMs, toMs, textBytes, keyframe, sha256: hash, chain, offset, bytes, key })
  return Buffer.from(`${text.padEnd(RECORD_BYTES - 1, ' ')}\n`, 'latin1')
}

/** The record of chunk `index`; undefined when these bytes are not one. */
export function decodeRecord(bytes: Buffer, index: number): IndexRecord | undefined {
  try {
    const record = JSON.parse(bytes.toString('latin1')) as IndexRecord
    return record.index === index && encodeRecord(record).equals(bytes) ? record : undefined
  } catch {
    return undefined
  }
}

export const toStored = ({ key: _key, ...info }: IndexRecord): StoredChunkInfo => info

export interface EndRecord {
  readonly end: RecordingEnd
  /** `lastLink`. */
  readonly chain: string
}

export function encodeEnd(header: RecordingHeader, given: RecordingEnd): string {
  const { ended, chunks, chain, participants, interrupted, failure } = given
  const end = { ended, chunks, chain, participants, interrupted, failure }
  return `${JSON.stringify({ end, chain: lastLink(chain, header, end as RecordingEnd) })}\n`
}

/** Throws System `ECORRUPT`. */
export function decodeEnd(header: RecordingHeader, text: string, file: string): EndRecord {
  const record = parseAs<EndRecord>(text, file, 'end')
  const valid = Array.isArray(record.end?.participants) && encodeEnd(header, record.end) === text
  if (!valid) throw damaged(file, 'the end of the recording was changed')
  return record
}

function parseAs<T>(text: string, file: string, what: string): Partial<T> & T {
  try {
    const value: unknown = JSON.parse(text)
    if (typeof value === 'object' && value !== null) return value as Partial<T> & T
  } catch {
    // Said below.
  }
  throw damaged(file, `its ${what} is not readable`)
}

export const damaged = (file: string, reason: string) =>
  new SystemError('ECORRUPT', `the recording file ${file} is damaged: ${reason}; restore it from a backup`)
