/** A recording in a file: asciicast v2, plain or as `.zst`. */

import { setImmediate } from 'node:timers/promises'
import {
  type CastEntry,
  type CastHeader,
  damagedLine,
  EntryReader,
  maxLineBytes,
  parseHeader,
} from '../../../audit/recording/cast-entry.ts'
import { Emulator } from '../../../audit/recording/emulator.ts'
import type { PlaySource } from '../../../audit/recording/play/source.ts'
import { serialize } from '../../../audit/recording/serialize.ts'
import { BadParameter } from '../../../errors/errors.ts'
import { type ByteSource, linesFrom, openBytes } from './byte-source.ts'
import { type Keyframe, lastBefore, TimeIndex } from './time-index.ts'

/** Characters of output between the keyframes that are made for a recording that brings none. */
const keyframeEvery = 1024 * 1024
/** When there are more keyframes, every second one is forgotten. */
const maxKeyframes = 1000

/** Throws what `openBytes` throws, and BadParameter when the file is no recording. */
export async function openFileSource(path: string): Promise<FileSource> {
  const bytes = await openBytes(path)
  try {
    return await FileSource.open(bytes)
  } catch (error) {
    await bytes.close()
    throw error
  }
}

export class FileSource implements PlaySource {
  readonly header: CastHeader
  readonly #bytes: ByteSource
  readonly #start: number
  readonly #index = new TimeIndex()
  readonly #closing = new AbortController()
  readonly #indexed: Promise<void>
  #scanning: Promise<void> | undefined

  private constructor(bytes: ByteSource, header: CastHeader, start: number) {
    this.#bytes = bytes
    this.header = header
    this.#start = start
    this.#indexed = this.#index.build(bytes, start, header, this.#closing.signal)
    this.#indexed.catch(() => undefined)
  }

  static async open(bytes: ByteSource): Promise<FileSource> {
    for await (const lines of linesFrom(bytes, 0, maxLineBytes)) {
      const line = lines.find(({ text }) => text.length > 0)
      if (line === undefined) continue
      const text = line.text.toString()
      // Of a store's file whose first piece is damaged, the rest can be watched.
      if (text.startsWith(damagedLine)) return new FileSource(bytes, { columns: 80, rows: 24 }, line.offset)
      return new FileSource(bytes, parseHeader(text), line.next)
    }
    throw new BadParameter('file', 'the file is empty')
  }

  durationMs(): number {
    return Math.max(this.#index.durationMs, this.#index.complete ? 0 : (this.header.durationMs ?? 0))
  }

  growing(): boolean {
    return false
  }

  /** Resolves when the whole file has been looked through. */
  settled(): Promise<void> {
    return this.#indexed
  }

  /**
   * Runs the whole recording through a terminal in the background, to have keyframes where it brings none: then seeking is as
   * quick as in a recording that has them.
   */
  scan(): void {
    this.#scanning ??= this.#scan().catch(() => undefined)
  }

  async close(): Promise<void> {
    this.#closing.abort(new Error('the recording was closed'))
    await this.#indexed.catch(() => undefined)
    await this.#scanning
    await this.#bytes.close()
  }

  async *from(atMs: number, signal: AbortSignal): AsyncGenerator<CastEntry> {
    // Where it can begin is known only for what has been looked through.
    if (atMs > 0 && atMs >= this.#index.durationMs) await this.#indexed
    const keyframe = lastBefore(this.#index.keyframes, atMs)
    if (keyframe !== undefined) {
      const { columns, rows, text } = keyframe
      yield { type: 'resize', atMs: keyframe.atMs, columns, rows }
      if (text !== undefined) yield { type: 'keyframe', atMs: keyframe.atMs, text }
    }
    for await (const { entries } of this.#entries(keyframe?.offset ?? this.#start, keyframe?.atMs ?? 0)) {
      signal.throwIfAborted()
      yield* entries
    }
  }

  async *#entries(offset: number, startMs: number) {
    const reader = new EntryReader(startMs)
    for await (const lines of linesFrom(this.#bytes, offset, maxLineBytes)) {
      const entries = lines.flatMap(({ text }) => reader.read(text.toString('utf8')) ?? [])
      yield { entries, next: lines.at(-1)?.next ?? offset }
    }
  }

  async #scan(): Promise<void> {
    await this.#indexed
    if (this.#index.keyframes.length > 0) return
    const { columns, rows } = this.header
    const emulator = new Emulator({ columns, rows })
    try {
      let fed = 0
      let step = keyframeEvery
      for await (const { entries, next } of this.#entries(this.#start, 0)) {
        this.#closing.signal.throwIfAborted()
        fed += await feed(emulator, entries, this.#closing.signal)
        if (fed < step) continue
        fed = 0
        const atMs = entries.at(-1)?.atMs ?? 0
        this.#index.keyframes.push({ atMs, ...emulator.size, offset: next, text: serialize(emulator) })
        if (this.#index.keyframes.length > maxKeyframes) {
          thin(this.#index.keyframes)
          step *= 2
        }
      }
    } finally {
      emulator.close()
    }
  }
}

function thin(keyframes: Keyframe[]): void {
  const kept = keyframes.filter((_, index) => index % 2 === 0)
  keyframes.splice(0, keyframes.length, ...kept)
}

/** Characters that are interpreted without a pause: hostile ones can take long. */
const piece = 4096

/** Shows entries in a terminal; the viewer's keys and pictures come first. Returns the characters of output among them. */
async function feed(emulator: Emulator, entries: readonly CastEntry[], signal: AbortSignal): Promise<number> {
  let fed = 0
  for (const entry of entries) {
    if (entry.type === 'resize') emulator.resize(entry)
    if (entry.type !== 'output') continue
    for (let at = 0; at < entry.text.length; at += piece) {
      emulator.write(entry.text.slice(at, at + piece))
      await setImmediate()
      signal.throwIfAborted()
    }
    fed += entry.text.length
  }
  return fed
}
