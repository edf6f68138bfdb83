/**
 * How the files of a recording in the directory store change, step by step, so that a crash between two steps leaves what the next start
 * understands. `step` is told after each, for tests that look at the disk there.
 */

import { rename, rm } from 'node:fs/promises'
import { syncDirectory, writeFileAtomic } from '../../common/files.ts'
import { AlreadyExists, BadParameter, isAlreadyExists } from '../../errors/errors.ts'
import { convertSystemError } from '../../errors/system.ts'
import { nextLink } from './chain.ts'
import { type Extension, exists, fileOf, makeMonth, monthOf, openFile, withFile, writeAt } from './disk.ts'
import {
  encodeEnd,
  encodeHeader,
  encodeRecord,
  type IndexRecord,
  MAX_END_BYTES,
  MAX_HEADER_BYTES,
  RECORD_BYTES,
} from './index-file.ts'
import { linkOf, type State, sizeOf } from './load.ts'
import type { Chunk, ChunkInfo, RecordingEnd, RecordingHeader } from './types.ts'

type Step = (step: string) => Promise<void>

/** Throws BadParameter for a header that is too long. */
export function headerLine(header: RecordingHeader): string {
  const line = encodeHeader(header)
  if (Buffer.byteLength(line) <= MAX_HEADER_BYTES) return line
  throw new BadParameter('header', 'the header of the recording is too long')
}

/** Throws AlreadyExists. */
export async function createFiles(root: string, header: RecordingHeader, line: string, step: Step): Promise<State> {
  const directory = await makeMonth(root, monthOf(header.started))
  const { sid } = header
  await withFile(fileOf(directory, sid, 'cast.zst'), 'create', async (file) => {
    if ((await file.stat()).size > 0) throw new AlreadyExists('there is content of a recording with this id')
    await file.datasync()
  })
  await step('begin: content')
  await writeFileAtomic(fileOf(directory, sid, 'index'), line, { overwrite: false })
  await step('begin: index')
  const headerBytes = Buffer.byteLength(line)
  return { directory, header, headerBytes, chunks: 0, last: undefined, end: undefined, told: false }
}

/**
 * The next chunk. When it cannot be written, `failed` gets what takes away all of it that may be there, before this throws: nothing may
 * be left that looks like an acknowledged chunk, since the pages in memory may never reach the disk.
 */
export async function appendChunk(
  state: State,
  chunk: Chunk,
  step: Step,
  failed: (takeBack: () => Promise<void>) => Promise<void>,
): Promise<State> {
  const { directory, header, headerBytes, chunks } = state
  const { data, keyframe, index } = chunk
  const key = keyframe || state.last === undefined ? index : state.last.key
  const chain = nextLink(linkOf(state), chunk)
  const last: IndexRecord = { ...infoOf(chunk), chain, offset: sizeOf(state), bytes: data.length, key }
  const end = headerBytes + chunks * RECORD_BYTES
  const content = await openFile(fileOf(directory, header.sid, 'cast.zst'), 'write')
  try {
    const lines = await openFile(fileOf(directory, header.sid, 'index'), 'write')
    try {
      await writeAt(content, last.offset, data)
      await step('append: content')
      await writeAt(lines, end, encodeRecord(last))
      await step('append: index')
      // A line whose bytes did not reach the disk is found by its hash, so the two may go there together.
      await Promise.all([content.datasync(), lines.datasync()])
      await step('append: synced')
    } catch (error) {
      await failed(async () => {
        await lines.truncate(end)
        await content.truncate(last.offset)
        await Promise.all([content.datasync(), lines.datasync()])
      })
      throw convertSystemError(error, `store a chunk of the recording ${header.sid}`)
    } finally {
      await lines.close()
    }
  } finally {
    await content.close()
  }
  return { ...state, chunks: chunks + 1, last }
}

/** Throws BadParameter for an end that is too long. */
export async function writeEnd({ directory, header }: State, end: RecordingEnd, step: Step): Promise<void> {
  const text = encodeEnd(header, end)
  if (Buffer.byteLength(text) > MAX_END_BYTES) {
    throw new BadParameter('participants', 'the end of the recording is too long')
  }
  await writeFileAtomic(fileOf(directory, header.sid, 'end'), text, { overwrite: false }).catch((error: unknown) => {
    if (!isAlreadyExists(error)) throw error
  })
  await step('complete: end')
}

/** That the end was told. */
export async function markTold({ directory, header }: State): Promise<void> {
  const done = fileOf(directory, header.sid, 'done')
  await rename(fileOf(directory, header.sid, 'end'), done).catch((error: unknown) => {
    throw convertSystemError(error, `write ${done}`)
  })
}

/** The mark first: a crash must not leave something that looks like a damaged recording. */
export async function removeFiles(directory: string, sid: string, step: Step): Promise<void> {
  const at = (extension: Extension) => fileOf(directory, sid, extension)
  try {
    for (const extension of ['end', 'done'] as const) {
      if (await exists(at(extension))) await rename(at(extension), at('removing'))
    }
    if (!(await exists(at('removing')))) await writeFileAtomic(at('removing'), '\n')
    await syncDirectory(directory)
    await step('remove: mark')
    await rm(at('index'), { force: true })
    await rm(at('cast.zst'), { force: true })
    await syncDirectory(directory)
    await step('remove: files')
    await rm(at('removing'), { force: true })
  } catch (error) {
    throw convertSystemError(error, `remove the recording ${sid}`)
  }
}

/** What is known of a chunk, without its bytes. */
export const infoOf = ({ index, fromMs, toMs, textBytes, keyframe, sha256 }: ChunkInfo): ChunkInfo => ({
  index,
  fromMs,
  toMs,
  textBytes,
  keyframe,
  sha256,
})
