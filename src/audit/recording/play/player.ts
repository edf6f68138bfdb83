/** Plays a recording: what is shown when, and what the viewer's keys do to that. Knows no terminal and no file. */

import type { CastEntry } from '../cast-entry.ts'
import type { PlaySource } from './source.ts'

export type PlayerAction =
  | { readonly type: 'pause' | 'idle' | 'step' | 'quit' | 'help' | 'status' | 'faster' | 'slower' }
  /** Milliseconds from here. */
  | { readonly type: 'seek'; readonly by: number }
  /** Milliseconds from the beginning. */
  | { readonly type: 'to'; readonly atMs: number }
  | { readonly type: 'speed'; readonly speed: number }
  | { readonly type: 'start' | 'end' }

export interface PlayerState {
  readonly positionMs: number
  readonly durationMs: number
  readonly state: 'playing' | 'paused' | 'seeking' | 'at the end'
  readonly speed: number
  readonly skipIdle: boolean
  /** From the recording: who came, what is damaged. */
  readonly note?: string | undefined
  /** The viewer wants to see how far it is, or did something a moment ago. */
  readonly noticed: boolean
  readonly help: boolean
}

/** Where the recorded terminal is shown. */
export interface PlayScreen {
  /** Resolves when the text has taken effect. */
  write(text: string): Promise<void>
  resize(columns: number, rows: number): void
  reset(): void
}

export interface PlayClock {
  monotonicMs(): number
  sleep(ms: number, signal?: AbortSignal): Promise<void>
}

export interface PlayerOptions {
  readonly source: PlaySource
  readonly env: PlayClock
  readonly screen: PlayScreen
  /** Resolves when the viewer sees it. */
  paint(state: PlayerState): Promise<void>
  /** Resolves after what is due has run: keys, network, timers. */
  turn(): Promise<void>
  readonly speed: number
  readonly skipIdle: boolean
  /** Milliseconds. */
  readonly atMs: number
  /** At the end it waits for the viewer, instead of ending. */
  readonly stays?: boolean
}

/** Milliseconds between frames. */
const frameMs = 33
/** Milliseconds without output that are skipped, and what is left of them. */
const idleMs = 2000
const idleLeftMs = 500
/** Milliseconds after which a session that goes on has nothing more to show at the moment. */
const liveMs = 1000
/** Milliseconds that a notice stays. */
const noticeMs = 2500
/** Characters that are shown before anything else is looked at. */
const batch = 64 * 1024
export const speeds = [0.1, 0.25, 0.5, 0.75, 1, 1.5, 2, 3, 4, 6, 8, 12, 16, 32, 64] as const

export class Player {
  readonly #options: PlayerOptions
  readonly #env: PlayClock
  readonly #screen: PlayScreen
  readonly #actions: PlayerAction[] = []
  #wake = Promise.withResolvers<void>()
  #reading = new AbortController()
  #entries: AsyncIterator<CastEntry> | undefined
  /** The entry that comes next; `done` when there is none. */
  #head: CastEntry | 'done' | undefined
  #coming: Promise<void> | undefined
  #failure: unknown
  #signal: AbortSignal | undefined
  /** A keyframe counts before anything was shown. */
  #fresh = true
  /** One that waits for the size of its screen, which follows it. */
  #keyframe: string | undefined
  #positionMs = 0
  /** When the position was true. */
  #since = 0
  #paused = false
  #seeking = false
  #speed: number
  #skipIdle: boolean
  #statusOn = false
  #help = false
  #noticeUntil = 0
  #note: string | undefined
  #paintedAt = Number.NEGATIVE_INFINITY

  constructor(options: PlayerOptions) {
    this.#options = options
    this.#env = options.env
    this.#speed = options.speed
    this.#skipIdle = options.skipIdle
    this.#screen = options.screen
  }

  press(action: PlayerAction): void {
    this.#actions.push(action)
    this.#wake.resolve()
  }

  /** What the viewer sees changed by something else. */
  repaint(): void {
    this.#paintedAt = Number.NEGATIVE_INFINITY
    this.#wake.resolve()
  }

  /** Resolves at the end of the recording or when the viewer quits. Throws what reading throws, and the signal's reason. */
  async run(signal: AbortSignal): Promise<'ended' | 'quit'> {
    const wake = () => this.#wake.resolve()
    this.#signal = signal
    signal.addEventListener('abort', wake, { once: true })
    try {
      await this.#seek(this.#options.atMs)
      for (;;) {
        signal.throwIfAborted()
        if (await this.#obey()) return 'quit'
        const ended = await this.#step()
        if (ended) return 'ended'
      }
    } finally {
      signal.removeEventListener('abort', wake)
      this.#reading.abort(new Error('the player has ended'))
    }
  }

  /** Carries out what was typed. True when it was to quit. */
  async #obey(): Promise<boolean> {
    this.#wake = Promise.withResolvers()
    for (let action = this.#actions.shift(); action !== undefined; action = this.#actions.shift()) {
      if (this.#help && action.type !== 'quit') {
        this.#help = false
        this.#since = this.#env.monotonicMs()
        continue
      }
      this.#settle()
      this.#noticeUntil = this.#env.monotonicMs() + noticeMs
      this.#paintedAt = Number.NEGATIVE_INFINITY
      switch (action.type) {
        case 'quit':
          return true
        case 'pause':
          // From the end on there is nothing to show but all of it again.
          if (this.#options.stays === true && this.#paused && this.#next() === 'done') await this.#seek(0)
          this.#paused = !this.#paused
          break
        case 'idle':
          this.#skipIdle = !this.#skipIdle
          break
        case 'status':
          this.#statusOn = !this.#statusOn
          if (!this.#statusOn) this.#noticeUntil = 0
          break
        case 'help':
          this.#help = true
          break
        case 'faster':
          this.#speed = speeds.find((speed) => speed > this.#speed) ?? this.#speed
          break
        case 'slower':
          this.#speed = speeds.findLast((speed) => speed < this.#speed) ?? this.#speed
          break
        case 'step':
          await this.#single()
          break
        case 'seek':
          await this.#seek(this.#positionMs + action.by)
          break
        case 'to':
          await this.#seek(action.atMs)
          break
        case 'speed':
          this.#speed = action.speed
          break
        case 'start':
          await this.#seek(0)
          break
        case 'end':
          await this.#seek(Number.POSITIVE_INFINITY)
          break
        default:
          action satisfies never
      }
    }
    return false
  }

  /** Waits, or shows what is due. True at the end. */
  async #step(): Promise<boolean> {
    await this.#fetchSoon()
    if (this.#paused || this.#help) {
      await this.#paint()
      await this.#wake.promise
      return false
    }
    const head = this.#next()
    if (head === undefined) {
      await this.#paint()
      await Promise.race([this.#fetch(), this.#wake.promise])
      return false
    }
    if (head === 'done') {
      this.#noticeUntil = 0
      if (this.#options.stays === true) {
        this.#positionMs = this.#options.source.durationMs()
        this.#paused = true
        return false
      }
      await this.#paint()
      return true
    }
    const now = this.#env.monotonicMs()
    let position = this.#position(now)
    if (this.#skipIdle && head.atMs - position > idleMs) {
      this.#positionMs = position = head.atMs - idleLeftMs
      this.#since = now
    }
    if (head.atMs > position) {
      await this.#paint()
      const wait = Math.min((head.atMs - position) / this.#speed, this.#noticed(now) ? 200 : 1000)
      await this.#sleep(wait)
      return false
    }
    await this.#show(position)
    if (this.#env.monotonicMs() - this.#paintedAt >= frameMs) await this.#paint()
    return false
  }

  /** Shows entries up to that time, at most one batch, as far as they are here without waiting long. */
  async #show(untilMs: number): Promise<void> {
    let text = ''
    const flush = async () => {
      if (text.length > 0) await this.#screen.write(text)
      text = ''
    }
    while (text.length < batch) {
      await this.#fetchSoon()
      const head = this.#next()
      if (head === undefined || head === 'done' || head.atMs > untilMs) break
      this.#head = undefined
      if (head.type === 'output') {
        await this.#applyKeyframe()
        text += head.text
        this.#fresh = false
      } else {
        await flush()
        await this.#other(head)
      }
    }
    await flush()
  }

  async #other(entry: CastEntry): Promise<void> {
    if (entry.type === 'resize') {
      this.#screen.resize(entry.columns, entry.rows)
      await this.#applyKeyframe()
    } else if (entry.type === 'keyframe') {
      if (this.#fresh) this.#keyframe = entry.text
    } else if (!this.#seeking) {
      this.#note = entry.text
      this.#noticeUntil = this.#env.monotonicMs() + noticeMs
    }
  }

  async #applyKeyframe(): Promise<void> {
    const text = this.#keyframe
    this.#keyframe = undefined
    if (text === undefined) return
    this.#screen.reset()
    await this.#screen.write(text)
  }

  /** Goes to that time, which is kept within the recording. A key that is pressed meanwhile ends it where it is. */
  async #seek(atMs: number): Promise<void> {
    const { source } = this.#options
    if (atMs > source.durationMs()) await source.settled()
    const target = Math.max(0, Math.min(atMs, source.durationMs()))
    this.#reading.abort(new Error('another part is read'))
    this.#reading = new AbortController()
    this.#entries = source.from(target, this.#reading.signal)[Symbol.asyncIterator]()
    this.#head = undefined
    this.#coming = undefined
    this.#fresh = true
    this.#keyframe = undefined
    this.#screen.reset()
    this.#screen.resize(source.header.columns, source.header.rows)
    this.#seeking = true
    this.#note = undefined
    this.#positionMs = target
    const begun = this.#env.monotonicMs()
    for (;;) {
      // Of a session that goes on there may be no more now.
      if (source.growing()) await this.#sleep(liveMs, this.#fetch())
      else await Promise.race([this.#fetch(), this.#wake.promise])
      // The wake-up is used up, or waiting would not wait any more.
      this.#wake = Promise.withResolvers()
      const head = this.#next()
      if (head === undefined && source.growing()) break
      if (head === 'done' || (head !== undefined && head.atMs > target)) break
      if (this.#actions.length > 0 || this.#signal?.aborted === true) break
      if (head !== undefined) await this.#show(target)
      if (this.#env.monotonicMs() - begun > 300) await this.#paint()
    }
    await this.#applyKeyframe()
    this.#seeking = false
    this.#since = this.#env.monotonicMs()
    // At the end it waits, so that the viewer can go back again.
    if (this.#next() === 'done' && target > 0) this.#paused = true
  }

  /** The next entry with output, and all others of the same moment. */
  async #single(): Promise<void> {
    if (!this.#paused) return
    for (let shown = false; !shown; ) {
      await this.#fetch()
      const head = this.#next()
      if (head === undefined || head === 'done') return
      shown = head.type === 'output'
      this.#positionMs = Math.max(this.#positionMs, head.atMs)
      await this.#show(head.atMs)
    }
  }

  /** Makes `#head` the next entry. Never rejects: `#next` throws. */
  #fetch(): Promise<void> {
    const entries = this.#entries
    if (this.#head !== undefined || entries === undefined) return Promise.resolve()
    this.#coming ??= entries.next().then(
      (next) => {
        if (this.#entries !== entries) return
        this.#head = next.done === true ? 'done' : next.value
        this.#coming = undefined
      },
      (error: unknown) => {
        if (this.#entries === entries) this.#failure = error
      },
    )
    return this.#coming
  }

  /** Makes `#head` the next entry if it is here; what has to be waited for must not keep back what is due. */
  async #fetchSoon(): Promise<void> {
    if (this.#head === undefined) await Promise.race([this.#fetch(), this.#options.turn()])
  }

  /** The next entry as far as it is known. Throws what reading it threw. */
  #next(): CastEntry | 'done' | undefined {
    if (this.#failure !== undefined) throw this.#failure
    return this.#head
  }

  /** Where playing has come to. */
  #position(now: number): number {
    return this.#paused || this.#help ? this.#positionMs : this.#positionMs + (now - this.#since) * this.#speed
  }

  /** The position is measured from now on: something that determines it changes. */
  #settle(): void {
    const now = this.#env.monotonicMs()
    this.#positionMs = this.#position(now)
    this.#since = now
  }

  #noticed(now: number): boolean {
    return this.#statusOn || now < this.#noticeUntil
  }

  /** Waits that long, or for a key, or for something else. */
  async #sleep(ms: number, other: Promise<void> = this.#wake.promise): Promise<void> {
    const over = new AbortController()
    await Promise.race([this.#env.sleep(ms, over.signal).catch(() => undefined), this.#wake.promise, other])
    over.abort()
  }

  async #paint(): Promise<void> {
    const now = this.#env.monotonicMs()
    this.#paintedAt = now
    await this.#options.paint(this.#state(now))
  }

  #state(now: number): PlayerState {
    const { source } = this.#options
    const noticed = this.#paused || this.#seeking || this.#help || this.#noticed(now)
    if (!noticed) this.#note = undefined
    const atEnd = this.#paused && this.#head === 'done'
    const state = this.#seeking ? 'seeking' : atEnd ? 'at the end' : this.#paused || this.#help ? 'paused' : 'playing'
    const durationMs = source.durationMs()
    const positionMs = Math.min(durationMs, this.#position(now))
    const [speed, skipIdle, note, help] = [this.#speed, this.#skipIdle, this.#note, this.#help]
    return { positionMs, durationMs, state, speed, skipIdle, note, noticed, help }
  }
}
