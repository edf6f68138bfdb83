/** Whether much comes in at this moment: then what may wait does, until it is over. */

export interface RushOptions {
  /** Milliseconds. */
  readonly window: number
  /** What comes within a window is a rush from so much on. */
  readonly from: number
}

export class Rush {
  readonly #options: RushOptions
  #window = Number.NEGATIVE_INFINITY
  #amount = 0
  #before = 0

  constructor(options: RushOptions) {
    this.#options = options
  }

  add(amount: number, nowMs: number): void {
    this.#turn(nowMs)
    this.#amount += amount
  }

  /** In this window or the one before it: one that has just begun says nothing. */
  now(nowMs: number): boolean {
    this.#turn(nowMs)
    return Math.max(this.#amount, this.#before) >= this.#options.from
  }

  #turn(nowMs: number): void {
    const window = Math.floor(nowMs / this.#options.window)
    if (window === this.#window) return
    this.#before = window === this.#window + 1 ? this.#amount : 0
    this.#amount = 0
    this.#window = window
  }
}
