/**
 * Events of files on their way to the disk: in order, several in one go, and never more than a bounded number. Who makes them looks
 * at `isFull` before it lets more through, so a flood of requests is slowed down to what the audit log takes.
 */

import { type AuditEvent, type EventInput, type EventName, newEvent } from '../../audit/events.ts'
import { LimitExceeded } from '../../errors/errors.ts'
import type { NodeContext } from '../context.ts'

/** Events that wait before streams stop. */
const maxWaiting = 256
/**
 * The spool gives such events half of its room, so that nobody fills it with them and keeps others from working. While that half is
 * full the session stands still, for as long.
 */
const patienceMs = 30_000
const retryMs = 200

export class EventQueue {
  readonly #node: NodeContext
  readonly #onFailure: (error: unknown) => void
  #waiting: { readonly event: AuditEvent; readonly kept: (() => void) | undefined }[] = []
  #writing: Promise<void> | undefined
  #failed = false
  #onRoom: (() => void)[] = []

  /** `onFailure`: called once when events cannot be kept; what they report must not go on. */
  constructor(node: NodeContext, onFailure: (error: unknown) => void) {
    this.#node = node
    this.#onFailure = onFailure
  }

  get isFull(): boolean {
    return this.#waiting.length >= maxWaiting || this.#failed
  }

  /** `kept` is called once it is on the disk. */
  push<Name extends EventName>(input: EventInput<Name>, uid?: string, kept?: () => void): void {
    if (this.#failed) return
    const event: unknown = newEvent(this.#node.env, input, uid)
    this.#waiting.push({ event: event as AuditEvent, kept })
    this.#writing ??= this.#write()
  }

  /** Calls back, perhaps at once, when there is room; never after events could not be kept. */
  whenRoom(callback: () => void): void {
    if (this.#failed) return
    if (this.isFull) this.#onRoom.push(callback)
    else callback()
  }

  /** Resolves when everything pushed so far is on the disk, or could not be kept. */
  async settled(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing
  }

  async #write(): Promise<void> {
    try {
      // Whatever this turn of the event loop still brings goes along.
      await new Promise((resolve) => setImmediate(resolve))
      while (this.#waiting.length > 0) {
        const batch = this.#waiting
        this.#waiting = []
        await this.#keep(batch.map(({ event }) => event))
        for (const { kept } of batch) kept?.()
        const callbacks = this.#onRoom
        this.#onRoom = []
        for (const callback of callbacks) callback()
      }
    } catch (error) {
      this.#failed = true
      this.#waiting = []
      this.#onFailure(error)
    } finally {
      this.#writing = undefined
    }
  }

  async #keep(batch: readonly AuditEvent[]): Promise<void> {
    const { env } = this.#node
    const giveUp = env.monotonicMs() + patienceMs
    for (;;) {
      try {
        await this.#node.audit(batch)
        return
      } catch (error) {
        if (!(error instanceof LimitExceeded) || env.monotonicMs() >= giveUp) throw error
        await env.sleep(retryMs)
      }
    }
  }
}
