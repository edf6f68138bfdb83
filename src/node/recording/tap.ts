/** The near end of a recording, on the sessions' own thread: copies bytes, counts them, and passes them on. */

import type { Env } from '../../common/env.ts'
import { ConnectionProblem, LimitExceeded } from '../../errors/errors.ts'
import type { FromWorker, Lost, ToWorker } from './messages.ts'
import type { SpooledRecording } from './spooled-recording.ts'
import type { ScreenState, SessionTap, TapOptions } from './types.ts'

/** Bytes of one message to the worker. */
export const BATCH_BYTES = 64 * 1024

export interface TapHost {
  readonly env: Env
  readonly limits: TapLimits
  /** Undefined while the worker is away. */
  post(message: ToWorker, transfer?: readonly ArrayBuffer[]): void
  buffer(): ArrayBuffer
  /** Calls `flush` in a few milliseconds. */
  flushSoon(tap: Tap): void
  /** Of all sessions: whether the worker is behind. */
  readonly congested: boolean
  /** Bytes that wait for the worker and the disk. */
  taken(bytes: number): void
  screen(id: number): Promise<ScreenState | undefined>
  /** Something is missing from its recording, or will be; calls `fail`. */
  report(tap: Tap, error: Error): void
  /** It is closed. */
  forget(tap: Tap): void
}

export interface TapLimits {
  /** Bytes of one session that wait for the worker and the disk. */
  readonly sessionBytes: number
  /** Milliseconds after which output that the disk does not take is given up. */
  readonly stallMs: number
  /** Milliseconds within which auth must have stored what `node-sync` shows. */
  readonly syncMs: number
}

interface SyncWait {
  readonly resolve: () => void
  readonly reject: (error: Error) => void
}

/** A chunk on its way to auth: `target` is how many auth must have. */
interface Flight {
  readonly cut: number
  readonly waits: readonly SyncWait[]
  readonly since: number
  target: number | undefined
}

export class Tap implements SessionTap {
  readonly id: number
  readonly options: TapOptions
  /** Absent with mode `off`. */
  readonly recording: SpooledRecording | undefined
  readonly #host: TapHost
  readonly #started: number
  readonly #sync: boolean
  #batch: ArrayBuffer | undefined
  #batchLength = 0
  #batchAtMs = 0
  #waiting = 0
  #room: PromiseWithResolvers<void> | undefined
  #roomSince = 0
  #stalled = false
  #lost: Lost | undefined
  failure: Error | undefined
  #over = false
  #end: PromiseWithResolvers<void> | undefined
  #endedSince: number | undefined
  readonly #written = Promise.withResolvers<void>()
  #endArguments: { readonly ended: string; readonly participants: readonly string[] } | undefined

  #cut = 0
  /** What `node-sync` collects while a chunk is on its way. */
  #next: SyncWait[] = []
  #flying: Flight | undefined

  constructor(host: TapHost, id: number, options: TapOptions, recording: SpooledRecording | undefined) {
    this.id = id
    this.options = options
    this.recording = recording
    this.#host = host
    this.#started = host.env.monotonicMs()
    this.#sync = options.mode === 'node-sync'
  }

  get strict(): boolean {
    return this.options.strict || this.#sync
  }

  get ending(): boolean {
    return this.#over
  }

  /** What the end said, once it was called. */
  get endArguments(): { readonly ended: string; readonly participants: readonly string[] } | undefined {
    return this.#endArguments
  }

  output(data: Buffer): Promise<void> | undefined {
    if (this.#over || data.length === 0) return undefined
    if (this.failure !== undefined && this.strict) return Promise.reject(this.failure)
    if (this.#stalled && !this.#recover()) {
      this.#lose(data.length)
      return undefined
    }
    this.#copy(data)
    if (this.#sync) return this.#whenStored()
    if (this.#waiting < this.#host.limits.sessionBytes && !this.#host.congested) return undefined
    return this.#whenRoom()
  }

  resize(columns: number, rows: number): void {
    if (this.#over) return
    this.flush()
    this.#host.post({ type: 'resize', id: this.id, atMs: this.#atMs(), columns, rows })
  }

  mark(text: string): void {
    if (this.#over) return
    this.flush()
    this.#host.post({ type: 'mark', id: this.id, atMs: this.#atMs(), text })
  }

  async screen(): Promise<ScreenState> {
    this.flush()
    const { columns, rows } = this.options.header
    return (await this.#host.screen(this.id)) ?? { columns, rows, data: '' }
  }

  end(participants: readonly string[]): Promise<void> {
    return this.finish(participants, false)
  }

  /** As `end`; `interrupted`: the session goes on without us. */
  finish(participants: readonly string[], interrupted: boolean): Promise<void> {
    if (this.#end !== undefined) return this.#end.promise
    this.#end = Promise.withResolvers()
    this.flush()
    this.#tellLost()
    this.#over = true
    const ended = this.#host.env.now().toISOString()
    this.#endArguments = { ended, participants }
    const failure = this.failure === undefined ? {} : { failure: this.failure.message.slice(0, 4096) }
    this.#host.post({ type: 'end', id: this.id, atMs: this.#atMs(), ended, participants, interrupted, ...failure })
    this.#releaseRoom()
    return this.#end.promise
  }

  /** The worker writes no more of it. */
  get written(): Promise<void> {
    return this.#written.promise
  }

  writerEnded(): void {
    this.#written.resolve()
  }

  /** All of it is in the spool; with `node-sync` the end waits for auth, but not without end. */
  ended(): void {
    if (this.#sync && this.failure === undefined) this.#endedSince = this.#host.env.monotonicMs()
    else this.closed()
  }

  /** All that the end waits for is there, or never will be. */
  closed(): void {
    this.#over = true
    this.writerEnded()
    this.#end ??= Promise.withResolvers()
    this.#end.resolve()
    this.#releaseRoom()
    this.#host.taken(-this.#waiting)
    this.#waiting = 0
    this.#rejectSync(this.failure ?? new ConnectionProblem('the session has ended'))
    this.#host.forget(this)
  }

  /** Sends what was collected. */
  flush(cut = 0): void {
    const batch = this.#batch ?? (cut > 0 ? new ArrayBuffer(0) : undefined)
    if (batch === undefined) return
    const length = this.#batchLength
    this.#batch = undefined
    this.#batchLength = 0
    this.#host.post({ type: 'output', id: this.id, atMs: this.#batchAtMs, data: batch, length, cut }, [batch])
  }

  /** The worker no longer holds so many bytes. */
  done(bytes: number): void {
    this.#waiting -= bytes
    this.#host.taken(-bytes)
  }

  /** Called now and then: nothing is waited for without end. */
  tick(): void {
    const { env, limits } = this.#host
    const now = env.monotonicMs()
    if (this.#room !== undefined && now - this.#roomSince >= limits.stallMs) this.#stall()
    if (this.#flying !== undefined && now - this.#flying.since >= limits.syncMs) {
      const seconds = limits.syncMs / 1000
      const why = `the auth service has not stored the output of this session for ${seconds} s`
      this.#host.report(this, new ConnectionProblem(why))
    }
    if (this.#endedSince !== undefined && now - this.#endedSince >= limits.syncMs) this.closed()
  }

  /** Called when there may be room again. */
  checkRoom(): void {
    if (this.#waiting < this.#host.limits.sessionBytes && !this.#host.congested) this.#releaseRoom()
  }

  stored(message: FromWorker & { readonly type: 'stored' }): void {
    const flying = this.#flying
    if (flying !== undefined && flying.target === undefined && message.cut >= flying.cut) {
      flying.target = message.position.index
      this.progressed()
    }
  }

  /** Auth has more of it. */
  progressed(): void {
    const flying = this.#flying
    if (flying?.target === undefined || (this.recording?.progress?.next ?? 0) < flying.target) return
    this.#flying = undefined
    for (const { resolve } of flying.waits) resolve()
    if (this.#next.length > 0) this.#fly()
  }

  fail(reason: Error): void {
    if (this.failure !== undefined || this.recording === undefined) return
    this.failure = reason
    this.#rejectSync(reason)
    if (!this.#over) this.options.onFailure(reason)
  }

  /** The worker is gone, and with it what it had. Returns what it had. */
  forsaken(reason: string): Lost {
    const bytes = this.#waiting + (this.#lost?.bytes ?? 0)
    this.#host.taken(-this.#waiting)
    this.#waiting = 0
    this.#batch = undefined
    this.#batchLength = 0
    this.#lost = undefined
    this.#stalled = false
    this.#releaseRoom()
    return { bytes, reason }
  }

  #atMs(): number {
    return this.#host.env.monotonicMs() - this.#started
  }

  #copy(data: Buffer): void {
    this.#waiting += data.length
    this.#host.taken(data.length)
    let from = 0
    while (from < data.length) {
      if (this.#batch === undefined) {
        this.#batch = this.#host.buffer()
        this.#batchAtMs = this.#atMs()
        if (!this.#sync) this.#host.flushSoon(this)
      }
      const part = data.subarray(from, from + BATCH_BYTES - this.#batchLength)
      new Uint8Array(this.#batch).set(part, this.#batchLength)
      this.#batchLength += part.length
      from += part.length
      // With `node-sync` the last piece waits for its cut.
      if (this.#batchLength === BATCH_BYTES && (!this.#sync || from < data.length)) this.flush()
    }
  }

  #whenRoom(): Promise<void> {
    if (this.#room === undefined) {
      this.#room = Promise.withResolvers<void>()
      this.#roomSince = this.#host.env.monotonicMs()
    }
    return this.#room.promise
  }

  #releaseRoom(): void {
    this.#room?.resolve()
    this.#room = undefined
  }

  /** The disk takes nothing for so long that the session would hang for ever. */
  #stall(): void {
    this.#stalled = true
    this.#host.report(this, new LimitExceeded('the disk with the recordings does not keep up'))
    this.#releaseRoom()
  }

  /** Whether output is taken again. */
  #recover(): boolean {
    if (this.#waiting > this.#host.limits.sessionBytes / 2 || this.#host.congested) return false
    this.#stalled = false
    this.#tellLost()
    return true
  }

  #lose(bytes: number): void {
    this.#lost = { bytes: (this.#lost?.bytes ?? 0) + bytes, reason: 'the disk did not keep up' }
  }

  #tellLost(): void {
    if (this.#lost === undefined) return
    this.flush()
    this.#host.post({ type: 'lost', id: this.id, atMs: this.#atMs(), lost: this.#lost })
    this.#lost = undefined
  }

  #whenStored(): Promise<void> {
    const wait = Promise.withResolvers<void>()
    this.#next.push(wait)
    if (this.#flying === undefined) this.#fly()
    return wait.promise
  }

  /** Everything collected goes at once; what comes meanwhile goes together after it. */
  #fly(): void {
    const cut = ++this.#cut
    this.#flying = { cut, target: undefined, waits: this.#next, since: this.#host.env.monotonicMs() }
    this.#next = []
    this.flush(cut)
  }

  #rejectSync(reason: Error): void {
    const waits = [...(this.#flying?.waits ?? []), ...this.#next]
    this.#flying = undefined
    this.#next = []
    for (const { reject } of waits) reject(reason)
  }
}
