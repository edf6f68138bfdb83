/**
 * From the terminal to the recording and to everybody who looks. The owner slows the program down, as under `ssh`; one who joined
 * has a bounded queue and is dropped when it is full.
 */

import type { Readable } from 'node:stream'
import type { Env } from '../../common/env.ts'
import { messageOf } from '../../errors/system.ts'
import { maxBehind, type Party } from './party.ts'
import type { SessionRecording } from './recording.ts'
import { streamEnd } from './streams.ts'

/** Bytes that may wait for `node-sync` before more is read. */
const maxUnconfirmed = 1024 * 1024
/** Milliseconds that a joiner waits for the recorder's picture of the screen. */
const screenMs = 5000

export interface OutputOptions {
  readonly env: Env
  readonly parties: () => Iterable<Party>
  /** A party that does not read. */
  dropped(party: Party): void
  /** What is not recorded must not be shown: the session has to end. */
  failed(reason: string): void
}

type HoldReason = 'owner' | 'recording' | 'pause'

export class SessionOutput {
  readonly #options: OutputOptions
  readonly #holds = new Set<HoldReason>()
  #source: Readable | undefined
  #recording: SessionRecording | undefined
  /** Pieces read so far. */
  #count = 0
  #unconfirmed = 0
  /** Settles when everything read so far has been shown. */
  #shown: Promise<void> = Promise.resolve()
  #failed = false
  /** Bytes that the program printed. */
  bytes = 0
  /** Monotonic milliseconds. */
  lastActive: number

  constructor(options: OutputOptions) {
    this.#options = options
    this.lastActive = options.env.monotonicMs()
  }

  /** The number of the next piece. */
  get next(): number {
    return this.#count
  }

  record(recording: SessionRecording | undefined): void {
    this.#recording = recording
  }

  /** Resolves when the program's last byte has been given to everybody. */
  async carry(source: Readable): Promise<void> {
    this.#source = source
    source.on('data', (data: Buffer) => this.#onData(data))
    if (this.#holds.size > 0) source.pause()
    await streamEnd(source)
    await this.#shown
  }

  hold(reason: HoldReason): void {
    this.#holds.add(reason)
    this.#source?.pause()
  }

  release(reason: HoldReason): void {
    if (this.#holds.delete(reason) && this.#holds.size === 0) this.#source?.resume()
  }

  /** The screen as everybody else sees it at this moment; empty when nobody knows. */
  async screen(): Promise<string> {
    const tap = this.#recording?.tap
    if (tap === undefined) return ''
    const { env } = this.#options
    const shown = this.#shown
    try {
      const state = await Promise.race([tap.screen(), env.sleep(screenMs).then(() => undefined)])
      await shown
      return state?.data ?? ''
    } catch {
      return ''
    }
  }

  #onData(data: Buffer): void {
    const { env } = this.#options
    this.bytes += data.length
    this.lastActive = env.monotonicMs()
    const number = this.#count++
    const wait = this.#recording?.tap.output(data)
    if (this.#recording?.mode === 'node-sync') this.#showLater(data, number, wait)
    else {
      this.#show(data, number)
      if (wait !== undefined) this.#readLater(wait)
    }
  }

  /** The recorder's disk is behind. */
  #readLater(wait: Promise<void>): void {
    this.hold('recording')
    wait.then(
      () => this.release('recording'),
      (error: unknown) => this.#fail(error),
    )
  }

  #showLater(data: Buffer, number: number, wait: Promise<void> | undefined): void {
    this.#unconfirmed += data.length
    if (this.#unconfirmed > maxUnconfirmed) this.hold('recording')
    const before = this.#shown
    // A rejection is looked at when its turn comes; until then it must not count as unhandled.
    wait?.catch(() => {})
    this.#shown = (async () => {
      await before
      if (this.#failed) return
      try {
        await wait
        this.#show(data, number)
      } catch (error) {
        this.#fail(error)
      } finally {
        this.#unconfirmed -= data.length
        if (this.#unconfirmed <= maxUnconfirmed) this.release('recording')
      }
    })()
  }

  #fail(error: unknown): void {
    this.release('recording')
    if (this.#failed) return
    this.#failed = true
    this.#options.failed(`this session cannot be recorded: ${messageOf(error)}`)
  }

  #show(data: Buffer, number: number): void {
    for (const party of this.#options.parties()) {
      if (party.from > number || party.gone) continue
      const more = party.write(data)
      if (party.isOwner) {
        if (!more) this.#waitFor(party)
      } else if (party.behind > maxBehind) this.#options.dropped(party)
    }
  }

  #waitFor(owner: Party): void {
    if (this.#holds.has('owner')) return
    const { channel } = owner.session
    this.hold('owner')
    const go = (): void => {
      channel.off('drain', go)
      channel.off('close', go)
      this.release('owner')
    }
    channel.on('drain', go)
    channel.on('close', go)
  }
}
