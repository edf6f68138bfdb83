/** The recorder of a node: one worker thread, one spool, one uploader for all its sessions. */

import { join } from 'node:path'
import { firstLink } from '../../audit/recording/chain.ts'
import type { RecordingHeader } from '../../audit/recording/types.ts'
import { Backoff } from '../../common/backoff.ts'
import type { Env } from '../../common/env.ts'
import { ensurePrivateDir } from '../../common/files.ts'
import { ownProcess } from '../../common/process-owner.ts'
import { Rush } from '../../common/rush.ts'
import { withDeadline, withTimeout } from '../../common/timeout.ts'
import { ConnectionProblem, LimitExceeded, SystemError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { FromWorker, Lost, SpoolPosition, ToWorker } from './messages.ts'
import { openQuarantine, type Quarantine } from './quarantine.ts'
import { type RecorderLimits, type RecorderOptions, recorderLimits } from './recorder-options.ts'
import { ScreenRequests } from './screen-requests.ts'
import { adoptRecordings, finishRecording } from './spool-recovery.ts'
import { SpooledRecording } from './spooled-recording.ts'
import { BATCH_BYTES, Tap, type TapHost } from './tap.ts'
import { boundedHeader, silentTap } from './tap-input.ts'
import type { Recorder, ScreenState, SessionTap, TapOptions } from './types.ts'
import { Uploader } from './uploader.ts'
import { startWorkerThread, type WorkerPort } from './worker-thread.ts'

/** Milliseconds that output waits for more of it. */
const BATCH_MS = 4
const TICK_MS = 500
const ADOPT_MS = 60_000
const CLOSE_MS = 5000
/** Buffers kept for the next output. */
const MAX_FREE = 64
/** Compressed bytes that may wait because sessions are busy; beyond, uploads go at their full speed. */
const PACED_BYTES = 16 * 1024 * 1024

/** Bytes of output: more than two megabytes in a second, which nobody reads. */
const flood = { window: 100, from: 256 * 1024 }

/** Opens the spool and takes over what ended processes left. Throws when the directory cannot be used. */
export async function openRecorder(options: RecorderOptions): Promise<Recorder> {
  await ensurePrivateDir(options.dir)
  const recorder = new NodeRecorder(options, options.owner ?? (await ownProcess()))
  await recorder.adopt()
  return recorder
}

class NodeRecorder implements Recorder, TapHost {
  readonly env: Env
  readonly limits: RecorderLimits
  readonly #options: RecorderOptions
  readonly #owner: string
  readonly #uploader: Uploader
  readonly #quarantine: Quarantine
  readonly #stop = new AbortController()
  readonly #taps = new Map<number, Tap>()
  readonly #recordings = new Set<SpooledRecording>()
  /** Taps by recording, while the session runs. */
  readonly #live = new Map<SpooledRecording, Tap>()
  readonly #screens: ScreenRequests
  readonly #unflushed = new Set<Tap>()
  readonly #firstWords = new Map<number, PromiseWithResolvers<void>>()
  /** Given up, on their way into quarantine. */
  readonly #refusals = new WeakSet<SpooledRecording>()
  readonly #restart: Backoff
  #worker: WorkerPort | undefined
  #free: ArrayBuffer[] = []
  #nextId = 1
  #taken = 0
  readonly #flood = new Rush(flood)
  #wasCongested = false
  #spoolBytes = 0
  #full = false

  constructor(options: RecorderOptions, owner: string) {
    this.#options = options
    this.#owner = owner
    this.env = options.env
    this.#screens = new ScreenRequests(options.env)
    this.limits = { ...recorderLimits, ...options.limits }
    const { dir, upload, env, logger } = options
    this.#quarantine = openQuarantine(join(dir, 'quarantine'), this.limits.quarantineBytes, logger)
    this.#restart = new Backoff({ initialMs: 200, maxMs: 30_000 }, env)
    this.#uploader = new Uploader({
      upload,
      env,
      log: logger,
      parallel: this.limits.parallel,
      attempts: this.limits.attempts,
      backoff: this.limits.backoff,
      busy: () => this.#flood.now(this.env.monotonicMs()) && this.pendingBytes < PACED_BYTES,
      onProgress: (recording) => this.#live.get(recording)?.progressed(),
      onComplete: (recording) => this.#complete(recording),
      onRefused: (recording, error) => this.#refused(recording, error),
    })
    this.#startWorker()
    void this.#loop()
  }

  get pendingBytes(): number {
    let bytes = 0
    for (const recording of this.#recordings) bytes += recording.pendingBytes
    return bytes
  }

  async open(options: TapOptions): Promise<SessionTap> {
    if (this.#stop.signal.aborted) throw new ConnectionProblem('the recorder is closed')
    const id = this.#nextId++
    const { mode } = options
    let open = false
    const bounded: TapOptions = {
      ...options,
      header: boundedHeader(options.header),
      // Before, whoever opens it gets the error.
      onFailure: (reason) => {
        if (open) options.onFailure(reason)
      },
    }
    if (mode === 'off') {
      if (!options.header.interactive) return silentTap(options)
      const tap = new Tap(this, id, bounded, undefined)
      this.#begin(tap)
      return tap
    }
    const strict = options.strict || mode === 'node-sync'
    if (strict && this.#full) throw new LimitExceeded(fullMessage)
    if (strict && this.#worker === undefined) throw new SystemError('EIO', 'the recording worker is not running')

    const { header } = bounded
    const progress = mode === 'node-sync' ? await this.#beginAtAuth(header) : undefined
    const position: SpoolPosition = { segment: 0, index: 0, chain: firstLink(header.sid), toMs: 0 }
    const place = { dir: this.#options.dir, owner: this.#owner }
    const recording = new SpooledRecording(header, place, position, (change) => this.#grow(change))
    recording.progress = progress
    const tap = new Tap(this, id, bounded, recording)
    this.#recordings.add(recording)
    this.#live.set(recording, tap)
    const stored = Promise.withResolvers<void>()
    if (strict) this.#firstWords.set(id, stored)
    this.#begin(tap)
    this.#uploader.add(recording, mode === 'node-sync')
    try {
      if (strict) await withTimeout(stored.promise, this.limits.syncMs, 'the disk with the recordings', this.env)
    } catch (error) {
      void tap.finish([header.user], false)
      throw error
    } finally {
      this.#firstWords.delete(id)
    }
    open = true
    return tap
  }

  /** Takes over what ended processes left. */
  async adopt(): Promise<void> {
    const { dir, logger: log } = this.#options
    try {
      const adopted = await adoptRecordings({ dir, owner: this.#owner, log, onBytes: (change) => this.#grow(change) })
      for (const recording of adopted) {
        this.#recordings.add(recording)
        this.#uploader.add(recording, false)
      }
    } catch (error) {
      log.warn('cannot look for recordings of earlier processes', { reason: messageOf(error) })
    }
  }

  async close(): Promise<void> {
    if (this.#stop.signal.aborted) return
    const ends = [...this.#taps.values()].map((tap) => tap.finish([tap.options.header.user], true))
    this.#stop.abort()
    // What is not written by then is found and completed at the next start.
    await Promise.race([Promise.all(ends), this.env.sleep(CLOSE_MS)])
    const worker = this.#worker
    this.#worker = undefined
    await worker?.close()
    await this.#uploader.close()
    for (const tap of this.#taps.values()) tap.closed()
    this.#screens.dropAll()
  }

  // What taps ask for.

  get congested(): boolean {
    return this.#taken >= this.limits.totalBytes
  }

  post(message: ToWorker, transfer?: readonly ArrayBuffer[]): void {
    this.#worker?.post(message, transfer)
  }

  buffer(): ArrayBuffer {
    return this.#free.pop() ?? new ArrayBuffer(BATCH_BYTES)
  }

  flushSoon(tap: Tap): void {
    this.#unflushed.add(tap)
    if (this.#unflushed.size > 1) return
    void this.env.sleep(BATCH_MS).then(() => {
      for (const waiting of this.#unflushed) waiting.flush()
      this.#unflushed.clear()
    })
  }

  taken(bytes: number): void {
    this.#taken += bytes
    if (bytes > 0) this.#flood.add(bytes, this.env.monotonicMs())
    if (this.congested) this.#wasCongested = true
  }

  screen(id: number): Promise<ScreenState | undefined> {
    if (this.#worker === undefined) return Promise.resolve(undefined)
    return this.#screens.ask((request) => this.post({ type: 'screen', id, request }))
  }

  forget(tap: Tap): void {
    this.#taps.delete(tap.id)
    this.#unflushed.delete(tap)
    if (tap.recording !== undefined) this.#live.delete(tap.recording)
  }

  // The worker.

  #begin(tap: Tap, lost?: Lost): void {
    this.#taps.set(tap.id, tap)
    const { options, recording } = tap
    const spool =
      recording === undefined
        ? {}
        : {
            spool: {
              dir: this.#options.dir,
              owner: this.#owner,
              durable: options.mode === 'node',
              position: recording.position,
              ...(lost === undefined ? {} : { lost }),
            },
          }
    this.post({ type: 'open', id: tap.id, header: options.header, ...spool })
  }

  #startWorker(): void {
    if (this.#stop.signal.aborted) return
    const start = this.#options.startWorker ?? startWorkerThread
    const started = this.env.monotonicMs()
    this.#worker = start({
      message: (message) => this.#receive(message),
      gone: (reason) => void this.#workerGone(reason, started),
    })
    this.#tellFull()
  }

  #receive(message: FromWorker): void {
    switch (message.type) {
      case 'done':
        this.#done(message)
        return
      case 'screen': {
        const { request, columns, rows, data } = message
        this.#screens.answer(request, { columns, rows, data })
        return
      }
    }
    const tap = this.#taps.get(message.id)
    const recording = tap?.recording
    if (tap === undefined || recording === undefined) {
      if (message.type === 'ended') tap?.closed()
      return
    }
    switch (message.type) {
      case 'segment':
        recording.addSegment(message.segment, message.bytes)
        return
      case 'stored':
        recording.position = message.position
        recording.grown(message.bytes)
        this.#firstWords.get(tap.id)?.resolve()
        tap.stored(message)
        this.#uploader.wake(recording)
        return
      case 'failed':
        this.#failed(tap, message)
        return
      case 'ended':
        this.#ended(tap, recording, message)
        return
    }
  }

  #done({ counts, buffers }: FromWorker & { readonly type: 'done' }): void {
    for (const buffer of buffers) {
      if (this.#free.length < MAX_FREE && buffer.byteLength === BATCH_BYTES) this.#free.push(buffer)
    }
    for (const [id, bytes] of counts) {
      const tap = this.#taps.get(id)
      tap?.done(bytes)
      tap?.checkRoom()
    }
    if (this.#wasCongested && !this.congested) {
      this.#wasCongested = false
      for (const tap of this.#taps.values()) tap.checkRoom()
    }
  }

  #failed(tap: Tap, { errno, reason }: FromWorker & { readonly type: 'failed' }): void {
    const error = new SystemError(errno, `this session cannot be recorded: ${reason}`)
    this.#firstWords.get(tap.id)?.reject(error)
    this.report(tap, error)
  }

  report(tap: Tap, error: Error): void {
    if (tap.failure !== undefined || tap.recording === undefined) return
    const { sid } = tap.options.header
    this.#options.logger.error('a session is not recorded as it should be', { sid, reason: error.message })
    this.#options.onFailed(tap.options.header, error.message)
    tap.fail(error)
  }

  #ended(tap: Tap, recording: SpooledRecording, message: FromWorker & { readonly type: 'ended' }): void {
    tap.writerEnded()
    if (this.#refusals.has(recording)) {
      if (tap.ending) tap.closed()
      return
    }
    if (message.complete) {
      recording.grown(message.bytes)
      recording.finished = true
    } else {
      const { ended, participants } = tap.endArguments ?? { ended: this.env.now().toISOString(), participants: [] }
      const { index: chunks, chain } = recording.position
      const failure = tap.failure?.message ?? 'the disk has no room'
      recording.endInMemory = { ended, participants, interrupted: false, chunks, chain, failure }
      recording.finished = true
    }
    tap.ended()
    this.#finished(recording)
  }

  #finished(recording: SpooledRecording): void {
    if (recording.bytes > 0) this.#uploader.wake(recording)
    else {
      // The disk never had room for a single line of it.
      this.#uploader.drop(recording)
      this.#complete(recording)
    }
  }

  async #workerGone(reason: unknown, started: number): Promise<void> {
    const { logger } = this.#options
    this.#worker = undefined
    if (this.#stop.signal.aborted) return
    const why = `the recording worker ended: ${messageOf(reason)}`
    logger.error(why)
    const error = new SystemError('EIO', why)
    this.#screens.dropAll()
    const reopen: [Tap, Lost][] = []
    for (const tap of this.#taps.values()) {
      this.#firstWords.get(tap.id)?.reject(error)
      this.report(tap, error)
      const lost = tap.forsaken(why)
      if (!tap.ending && (!tap.strict || tap.recording === undefined)) reopen.push([tap, lost])
      else await this.#finishAlone(tap, lost)
    }
    if (this.env.monotonicMs() - started > 60_000) this.#restart.reset()
    await this.#restart.wait(this.#stop.signal).catch(() => undefined)
    if (this.#stop.signal.aborted) return
    this.#startWorker()
    for (const [tap, lost] of reopen) {
      const since = tap.forsaken(why)
      if (tap.ending) await this.#finishAlone(tap, lost)
      else this.#begin(tap, { bytes: lost.bytes + since.bytes, reason: why })
    }
  }

  /** Without the worker. */
  async #finishAlone(tap: Tap, { bytes, reason }: Lost): Promise<void> {
    const { recording } = tap
    if (recording !== undefined) {
      const { ended, participants } = tap.endArguments ?? {
        ended: this.env.now().toISOString(),
        participants: [tap.options.header.user],
      }
      const mark = `${bytes} bytes of output were not recorded: ${reason}`
      await finishRecording(recording, { mark, end: { ended, participants, interrupted: false, failure: reason } })
      this.#finished(recording)
    }
    tap.closed()
  }

  // Auth.

  async #beginAtAuth(header: RecordingHeader) {
    const { upload } = this.#options
    const begin = (signal: AbortSignal) => upload.begin(header, signal)
    try {
      return await withDeadline(begin, this.limits.syncMs, 'the auth service', this.env, this.#stop.signal)
    } catch (error) {
      const why = `this session must be recorded by the auth service, and that failed: ${messageOf(error)}`
      throw new ConnectionProblem(why, { cause: error })
    }
  }

  #complete(recording: SpooledRecording): void {
    this.#recordings.delete(recording)
    this.#live.get(recording)?.closed()
  }

  async #refused(recording: SpooledRecording, error: unknown): Promise<void> {
    const { logger, onFailed } = this.#options
    const { header } = recording
    const reason = `the auth service does not take the recording: ${messageOf(error)}`
    logger.error('a recording goes into quarantine', { sid: header.sid, reason: messageOf(error) })
    this.#refusals.add(recording)
    const tap = this.#live.get(recording)
    const told = tap?.failure !== undefined
    if (!told) onFailed(header, reason)
    if (tap !== undefined) {
      tap.fail(new SystemError('EIO', reason))
      if (!tap.ending) this.post({ type: 'stop', id: tap.id })
      if (this.#worker !== undefined) await Promise.race([tap.written, this.env.sleep(CLOSE_MS)])
    }
    await this.#quarantine.take(recording.paths)
    recording.forget()
    this.#recordings.delete(recording)
    if (tap?.ending) tap.closed()
  }

  #grow(change: number): void {
    this.#spoolBytes += change
    const full = this.#spoolBytes >= this.limits.spoolBytes
    if (full === this.#full) return
    this.#full = full
    this.#options.logger[full ? 'error' : 'info'](full ? fullMessage : 'the spool of recordings has room again')
    this.#tellFull()
  }

  #tellFull(): void {
    this.post({ type: 'full', reason: this.#full ? fullMessage : undefined })
  }

  async #loop(): Promise<void> {
    const { signal } = this.#stop
    let adopted = this.env.monotonicMs()
    while (!signal.aborted) {
      await this.env.sleep(TICK_MS, signal).catch(() => undefined)
      for (const tap of this.#taps.values()) tap.tick()
      const now = this.env.monotonicMs()
      if (signal.aborted || now - adopted < ADOPT_MS) continue
      adopted = now
      await this.adopt()
    }
  }
}

const fullMessage = 'the spool of recordings is full because the auth service could not be reached for too long'
