/** The sessions that are open now, by id: for joining, for the cluster's listing, and for ending them. */

import type { SessionOwner } from '../../access/join.ts'
import type { PartyMode } from '../../audit/events.ts'
import type { Env } from '../../common/env.ts'
import type { ServerSession } from '../../ssh/connection/types.ts'
import type { NodeConnection } from '../context.ts'

export interface PartyStatus {
  readonly id: string
  readonly user: string
  readonly mode: PartyMode
  /** `host:port` of the client. */
  readonly address: string
  readonly joined: Date
}

export interface SessionStatus {
  readonly columns: number
  readonly rows: number
  readonly state: 'running' | 'waiting' | 'paused' | 'detached'
  readonly detachedUntil?: Date | undefined
  readonly parties: readonly PartyStatus[]
  /** Monotonic milliseconds. */
  readonly lastActive: number
}

/** A session on a terminal: one to which people can come. Who may is decided before. */
export interface JoinableSession {
  readonly user: string
  readonly login: string
  /** For the rules about joining. */
  readonly owner: SessionOwner
  /** Throws LimitExceeded when too many are there, NotFound when the session ends just now, and why the event cannot be kept. */
  join(session: ServerSession, connection: NodeConnection, mode: PartyMode): Promise<void>
  /** The owner comes back, from a lost connection or from another one. */
  attach(session: ServerSession, connection: NodeConnection): Promise<void>
  /** By a moderator. */
  control(action: 'pause' | 'resume' | 'end', connection: NodeConnection): Promise<void>
}

export interface ActiveSession {
  readonly id: string
  readonly user: string
  readonly login: string
  readonly started: Date
  readonly interactive: boolean
  /** Undefined for a login shell. */
  readonly command: string | undefined
  /** Of its owner; the last one while the session is detached. */
  readonly connection: NodeConnection
  /** Undefined for a session without a terminal: nobody can join it. */
  readonly live: JoinableSession | undefined
  status(): SessionStatus
  /** Says why on the session's terminal or standard error, then hangs up. */
  terminate(message: string): void
  /** The node is about to end this connection: what it owns ends with the reason, who joined through it leaves with the reason. */
  connectionEnds(connection: NodeConnection, reason: string): void
}

/** Milliseconds that sessions have for their ends, when the node stops. */
const endMs = 1000

export class Sessions {
  readonly #active = new Map<string, ActiveSession>()
  readonly #listeners = new Set<() => void>()

  add(session: ActiveSession): void {
    this.#active.set(session.id, session)
    this.changed()
  }

  remove(id: string): void {
    if (this.#active.delete(id)) this.changed()
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

  /** Ends those whose connection is gone already and which wait for their owner. Resolves soon, with or without them. */
  async endAll(reason: string, env: Env): Promise<void> {
    for (const session of this.list()) session.terminate(reason)
    const until = env.monotonicMs() + endMs
    while (this.count > 0 && env.monotonicMs() < until) await env.sleep(10)
  }

  /** Something that a listing shows is different now. */
  changed(): void {
    for (const listener of this.#listeners) listener()
  }

  onChange(listener: () => void): () => void {
    this.#listeners.add(listener)
    return () => void this.#listeners.delete(listener)
  }
}
