/** One write of a channel on its way through window and packet limit: parts of the caller's memory, not copied here. */

export type WriteDone = (error?: Error | null) => void

export class OutboundWrite {
  #parts: readonly Buffer[] = []
  #index = 0
  #offset = 0
  #left = 0
  #done: WriteDone | undefined

  /** True while a write is not finished. */
  get busy(): boolean {
    return this.#done !== undefined
  }

  get left(): number {
    return this.#left
  }

  load(parts: readonly Buffer[], done: WriteDone): void {
    this.#parts = parts
    this.#index = 0
    this.#offset = 0
    this.#left = parts.reduce((sum, part) => sum + part.length, 0)
    this.#done = done
  }

  /** The next `size` bytes as views; at most `left`. */
  take(size: number): Buffer[] {
    const views: Buffer[] = []
    let wanted = size
    while (wanted > 0) {
      const part = this.#parts[this.#index]
      if (part === undefined) break
      const end = Math.min(part.length, this.#offset + wanted)
      if (end > this.#offset)
        views.push(this.#offset === 0 && end === part.length ? part : part.subarray(this.#offset, end))
      wanted -= end - this.#offset
      if (end === part.length) {
        this.#index++
        this.#offset = 0
      } else {
        this.#offset = end
      }
    }
    this.#left -= size - wanted
    return views
  }

  finish(error?: Error): void {
    const done = this.#done
    this.#done = undefined
    this.#parts = []
    this.#left = 0
    if (error === undefined) done?.()
    else done?.(error)
  }
}
