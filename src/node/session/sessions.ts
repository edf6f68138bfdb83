/** The sessions that are open now, by id. Later others can join one by its id, so the id is a UUID of its own. */

import type { NodeConnection } from '../context.ts'

export interface ActiveSession {
  readonly id: string
  readonly user: string
  readonly login: string
  readonly started: Date
  readonly interactive: boolean
  /** Undefined for a login shell. */
  readonly command: string | undefined
  readonly connection: NodeConnection
  /** Says why on the session's terminal or standard error, then hangs up. */
  terminate(message: string): void
}

export class Sessions {
  readonly #active = new Map<string, ActiveSession>()

  add(session: ActiveSession): void {
    this.#active.set(session.id, session)
  }

  remove(id: string): void {
    this.#active.delete(id)
  }

  get(id: string): ActiveSession | undefined {
    return this.#active.get(id)
  }

  get count(): number {
    return this.#active.size
  }

  list(): readonly ActiveSession[] {
    return [...this.#active.values()]
  }

  of(connection: NodeConnection): readonly ActiveSession[] {
    return this.list().filter((session) => session.connection === connection)
  }
}
