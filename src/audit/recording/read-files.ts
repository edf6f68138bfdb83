/** Reads recordings of the directory store: a place in time, and chunks from there on. */

import type { FileHandle } from 'node:fs/promises'
import { NotFound } from '../../errors/errors.ts'
import { fileOf, openFile, readAt, withFile } from './disk.ts'
import { damaged, decodeRecord, type IndexRecord, RECORD_BYTES, toStored } from './index-file.ts'
import { readRecord, type State } from './load.ts'
import type { Chunk, StoredChunkInfo } from './types.ts'

/** Lines of the index read at once: 20 KiB. */
const LINES = 64

/** Throws NotFound when there is no chunk yet. A look at some 20 lines, however long the recording is. */
export function seekChunk(state: State, atMs: number): Promise<StoredChunkInfo> {
  const path = fileOf(state.directory, state.header.sid, 'index')
  return withFile(path, 'read', async (file) => {
    const line = async (index: number): Promise<IndexRecord> => {
      const record = await readRecord(file, state.headerBytes, index)
      if (record !== undefined) return record
      throw damaged(path, `the line of chunk ${index}`)
    }
    if (state.chunks === 0) throw new NotFound('nothing is recorded yet')
    let low = 0
    let high = state.chunks - 1
    while (low < high) {
      const middle = Math.ceil((low + high) / 2)
      if ((await line(middle)).fromMs <= atMs) low = middle
      else high = middle - 1
    }
    return toStored(await line((await line(low)).key))
  })
}

/** Chunks from an index on. A damaged line is left out and a cut-off chunk comes as it is: what is good can still be watched. */
export async function* readChunks(
  state: State,
  from: number,
  signal?: AbortSignal,
): AsyncGenerator<Chunk & StoredChunkInfo> {
  const { directory, header, headerBytes, chunks } = state
  if (from >= chunks) return
  const index = await openFile(fileOf(directory, header.sid, 'index'), 'read')
  try {
    const content = await openFile(fileOf(directory, header.sid, 'cast.zst'), 'read')
    try {
      for (let at = from; at < chunks; at += LINES) {
        for (const record of await readLines(index, headerBytes, at, Math.min(LINES, chunks - at))) {
          signal?.throwIfAborted()
          yield { ...toStored(record), data: await readAt(content, record.offset, record.bytes) }
        }
      }
    } finally {
      await content.close()
    }
  } finally {
    await index.close()
  }
}

async function readLines(
  file: FileHandle,
  headerBytes: number,
  from: number,
  count: number,
): Promise<readonly IndexRecord[]> {
  const bytes = await readAt(file, headerBytes + from * RECORD_BYTES, count * RECORD_BYTES)
  const records: IndexRecord[] = []
  for (let n = 0; (n + 1) * RECORD_BYTES <= bytes.length; n++) {
    const record = decodeRecord(bytes.subarray(n * RECORD_BYTES, (n + 1) * RECORD_BYTES), from + n)
    if (record !== undefined) records.push(record)
  }
  return records
}
