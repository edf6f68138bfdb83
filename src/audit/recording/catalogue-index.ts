/** Brings the words of chunks into the catalogue, in the background, from where it stopped. */

import { zstdDecompressSync } from 'node:zlib'
import type { CatalogueDatabase, IndexProgress } from './catalogue-database.ts'
import { fileOf, readAt, withFile } from './disk.ts'
import { decodeRecord, type IndexRecord, RECORD_BYTES } from './index-file.ts'
import { MAX_CHUNK_BYTES, MAX_CHUNK_TEXT } from './limits.ts'
import { readHeader } from './load.ts'
import { feedChunk, ScreenText } from './screen-text.ts'
import type { RecordingMatch } from './store.ts'
import { checkOneFrame } from './zstd-frame.ts'

/** Of one recording; what comes later is not found. */
const MAX_INDEXED_CHARACTERS = 4 * 1024 * 1024
const MAX_INDEXED_LINES = 100_000
/** Chunks and bytes of text for one transaction. */
const BATCH_CHUNKS = 32
const BATCH_TEXT = 512 * 1024
/** Programs that redraw their screen show the same lines again and again; of so many the last time is remembered. */
const RECENT_LINES = 1024

export interface IndexedBatch {
  readonly progress: IndexProgress
  /** The recording has more text than is indexed, from this time on. */
  readonly cutAtMs?: number
  readonly problem?: string
}

/** Lines that were indexed lately, by recording. In memory only: after a restart some lines are there twice. */
export class RecentLines {
  readonly #recordings = new Map<number, Map<string, true>>()

  isNew(id: number, text: string): boolean {
    const lines = this.#recordings.get(id) ?? new Map<string, true>()
    this.#recordings.delete(id)
    this.#recordings.set(id, lines)
    const known = lines.delete(text)
    lines.set(text, true)
    if (lines.size > RECENT_LINES) dropOldest(lines)
    if (this.#recordings.size > 64) dropOldest(this.#recordings)
    return !known
  }

  forget(id: number): void {
    this.#recordings.delete(id)
  }
}

function dropOldest<K>(map: Map<K, unknown>): void {
  const [oldest] = map.keys()
  if (oldest !== undefined) map.delete(oldest)
}

/** Indexes the next chunks of a recording. Throws what reading its files throws; a damaged chunk is passed over. */
export async function indexSome(
  database: CatalogueDatabase,
  from: IndexProgress,
  recent: RecentLines,
): Promise<IndexedBatch> {
  const { directory, sid, id, chunks } = from
  const lines: RecordingMatch[] = []
  let { characters } = from
  let cutAtMs: number | undefined
  const screen = new ScreenText((atMs, text) => {
    if (!recent.isNew(id, text)) return
    if (from.lines + lines.length >= MAX_INDEXED_LINES || characters >= MAX_INDEXED_CHARACTERS) cutAtMs ??= atMs
    if (cutAtMs !== undefined) return
    lines.push({ atMs, text })
    characters += text.length
  }, from.screen)
  const { texts, problem } = await readTexts(directory, sid, from.indexed, chunks)
  for (const text of texts) feedChunk(screen, text)
  // Beyond the limit nothing more is read.
  const indexed = cutAtMs === undefined ? from.indexed + texts.length : Number.MAX_SAFE_INTEGER
  const over = indexed >= chunks && !from.running
  if (over) screen.flush()
  const progress: IndexProgress = {
    ...from,
    indexed,
    characters,
    screen: over || cutAtMs !== undefined ? undefined : screen.state,
  }
  database.addLines(progress, lines)
  if (over) recent.forget(id)
  return { progress, ...(cutAtMs === undefined ? {} : { cutAtMs }), ...(problem === undefined ? {} : { problem }) }
}

async function readTexts(
  directory: string,
  sid: string,
  from: number,
  chunks: number,
): Promise<{ readonly texts: readonly string[]; readonly problem?: string }> {
  const path = fileOf(directory, sid, 'index')
  const records = await withFile(path, 'read', async (file) => {
    const { headerBytes } = await readHeader(file, path)
    const count = Math.min(BATCH_CHUNKS, chunks - from)
    const bytes = await readAt(file, headerBytes + from * RECORD_BYTES, count * RECORD_BYTES)
    return Array.from({ length: count }, (_, n) =>
      decodeRecord(bytes.subarray(n * RECORD_BYTES, (n + 1) * RECORD_BYTES), from + n),
    )
  })
  return withFile(fileOf(directory, sid, 'cast.zst'), 'read', async (file) => {
    const texts: string[] = []
    let length = 0
    for (const record of records) {
      if (length > BATCH_TEXT) break
      const text = record === undefined ? undefined : expand(await readAt(file, record.offset, bytesOf(record)), record)
      if (text === undefined) {
        return { texts: [...texts, ''], problem: `chunk ${from + texts.length} is damaged` }
      }
      texts.push(text)
      length += text.length
    }
    return { texts }
  })
}

const bytesOf = ({ bytes }: IndexRecord): number => Math.min(bytes, MAX_CHUNK_BYTES)

function expand(data: Buffer, { textBytes }: IndexRecord): string | undefined {
  try {
    checkOneFrame(data)
    const chunkSize = Math.max(64, Math.min(textBytes, MAX_CHUNK_TEXT) + 1)
    return zstdDecompressSync(data, { maxOutputLength: MAX_CHUNK_TEXT, chunkSize }).toString('utf8')
  } catch {
    return undefined
  }
}
