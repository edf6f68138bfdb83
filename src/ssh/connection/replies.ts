/**
 * Requests and their answers carry no number: they are matched by order alone (RFC 4254 sections 4 and 5.4). `ReplyQueue` is the
 * asking side, `AnswerQueue` the answering one. Both are bounded, so that neither side's patience becomes memory.
 */

import { LimitExceeded } from '../../errors/errors.ts'

/** Answers we wait for. */
export class ReplyQueue<Answer = boolean> {
  readonly #limit: number
  #waiting: ((answer: Answer | false) => void)[] | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  /** Call before sending the request; `full` means: do not send it. */
  expect(): Promise<Answer | false> | 'full' {
    this.#waiting ??= []
    const waiting = this.#waiting
    if (waiting.length >= this.#limit) return 'full'
    return new Promise((resolve) => waiting.push(resolve))
  }

  refusal(): Promise<never> {
    return Promise.reject(new LimitExceeded(`more than ${this.#limit} requests are waiting for an answer`))
  }

  /** An answer arrived. One that nobody waits for is ignored, as OpenSSH does: it is harmless and some peers send it. */
  settle(answer: Answer | false): void {
    this.#waiting?.shift()?.(answer)
  }

  closeAll(): void {
    const waiting = this.#waiting
    this.#waiting = undefined
    for (const resolve of waiting ?? []) resolve(false)
  }
}

/** Answers we owe: they leave in the order of the requests, however the work behind them finishes. */
export class AnswerQueue {
  readonly #limit: number
  #slots: { send: (() => void) | undefined }[] = []

  constructor(limit: number) {
    this.#limit = limit
  }

  /** A place in the queue, or undefined when the peer has asked too much at once. */
  reserve(): ((send: () => void) => void) | undefined {
    if (this.#slots.length >= this.#limit) return undefined
    const slot: { send: (() => void) | undefined } = { send: undefined }
    this.#slots.push(slot)
    return (send) => {
      slot.send ??= send
      this.#flush()
    }
  }

  #flush(): void {
    for (;;) {
      const send = this.#slots[0]?.send
      if (send === undefined) return
      this.#slots.shift()
      send()
    }
  }
}
