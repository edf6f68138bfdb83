/** When keys are renewed, and when a peer renews them so often that it is an attack on our processor. */

import type { Limits } from './types.ts'

/** Sequence numbers have 32 bits and must not repeat with one key (RFC 4344 section 3.1); half of that leaves room to finish. */
const MAX_PACKETS = 2 ** 31
/** Exchanges by the peer with hardly any data since the one before, and the time in which that many are too many, milliseconds. */
const MAX_IDLE_REKEYS = 10
const IDLE_REKEY_WINDOW_MS = 60_000
/** Bytes in both directions that make an exchange worth its cost. OpenSSH's smallest sensible RekeyLimit is far above. */
const WORTHWHILE_BYTES = 64 * 1024

export interface KeyUse {
  readonly bytesWithKey: number
  readonly packetsWithKey: number
}

export class RekeyPolicy {
  readonly #limits: Limits
  #lastMs: number
  #idleRekeys: number[] = []

  constructor(limits: Limits, nowMs: number) {
    this.#limits = limits
    this.#lastMs = nowMs
  }

  due(use: KeyUse, nowMs: number): boolean {
    return (
      use.bytesWithKey >= this.#limits.rekeyBytes ||
      use.packetsWithKey >= MAX_PACKETS ||
      nowMs - this.#lastMs >= this.#limits.rekeyMs
    )
  }

  done(nowMs: number): void {
    this.#lastMs = nowMs
  }

  /** Tells of a KEXINIT that the peer sent by itself. True: that is a flood. */
  isFlood(bytesSinceLast: number, nowMs: number): boolean {
    if (bytesSinceLast >= WORTHWHILE_BYTES) return false
    this.#idleRekeys = this.#idleRekeys.filter((at) => nowMs - at < IDLE_REKEY_WINDOW_MS)
    this.#idleRekeys.push(nowMs)
    return this.#idleRekeys.length > MAX_IDLE_REKEYS
  }
}
