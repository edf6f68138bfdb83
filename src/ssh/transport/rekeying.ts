/** The renewal of keys on one connection: when we begin one, how long it may take, who waits for it, and when the peer asks too often. */

import type { Env } from '../../common/env.ts'
import { DisconnectReason } from './messages.ts'
import { ProtocolProblem } from './problem.ts'
import { type KeyUse, RekeyPolicy } from './rekey-policy.ts'
import { after } from './timers.ts'
import type { Limits } from './types.ts'

export interface RekeyingHost {
  readonly env: Env
  readonly limits: Limits
  /** Bytes of the connection so far, both directions. */
  bytes(): number
  /** A key exchange is under way. */
  running(): boolean
  /** Sends our KEXINIT. */
  begin(): void
  fail(error: Error): void
}

export class Rekeying {
  readonly #host: RekeyingHost
  readonly #policy: RekeyPolicy
  #weStarted = false
  #bytesBefore = 0
  #waiters: PromiseWithResolvers<void>[] = []
  #cancelTimer: () => void = () => undefined

  constructor(host: RekeyingHost) {
    this.#host = host
    this.#policy = new RekeyPolicy(host.limits, host.env.monotonicMs())
  }

  /** Resolves when there are new keys; rejects when the connection ends before. */
  request(): Promise<void> {
    const waiter = Promise.withResolvers<void>()
    this.#waiters.push(waiter)
    this.#start()
    return waiter.promise
  }

  /** Begins when a key has been used enough. */
  startIfDue(use: KeyUse): void {
    if (!this.#host.running() && this.#policy.due(use, this.#host.env.monotonicMs())) this.#start()
  }

  /** The peer's KEXINIT has come, after the first exchange. Throws ProtocolProblem when it comes too often. */
  peerBegins(): void {
    if (this.#weStarted || this.#host.running()) return
    if (this.#policy.isFlood(this.#host.bytes() - this.#bytesBefore, this.#host.env.monotonicMs())) {
      throw new ProtocolProblem(DisconnectReason.PROTOCOL_ERROR, 'too many key exchanges')
    }
    this.#watch()
  }

  finished(): void {
    this.#cancelTimer()
    this.#weStarted = false
    this.#bytesBefore = this.#host.bytes()
    this.#policy.done(this.#host.env.monotonicMs())
    const waiters = this.#waiters
    this.#waiters = []
    for (const waiter of waiters) waiter.resolve()
  }

  /** The connection is over. */
  close(reason: Error): void {
    this.#cancelTimer()
    for (const waiter of this.#waiters) waiter.reject(reason)
    this.#waiters = []
  }

  #start(): void {
    if (this.#host.running()) return
    this.#weStarted = true
    this.#watch()
    this.#host.begin()
  }

  #watch(): void {
    this.#cancelTimer()
    this.#cancelTimer = after(this.#host.env, this.#host.limits.rekeyTimeoutMs, () =>
      this.#host.fail(new ProtocolProblem(DisconnectReason.KEY_EXCHANGE_FAILED, 'the key exchange took too long')),
    )
  }
}
