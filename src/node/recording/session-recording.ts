/** One session in the recording worker: output becomes lines, lines become chunks, chunks go into the spool. */

import { isAscii } from 'node:buffer'
import { join } from 'node:path'
import { firstLink, nextLink } from '../../audit/recording/chain.ts'
import type { RecordingEnd, RecordingHeader } from '../../audit/recording/types.ts'
import { OutputText } from '../../audit/recording/write-cast.ts'
import { errnoOf, messageOf } from '../../errors/system.ts'
import { type BuiltChunk, ChunkBuilder } from './chunk-builder.ts'
import type { FromWorker, Lost, OpenMessage, SpoolPosition } from './messages.ts'
import { isUsualLine, Screen } from './screen.ts'
import { SegmentWriter } from './segment-writer.ts'
import { encodeFrame, tailFile } from './spool-format.ts'
import { TailFile } from './tail-file.ts'

export interface SessionHost {
  monotonicMs(): number
  send(message: FromWorker): void
  /** Output that no longer waits in memory. */
  done(id: number, bytes: number): void
  /** Runs in so many milliseconds. */
  later(ms: number, run: () => void): void
  /** Runs when the disk has a turn for it. */
  withDisk<T>(run: () => Promise<T>): Promise<T>
  /** Why nothing may be written now. */
  readonly full: string | undefined
  readonly segmentBytes: number
}

/** Milliseconds after which new lines of an open chunk are in its tail, while they are not many. */
const TAIL_MS = 40
/** Bytes; of more the chunk is closed soon, or the tail is written when the flood is over. */
const TAIL_BYTES = 64 * 1024
/** Milliseconds without output after a flood. */
const FLOOD_OVER_MS = 20
/** Milliseconds after which a chunk is closed. */
const CHUNK_MS = 1000
/** Between keyframes: this long, or that much text but not more often than twice a second. */
const KEYFRAME_MS = 30_000
const KEYFRAME_TEXT = 1024 * 1024
const KEYFRAME_LEAST_MS = 500
/** Characters of a keyframe; a screen that needs more has none. */
const MAX_KEYFRAME = 128 * 1024
const RETRY_MS = 1000
/** Without output for so long, the emulator of a session is given up for a text. */
const COMPACT_MS = 60_000

/** `cut`: as in the message. `tells`: of a gap. */
interface QueuedChunk extends BuiltChunk {
  readonly cut: number
  readonly tells?: Lost
}

export class SessionRecording {
  readonly #id: number
  readonly #host: SessionHost
  readonly #header: RecordingHeader
  readonly #text = new OutputText()
  #screen: Screen | undefined
  #writer: SegmentWriter | undefined
  #tail: TailFile | undefined
  #tailState: 'none' | 'soon' | 'due' = 'none'
  #builder: ChunkBuilder
  #position: Omit<SpoolPosition, 'segment'>
  /** Monotonic, of the first line of the present chunk. */
  #openedAt = 0
  #lastActive = 0
  #keyframeAt: number
  #textSinceKeyframe = 0
  #queue: QueuedChunk[] = []
  #cutAsked = 0
  #cutStored = 0
  #pump: Promise<void> | undefined
  /** `bad`: nothing can be written; `trying`: the chunk that tells of the gap is on its way. */
  #state: 'good' | 'bad' | 'trying' = 'good'
  #lost: Lost | undefined
  #retryAt = 0
  #everFailed: string | undefined
  #ended = false
  #lastTry = false

  constructor(open: OpenMessage, host: SessionHost) {
    const { id, header, spool } = open
    this.#id = id
    this.#host = host
    this.#header = header
    this.#screen = header.interactive ? new Screen(header) : undefined
    this.#position = spool?.position ?? { index: 0, chain: firstLink(header.sid), toMs: 0 }
    this.#builder = new ChunkBuilder(this.#position.toMs)
    this.#keyframeAt = this.#position.toMs
    if (spool === undefined) return
    const { dir, owner, durable, position } = spool
    this.#writer = new SegmentWriter({
      dir,
      owner,
      header,
      durable,
      segment: position.segment,
      segmentBytes: host.segmentBytes,
      onSegment: (segment, bytes) => host.send({ type: 'segment', id, segment, bytes }),
    })
    // Otherwise auth has what was shown.
    if (durable) this.#tail = new TailFile(join(dir, tailFile({ sid: header.sid, owner })))
    if (spool.lost !== undefined) this.lose(spool.lost)
    else if (position.index === 0) {
      // At once, so that even a session that never prints anything has a beginning in the spool.
      this.#builder.header(header)
      this.#close()
    }
  }

  output(atMs: number, data: Uint8Array, cut: number): void {
    this.#lastActive = this.#host.monotonicMs()
    const text = this.#text.push(data)
    let usual = false
    if (this.#writer !== undefined && !this.#ended) {
      this.#builder.count(data.length)
      // Nothing that can be shown yet: it goes with what completes the character.
      if (text !== '') {
        const line = this.#line(atMs, 'o', text)
        usual = isAscii(data) && isUsualLine(line)
      }
    } else this.#host.done(this.#id, data.length)
    this.#show((screen) => screen.write(text, usual))
    if (cut > 0) this.#cut(cut)
    else if (this.#builder.full) this.#close()
  }

  resize(atMs: number, columns: number, rows: number): void {
    this.#line(atMs, 'r', `${columns}x${rows}`)
    this.#show((screen) => screen.resize({ columns, rows }))
  }

  mark(atMs: number, text: string): void {
    this.#line(atMs, 'm', text)
  }

  /** Output that the worker never saw: told at once. */
  lose(lost: Lost): void {
    if (this.#writer === undefined || this.#ended) return
    this.#close()
    this.#addLost(lost)
    this.#everFailed ??= lost.reason
    if (this.#state !== 'good') return
    this.#tellGap()
    this.#pump ??= this.#write()
  }

  screen(): { readonly columns: number; readonly rows: number; readonly data: string } {
    const { columns, rows } = this.#header
    let state = { columns, rows, data: '' }
    this.#show((screen) => {
      state = screen.state()
    })
    return state
  }

  /** Called a few times a second. */
  tick(): void {
    const now = this.#host.monotonicMs()
    if (!this.#builder.empty && now - this.#openedAt >= CHUNK_MS) this.#close()
    if (now - this.#lastActive >= COMPACT_MS && this.#screen?.heavy) this.#show((screen) => screen.compact())
  }

  /** Ends the recording in the spool; never throws. */
  async end(atMs: number, end: Omit<RecordingEnd, 'chunks' | 'chain'>): Promise<void> {
    if (this.#ended) return
    if (this.#writer !== undefined) {
      const rest = this.#text.end()
      if (rest !== '') this.#line(atMs, 'o', rest)
      if (end.failure !== undefined && this.#everFailed === undefined) this.#line(atMs, 'm', end.failure)
      this.#retryAt = 0
      if (!this.#builder.empty || this.#builder.outputBytes > 0 || this.#lost !== undefined) this.#close()
    }
    this.#ended = true
    await this.#pump
    const complete = await this.#writeEnd(end)
    this.#screen?.close()
    this.#host.send({ type: 'ended', id: this.#id, bytes: this.#writer?.bytes ?? 0, complete })
  }

  /** Keeps nothing from now on. */
  async stop(): Promise<void> {
    if (this.#ended || this.#writer === undefined) return
    const writer = this.#writer
    this.#writer = undefined
    for (const { outputBytes } of this.#queue.splice(0)) this.#host.done(this.#id, outputBytes)
    this.#host.done(this.#id, this.#builder.discard())
    await this.#pump
    await this.#tail?.close(false)
    await writer?.close().catch(() => undefined)
    this.#host.send({ type: 'ended', id: this.#id, bytes: writer?.bytes ?? 0, complete: false })
  }

  /** Somebody waits for what was given so far. */
  #cut(cut: number): void {
    this.#cutAsked = cut
    this.#close()
    if (this.#pump === undefined && this.#state === 'good') this.#tellStored()
  }

  /** Gives the file back; for a worker that ends. */
  async abandon(): Promise<void> {
    const writer = this.#writer
    this.#writer = undefined
    await this.#pump
    await this.#tail?.close(true)
    await writer?.close().catch(() => undefined)
  }

  #line(atMs: number, code: 'o' | 'r' | 'm', data: string): string {
    if (this.#writer === undefined || this.#ended) return ''
    if (this.#builder.empty) {
      this.#openedAt = this.#host.monotonicMs()
      this.#keyframe(atMs)
    }
    this.#textSinceKeyframe += data.length
    this.#tailSoon()
    return this.#builder.add(atMs, code, data)
  }

  #tailSoon(): void {
    if (this.#tail === undefined || this.#tailState !== 'none') return
    this.#tailState = 'soon'
    this.#host.later(TAIL_MS, () => {
      this.#tailState = 'none'
      if (this.#ended || this.#state !== 'good' || this.#builder.newBytes === 0) return
      const flood = this.#host.monotonicMs() - this.#lastActive < FLOOD_OVER_MS
      if (this.#builder.newBytes > TAIL_BYTES && flood) {
        this.#tailSoon()
        return
      }
      this.#tailState = 'due'
      this.#pump ??= this.#write()
    })
  }

  /** Before the first line of a chunk, when one is due. */
  #keyframe(atMs: number): void {
    const at = this.#builder.time(atMs)
    const since = at - this.#keyframeAt
    const due = since >= KEYFRAME_MS || (since >= KEYFRAME_LEAST_MS && this.#textSinceKeyframe >= KEYFRAME_TEXT)
    if (due) this.#addKeyframe(at)
  }

  #addKeyframe(at: number): void {
    if (this.#screen === undefined) return
    const { columns, rows, data } = this.screen()
    this.#keyframeAt = at
    this.#textSinceKeyframe = 0
    if (data.length > MAX_KEYFRAME) return
    this.#builder.add(at, 'k', data)
    // Who begins here does not know the size otherwise; to all others it is the one they have.
    this.#builder.add(at, 'r', `${columns}x${rows}`)
  }

  /** The emulator is another's code that strangers feed: an error in it costs the screen, not the recording. */
  #show(use: (screen: Screen) => void): void {
    if (this.#screen === undefined) return
    try {
      use(this.#screen)
    } catch {
      this.#screen.close()
      this.#screen = new Screen(this.#header)
    }
  }

  #close(): void {
    if (this.#writer === undefined) {
      this.#builder.discard()
      return
    }
    const now = this.#host.monotonicMs()
    if (this.#state === 'bad') {
      this.#drop(this.#builder.discard(), this.#everFailed ?? '')
      if (now < this.#retryAt) return
      this.#retryAt = now + RETRY_MS
      this.#tellGap()
    } else {
      // Only half a character so far.
      if (this.#builder.empty) return
      this.#queue.push({ ...this.#builder.close(), cut: this.#cutAsked })
    }
    this.#pump ??= this.#write()
  }

  /** A chunk that says what is missing and shows the screen as it is now. */
  #tellGap(): void {
    const lost = this.#lost ?? { bytes: 0, reason: '' }
    this.#lost = undefined
    this.#state = 'trying'
    const at = this.#builder.time(this.#position.toMs)
    if (this.#position.index === 0) this.#builder.header(this.#header)
    else this.#addKeyframe(at)
    this.#builder.add(at, 'm', `${lost.bytes} bytes of output were not recorded: ${lost.reason}`)
    this.#queue.push({ ...this.#builder.close(), cut: this.#cutAsked, tells: lost })
  }

  async #write(): Promise<void> {
    while (this.#queue.length > 0 || this.#tailState === 'due') {
      if (this.#queue.length === 0) {
        await this.#appendTail()
        continue
      }
      const chunks = this.#queue
      this.#queue = []
      const outputBytes = chunks.reduce((sum, chunk) => sum + chunk.outputBytes, 0)
      try {
        await this.#append(chunks)
        if (this.#state === 'trying') this.#state = 'good'
        // Lost while the one before was told.
        if (this.#lost !== undefined) this.#tellGap()
        this.#host.done(this.#id, outputBytes)
      } catch (error) {
        const all = [...chunks, ...this.#queue.splice(0)]
        for (const { tells } of all) if (tells !== undefined) this.#addLost(tells)
        this.#fail(
          all.reduce((sum, chunk) => sum + chunk.outputBytes, 0),
          messageOf(error),
          errnoOf(error),
        )
        // The last chance to tell.
        if (this.#ended && !this.#lastTry) {
          this.#lastTry = true
          this.#tellGap()
        }
      }
    }
    this.#pump = undefined
  }

  async #appendTail(): Promise<void> {
    this.#tailState = 'none'
    const tail = this.#tail
    if (tail === undefined || this.#writer === undefined || this.#state !== 'good') return
    if (this.#builder.newBytes === 0 || this.#host.full !== undefined) return
    const lines = this.#builder.takeNew()
    await this.#host.withDisk(() => tail.append(this.#position.index, lines))
  }

  async #append(chunks: readonly QueuedChunk[]): Promise<void> {
    const writer = this.#writer
    if (writer === undefined) return
    let { index, chain, toMs } = this.#position
    const frames: Buffer[] = []
    for (const { outputBytes: _, cut: __, tells: ___, ...built } of chunks) {
      const chunk = { ...built, index }
      frames.push(encodeFrame({ kind: 'chunk', ...chunk }))
      chain = nextLink(chain, chunk)
      index++
      toMs = chunk.toMs
    }
    await this.#host.withDisk(async () => {
      // Of a session that ends now, at least this much is kept.
      const last = this.#ended && chunks.every(({ tells }) => tells !== undefined)
      if (this.#host.full !== undefined && !last) throw new Error(this.#host.full)
      await writer.append(Buffer.concat(frames), this.#position)
      await this.#tail?.clear()
    })
    this.#position = { index, chain, toMs }
    this.#cutStored = Math.max(this.#cutStored, ...chunks.map(({ cut }) => cut))
    this.#tellStored()
  }

  #tellStored(): void {
    if (this.#writer === undefined) return
    // With nothing on its way and nothing collected, all that was asked for is there.
    if (this.#queue.length === 0 && this.#pump === undefined) this.#cutStored = this.#cutAsked
    const position = { ...this.#position, segment: this.#writer.segment }
    this.#host.send({ type: 'stored', id: this.#id, position, bytes: this.#writer.bytes, cut: this.#cutStored })
  }

  #fail(bytes: number, reason: string, errno = 'EIO'): void {
    const first = this.#state === 'good'
    this.#state = 'bad'
    this.#retryAt = this.#host.monotonicMs() + RETRY_MS
    this.#everFailed ??= reason
    this.#drop(bytes, reason)
    if (first) this.#host.send({ type: 'failed', id: this.#id, errno, reason })
  }

  #addLost({ bytes, reason }: Lost): void {
    this.#lost = { bytes: (this.#lost?.bytes ?? 0) + bytes, reason: this.#lost?.reason ?? reason }
  }

  #drop(bytes: number, reason: string): void {
    this.#addLost({ bytes, reason })
    this.#host.done(this.#id, bytes)
  }

  async #writeEnd(end: Omit<RecordingEnd, 'chunks' | 'chain'>): Promise<boolean> {
    const writer = this.#writer
    if (writer === undefined) return false
    const { index: chunks, chain } = this.#position
    const failure = end.failure ?? this.#everFailed
    const frame = encodeFrame({ kind: 'end', ...end, chunks, chain, ...(failure === undefined ? {} : { failure }) })
    try {
      // What is lost at the very end has no chunk to tell of it.
      await this.#host.withDisk(() => writer.append(frame, this.#position))
      return true
    } catch {
      return false
    } finally {
      await this.#tail?.close(false)
      await writer.close().catch(() => undefined)
    }
  }
}
