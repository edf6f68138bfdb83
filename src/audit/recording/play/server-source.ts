/**
 * A recording at the auth service. It is read ahead of the viewer into memory, so that a pause does not hold up the connection and
 * jumps nearby are immediate; a jump elsewhere asks again with that time, and auth answers from the keyframe before it.
 */

import type { CastEntry, CastHeader } from '../cast-entry.ts'
import { type CachedChunk, ChunkCache } from './chunk-cache.ts'
import type { PlaySource } from './source.ts'

/** Compressed bytes that one request brings; the next one is sent when the viewer has come to their end. */
const ahead = 16 * 1024 * 1024

/** A chunk as the auth service sends it. */
export interface SentChunk {
  readonly index: number
  readonly fromMs: number
  readonly toMs: number
  readonly keyframe: boolean
  /** Of text, when it is expanded. */
  readonly textBytes: number
  readonly sha256: string
  /** Base64. */
  readonly data: string
}

/** What differs between Node.js and a browser. */
export interface ChunkReader {
  bytes(base64: string): Uint8Array
  /** Hex. */
  sha256(data: Uint8Array): Promise<string>
  /** What cannot be expanded is one entry of damage. */
  entries(chunk: Pick<CachedChunk, 'data' | 'fromMs' | 'textBytes'>): Iterable<CastEntry>
}

export interface ServerSourceOptions {
  readonly reader: ChunkReader
  /** From the last keyframe before that time on. Throws what the API throws. */
  fetch(atMs: number, signal: AbortSignal): AsyncIterable<SentChunk>
  /** Goes on with what a running session still records. */
  readonly follow?: boolean
  /** Each chunk that came, also what is beyond the viewer. */
  onChunk?(chunk: CachedChunk): void
}

/** What is known of a recording before it is read. */
export interface PlaySummary {
  readonly user: string
  readonly login: string
  readonly serverHostname: string
  /** RFC 3339. */
  readonly started: string
  readonly columns: number
  readonly rows: number
  readonly durationMs: number
  readonly command?: string | undefined
  readonly term?: string | undefined
}

/** One request for chunks. */
class Fetch {
  readonly abort = new AbortController()
  /** Index of the first chunk that came. */
  first: number | undefined
  done = false
  failure: unknown
  #waiting: (() => void)[] = []

  /** Resolves at the next chunk or the end. Throws why the request failed. */
  async progress(signal: AbortSignal): Promise<void> {
    if (!this.done && !signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#waiting.push(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
    }
    signal.throwIfAborted()
    if (this.failure !== undefined) throw this.failure
  }

  notify(): void {
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
}

export class ServerSource implements PlaySource {
  readonly header: CastHeader
  readonly #options: ServerSourceOptions
  readonly #cache = new ChunkCache()
  #durationMs: number
  #fetch: Fetch | undefined
  /** Index after the last chunk, once it is known. */
  #end: number | undefined
  /** Of the chunk that the viewer is in. */
  #reading = 0

  constructor(options: ServerSourceOptions, summary: PlaySummary) {
    this.#options = options
    this.#durationMs = summary.durationMs
    const { user, login, serverHostname, started, columns, rows, command, term, durationMs } = summary
    this.header = {
      columns: columns || 80,
      rows: rows || 24,
      started: new Date(started),
      title: `${user}: ${login}@${serverHostname}`,
      durationMs,
      ...(command === undefined ? {} : { command }),
      ...(term === undefined ? {} : { term }),
    }
  }

  durationMs(): number {
    return this.#durationMs
  }

  async settled(): Promise<void> {}

  growing(): boolean {
    return this.#options.follow === true && this.#end === undefined
  }

  async close(): Promise<void> {
    this.#fetch?.abort.abort(new Error('the recording was closed'))
  }

  async *from(atMs: number, signal: AbortSignal): AsyncGenerator<CastEntry> {
    const start = this.#cache.startFor(atMs) ?? (await this.#find(atMs, signal))
    if (start === undefined) return
    let before = Math.max(0, Math.floor(atMs))
    for (let index = start; index < (this.#end ?? Number.POSITIVE_INFINITY); index++) {
      this.#reading = index
      let chunk = this.#cache.get(index) ?? (await this.#wait(index, before, signal))
      if (chunk === undefined) {
        const next = this.#cache.after(index)
        chunk = next === undefined ? undefined : this.#cache.get(next)
        if (chunk === undefined) return
        yield { type: 'damage', atMs: before, text: `pieces ${index} to ${chunk.index - 1} are missing` }
        index = chunk.index
      }
      if (chunk.damage !== undefined) yield { type: 'damage', atMs: chunk.fromMs, text: chunk.damage }
      yield* this.#options.reader.entries(chunk)
      signal.throwIfAborted()
      before = chunk.fromMs
    }
  }

  /** Asks for that time; the index of the chunk to begin with, or undefined when there is none. */
  async #find(atMs: number, signal: AbortSignal): Promise<number | undefined> {
    const fetch = this.#begin(atMs)
    while (fetch.first === undefined && !fetch.done) await fetch.progress(signal)
    if (fetch.failure !== undefined && fetch.first === undefined) throw fetch.failure
    return fetch.first
  }

  async #wait(index: number, before: number, signal: AbortSignal) {
    let asked = false
    for (;;) {
      const chunk = this.#cache.get(index)
      if (chunk !== undefined) return chunk
      if (this.#end !== undefined && index >= this.#end) return undefined
      const current = this.#fetch
      const comes = current !== undefined && !current.done && (current.first ?? 0) <= index
      if (comes) await current.progress(signal)
      // Two chunks may begin in the same millisecond, so the time before is asked for.
      else if (!asked) this.#begin(Math.max(0, before - 1))
      else if (current?.failure !== undefined) throw current.failure
      else return undefined
      if (!comes) asked = true
    }
  }

  #begin(atMs: number): Fetch {
    this.#fetch?.abort.abort(new Error('another part of the recording is read'))
    const fetch = new Fetch()
    this.#fetch = fetch
    this.#read(fetch, Math.floor(atMs))
      .catch((error: unknown) => {
        fetch.failure = error
      })
      .finally(() => {
        fetch.done = true
        fetch.notify()
      })
    return fetch
  }

  async #read(fetch: Fetch, at: number): Promise<void> {
    const { reader } = this.#options
    let bytes = 0
    let next = 0
    for await (const chunk of this.#options.fetch(at, fetch.abort.signal)) {
      const { index, fromMs, toMs, textBytes, keyframe, sha256 } = chunk
      if (fetch.first === undefined) {
        fetch.first = index
        this.#reading = index
      }
      const data = reader.bytes(chunk.data)
      if (!this.#cache.has(index)) bytes += data.length
      const sound = (await reader.sha256(data)) === sha256
      const damage = sound ? {} : { damage: `piece ${index} was changed after it was recorded` }
      const kept = { index, fromMs, toMs, textBytes, keyframe, data, ...damage }
      if (!this.#cache.has(index)) this.#options.onChunk?.(kept)
      this.#cache.add(kept, this.#reading)
      this.#durationMs = Math.max(this.#durationMs, toMs)
      next = index + 1
      fetch.notify()
      if (bytes > ahead) return
    }
    if (next > 0 || at === 0) this.#end = next
  }
}
