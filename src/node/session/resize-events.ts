/** `resize` events: a window that is dragged changes a hundred times; what counts for the log is where it ends. */

import type { TerminalSize } from '../../ssh/connection/types.ts'
import { record } from '../node-events.ts'
import type { SessionFacts } from './facts.ts'
import { sessionFields } from './trail.ts'

/** At most one event in so many milliseconds. */
const intervalMs = 1000

export class ResizeEvents {
  readonly #facts: SessionFacts
  #latest: TerminalSize | undefined
  #waiting = false

  constructor(facts: SessionFacts) {
    this.#facts = facts
  }

  changed(size: TerminalSize): void {
    this.#latest = size
    if (this.#waiting) return
    this.#waiting = true
    void this.#facts.node.env.sleep(intervalMs).then(() => {
      this.#waiting = false
      this.flush()
    })
  }

  /** Records what is not recorded yet. */
  flush(): void {
    const size = this.#latest
    this.#latest = undefined
    if (size === undefined) return
    record(this.#facts.node, {
      event: 'resize',
      ...sessionFields(this.#facts),
      size: `${size.columns}:${size.rows}`,
    })
  }
}
