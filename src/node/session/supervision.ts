/** Who must be there before a session begins and while it runs, and the pauses of its moderators. */

import { type Moderation, type PresentParty, whenMissing, whoIsMissing } from '../../access/join.ts'

export interface SupervisionHost {
  readonly sid: string
  /** Everybody but the owner. */
  present(): readonly PresentParty[]
  tellAll(message: string): void
  /** Output stops or goes on. */
  paused(is: boolean): void
  terminate(message: string): void
  /** A listing shows something else now. */
  changed(): void
}

type PauseReason = 'moderator' | 'missing'

export class Supervision {
  readonly #moderation: Moderation | undefined
  readonly #host: SupervisionHost
  readonly #pauses = new Set<PauseReason>()
  #waiting: (() => void) | undefined

  /** `moderation` as the roles of the owner demand it; undefined: nobody has to be there. */
  constructor(moderation: Moderation | undefined, host: SupervisionHost) {
    this.#moderation = moderation
    this.#host = host
  }

  /** The program has not begun, since somebody is missing. */
  get isWaiting(): boolean {
    return this.#waiting !== undefined
  }

  get isPaused(): boolean {
    return this.#pauses.size > 0
  }

  get missing(): string | undefined {
    return this.#moderation === undefined ? undefined : whoIsMissing(this.#moderation, this.#host.present())
  }

  /** For one who comes: what else there is to know. */
  get hint(): string {
    if (this.isWaiting) return this.missing === undefined ? '' : `; it waits for ${this.missing}`
    return this.isPaused ? '; it is paused' : ''
  }

  /** Resolves when all are there, or after `stopWaiting`. */
  async allPresent(missing: string): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#waiting = resolve
    this.#host.tellAll(
      `[teleport] this session begins when those are present who must be: ${missing}\r\n` +
        `They join with: tsh join ${this.#host.sid} --mode=moderator\r\nPress Ctrl-C to give up.`,
    )
    this.#host.changed()
    await promise
    this.#waiting = undefined
    this.#host.changed()
  }

  stopWaiting(): void {
    this.#waiting?.()
  }

  /** Somebody came or went, or roles have changed. */
  review(isRunning: boolean): void {
    if (this.#moderation === undefined) return
    const { missing } = this
    if (this.#waiting !== undefined) {
      if (missing === undefined) this.#waiting()
      return
    }
    if (!isRunning) return
    if (missing === undefined) this.resume('missing', '[teleport] the session goes on')
    else if (whenMissing(this.#moderation, this.#host.present()) === 'terminate') {
      this.#host.terminate(`[teleport] the session ends, since it needs ${missing}`)
    } else this.pause('missing', `[teleport] the session is paused until it has ${missing}`)
  }

  pause(reason: PauseReason, message: string): void {
    if (this.#pauses.has(reason)) return
    this.#pauses.add(reason)
    this.#host.paused(true)
    this.#host.tellAll(message)
    this.#host.changed()
  }

  resume(reason: PauseReason, message: string): void {
    if (!this.#pauses.delete(reason)) return
    if (this.#pauses.size === 0) this.#host.paused(false)
    this.#host.tellAll(message)
    this.#host.changed()
  }
}
