/**
 * Brings recordings to auth in the background, a few at a time, read back from the spool chunk by chunk. While auth is away
 * everything waits on the disk; what auth refuses for good is given up after a few attempts, so that it does not block the rest.
 */

import type { Progress } from '../../audit/recording/store.ts'
import { Backoff } from '../../common/backoff.ts'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import {
  AccessDenied,
  AlreadyExists,
  BadParameter,
  CompareFailed,
  ConnectionProblem,
  MissingParameter,
  NotFound,
} from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { Frame } from './spool-format.ts'
import { DamagedSpool, type SpooledRecording } from './spooled-recording.ts'
import type { RecordingUpload } from './upload.ts'

export interface UploaderOptions {
  readonly upload: RecordingUpload
  readonly env: Env
  readonly log: Logger
  /** Recordings at a time. */
  readonly parallel: number
  /** Attempts for one that auth refuses. */
  readonly attempts: number
  /** Between attempts. */
  readonly backoff: { readonly initialMs: number; readonly maxMs: number }
  /** Whether sessions print so much that uploads should wait, within limits. */
  busy(): boolean
  /** Auth has more of it. */
  onProgress(recording: SpooledRecording): void
  /** All of it is at auth, and nothing on the disk. */
  onComplete(recording: SpooledRecording): void
  /** Given up. Its files are still there. */
  onRefused(recording: SpooledRecording, error: unknown): Promise<void>
}

interface Entry {
  readonly recording: SpooledRecording
  /** Somebody waits for every chunk. */
  readonly urgent: boolean
  state: 'idle' | 'queued' | 'running' | 'again' | 'over'
  refusals: number
  backoff: Backoff | undefined
}

/** While sessions are busy: longest before each chunk, and between looks. */
const PAUSE_MS = 1000
const PAUSE_STEP_MS = 50
/** Between attempts for what a session waits for. */
const URGENT_BACKOFF = { initialMs: 100, maxMs: 1000 }

export class Uploader {
  readonly #options: UploaderOptions
  readonly #entries = new Map<SpooledRecording, Entry>()
  readonly #stop = new AbortController()
  readonly #queue: Entry[] = []
  readonly #running = new Set<Promise<void>>()
  #workers = 0
  #failing = false

  constructor(options: UploaderOptions) {
    this.#options = options
  }

  add(recording: SpooledRecording, urgent: boolean): void {
    this.#entries.set(recording, { recording, urgent, state: 'idle', refusals: 0, backoff: undefined })
    this.wake(recording)
  }

  /** There may be something new to bring. */
  wake(recording: SpooledRecording): void {
    const entry = this.#entries.get(recording)
    // Before there is a file, there is nothing that a refusal could be about.
    if (entry === undefined || this.#stop.signal.aborted || recording.bytes === 0) return
    if (entry.state === 'running') entry.state = 'again'
    if (entry.state !== 'idle') return
    entry.state = 'queued'
    if (entry.urgent) this.#track(this.#work([entry], URGENT_BACKOFF))
    else {
      this.#queue.push(entry)
      if (this.#workers >= this.#options.parallel) return
      this.#workers++
      this.#track(this.#work(this.#queue, this.#options.backoff).finally(() => this.#workers--))
    }
  }

  /** No longer of interest. */
  drop(recording: SpooledRecording): void {
    const entry = this.#entries.get(recording)
    if (entry !== undefined) entry.state = 'over'
    this.#entries.delete(recording)
  }

  async close(): Promise<void> {
    this.#stop.abort()
    await Promise.all(this.#running)
  }

  #track(work: Promise<void>): void {
    this.#running.add(work)
    void work.finally(() => this.#running.delete(work))
  }

  async #work(queue: Entry[], limits: { readonly initialMs: number; readonly maxMs: number }): Promise<void> {
    const { env, log } = this.#options
    const { signal } = this.#stop
    const backoff = new Backoff(limits, env)
    for (;;) {
      const entry = queue.shift()
      if (entry === undefined || signal.aborted) return
      if (entry.state === 'over') continue
      entry.state = 'running'
      try {
        await this.#deliver(entry)
        if (this.#failing) log.info('recordings reach the auth service again')
        this.#failing = false
        backoff.reset()
        entry.backoff = undefined
        this.#settle(entry, queue)
      } catch (error) {
        if (signal.aborted) return
        if (await this.#giveUp(entry, error)) continue
        entry.state = 'queued'
        if (error instanceof ConnectionProblem) {
          // The others would not fare better.
          if (!this.#failing) log.warn('recordings wait on the local disk', { reason: messageOf(error) })
          this.#failing = true
          queue.push(entry)
          await backoff.wait(signal).catch(() => undefined)
        } else this.#later(entry, error)
      }
    }
  }

  /** What is wrong with one recording must not hold up the others. */
  #later(entry: Entry, error: unknown): void {
    const { env, log, backoff } = this.#options
    if (entry.backoff === undefined) {
      log.warn('a recording waits on the local disk', { sid: entry.recording.sid, reason: messageOf(error) })
      entry.backoff = new Backoff(entry.urgent ? URGENT_BACKOFF : backoff, env)
    }
    const waited = entry.backoff.wait(this.#stop.signal).then(
      () => {
        if (entry.state !== 'queued') return
        entry.state = 'idle'
        this.wake(entry.recording)
      },
      () => {},
    )
    this.#track(waited)
  }

  #settle(entry: Entry, queue: Entry[]): void {
    if (entry.state === 'over') return
    const again = entry.state === 'again'
    entry.state = again ? 'queued' : 'idle'
    if (again) queue.push(entry)
  }

  /** Whether it is no use to try again. */
  async #giveUp(entry: Entry, error: unknown): Promise<boolean> {
    if (entry.state === 'over') return true
    const damaged = error instanceof DamagedSpool
    if (!damaged && !isRefusal(error)) return false
    entry.refusals++
    // The next attempt asks auth again how far it is.
    entry.recording.progress = undefined
    if (!damaged && entry.refusals < this.#options.attempts) return false
    this.drop(entry.recording)
    await this.#options.onRefused(entry.recording, error)
    return true
  }

  async #deliver(entry: Entry): Promise<void> {
    const { recording } = entry
    if (recording.progress === undefined) {
      recording.rewind()
      if (!(await this.#begin(entry))) return
    }
    const complete = await recording.each((frame) => this.#bring(entry, frame))
    if (complete) await this.#finish(recording)
  }

  async #finish(recording: SpooledRecording): Promise<void> {
    this.drop(recording)
    await recording.remove()
    this.#options.onComplete(recording)
  }

  /** False when auth has the whole recording already, and nothing is left to do. */
  async #begin(entry: Entry): Promise<boolean> {
    const { upload } = this.#options
    const { recording } = entry
    const { signal } = this.#stop
    try {
      this.#advance(entry, await upload.begin(recording.header, signal))
      return true
    } catch (error) {
      // An auth service that does not know recordings yet is one that will be upgraded.
      if (error instanceof NotFound) throw new Error(`the auth service keeps no recordings: ${error.message}`)
      if (!(error instanceof AlreadyExists)) throw error
      // The acknowledgement of the end was lost. The end tells whether it is the same.
      const done = await recording.each(async (frame) => {
        if (frame.kind === 'end') await upload.complete(recording.sid, frame, signal)
      })
      if (!done) throw error
      await this.#finish(recording)
      return false
    }
  }

  async #bring(entry: Entry, frame: Frame & { readonly kind: 'chunk' | 'end' }): Promise<void> {
    const { upload } = this.#options
    const { recording } = entry
    const { signal } = this.#stop
    signal.throwIfAborted()
    const { next, chain } = recording.progress ?? { next: 0, chain: '' }
    if (frame.kind === 'end') {
      const { kind: _, ...end } = frame
      // With `node-sync` auth may have more than a disk that lost its power: what auth has was shown, and counts.
      await upload.complete(recording.sid, next > end.chunks ? { ...end, chunks: next, chain } : end, signal)
      return
    }
    if (frame.index < next) return
    if (frame.index > next) throw new CompareFailed(`auth wants chunk ${next}, which is no longer here`)
    if (!entry.urgent) await this.#giveWay()
    const { kind: _, ...chunk } = frame
    this.#advance(entry, await upload.append(recording.sid, chunk, signal))
    entry.refusals = 0
  }

  /** A session that prints a flood would pay for bringing it away at once; auth has it a little later instead. */
  async #giveWay(): Promise<void> {
    const { env, busy } = this.#options
    for (let waited = 0; waited < PAUSE_MS && busy(); waited += PAUSE_STEP_MS) {
      await env.sleep(PAUSE_STEP_MS, this.#stop.signal)
    }
  }

  #advance({ recording }: Entry, progress: Progress): void {
    recording.progress = progress
    this.#options.onProgress(recording)
  }
}

const isRefusal = (error: unknown): boolean =>
  [AccessDenied, AlreadyExists, BadParameter, CompareFailed, MissingParameter, NotFound].some(
    (kind) => error instanceof kind,
  )
