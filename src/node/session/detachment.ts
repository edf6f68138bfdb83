/** The time that a session waits for its owner after a lost connection. */

import { record } from '../node-events.ts'
import type { SessionFacts } from './facts.ts'
import { sessionFields } from './trail.ts'

export class Detachment {
  readonly #facts: SessionFacts
  readonly #expired: () => void
  #present: { readonly until: Date; readonly back: AbortController } | undefined

  /** `expired` is called when nobody came back. */
  constructor(facts: SessionFacts, expired: () => void) {
    this.#facts = facts
    this.#expired = expired
  }

  /** Undefined: the session is not detached. */
  get until(): Date | undefined {
    return this.#present?.until
  }

  /** Milliseconds by the cluster's setting; 0: a lost connection ends the session. */
  get keepMs(): number {
    return this.#facts.node.state.config.sessionDetachTimeout * 1000
  }

  begin(): void {
    const { env } = this.#facts.node
    const { keepMs } = this
    const until = new Date(env.now().getTime() + keepMs)
    const back = new AbortController()
    this.#present = { until, back }
    record(this.#facts.node, { event: 'session.detach', ...sessionFields(this.#facts), until: until.toISOString() })
    env
      .sleep(keepMs, back.signal)
      .then(this.#expired)
      .catch(() => {})
  }

  end(): void {
    this.#present?.back.abort()
    this.#present = undefined
  }
}
