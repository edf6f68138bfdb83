/** Small files are copied side by side, since each waits for round trips; a large one has the connection to itself. */

export class Slots {
  #free: number
  readonly #capacity: number
  readonly #queue: { readonly weight: number; start(): void }[] = []

  constructor(capacity: number) {
    this.#free = this.#capacity = capacity
  }

  /** Waits for its turn, first come first served. Returns what gives the places back. */
  async take(wanted: number): Promise<() => void> {
    const weight = Math.min(Math.max(1, wanted), this.#capacity)
    if (this.#queue.length > 0 || this.#free < weight) {
      await new Promise<void>((resolve) => this.#queue.push({ weight, start: resolve }))
    } else this.#free -= weight
    return () => {
      this.#free += weight
      this.#startNext()
    }
  }

  /** Waits until nobody holds a place. */
  async idle(): Promise<void> {
    const release = await this.take(this.#capacity)
    release()
  }

  #startNext(): void {
    for (let next = this.#queue[0]; next !== undefined && next.weight <= this.#free; next = this.#queue[0]) {
      this.#queue.shift()
      this.#free -= next.weight
      next.start()
    }
  }
}
