/** Work that must not pile up: so many at a time, so many waiting, and one at a time for each key. */

import { LimitExceeded } from '../errors/errors.ts'

export class WorkQueue {
  readonly #running: number
  readonly #waiting: number
  readonly #queue: (() => void)[] = []
  #busy = 0

  /** At most `running` at a time and `waiting` in line. */
  constructor(limits: { readonly running: number; readonly waiting: number }) {
    this.#running = limits.running
    this.#waiting = limits.waiting
  }

  /** Throws LimitExceeded when the line is full. */
  async run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#busy >= this.#running) {
      if (this.#queue.length >= this.#waiting)
        throw new LimitExceeded('the auth service is busy; try again in a moment')
      await new Promise<void>((resolve) => this.#queue.push(resolve))
    } else {
      this.#busy++
    }
    try {
      return await work()
    } finally {
      // The place goes to the next in line, so that nobody who comes now gets in between.
      const next = this.#queue.shift()
      if (next === undefined) this.#busy--
      else next()
    }
  }

  get idle(): boolean {
    return this.#busy === 0
  }
}

export class KeyedQueue {
  readonly #queues = new Map<string, WorkQueue>()
  readonly #waiting: number

  constructor(waiting: number) {
    this.#waiting = waiting
  }

  async run<T>(key: string, work: () => Promise<T>): Promise<T> {
    const queue = this.#queues.get(key) ?? new WorkQueue({ running: 1, waiting: this.#waiting })
    this.#queues.set(key, queue)
    try {
      return await queue.run(work)
    } finally {
      if (queue.idle) this.#queues.delete(key)
    }
  }
}
