/**
 * The sessions that are open now, as the nodes tell: in memory only, since after a restart every node tells again within half a
 * minute. A node answers for its own sessions and nothing else; a user sees their own and those they may join.
 */

import { joinModes } from '../access/join.ts'
import type { SessionMode } from '../access/types.ts'
import type { Caller } from '../api/caller.ts'
import type { ActiveSessionRecord } from '../api/session-model.ts'
import type { Env } from '../common/env.ts'
import { AccessDenied, BadParameter, LimitExceeded, NotFound } from '../errors/errors.ts'
import type { Hub } from './hub.ts'

/** Milliseconds after which a silent node's sessions are forgotten: three of its reports. */
const silence = 90_000

/** Processes of one node: the present one and those that wait for their last sessions. */
const maxProcesses = 16

interface Report {
  readonly node: string
  /** Monotonic milliseconds. */
  readonly expires: number
  readonly sessions: readonly ActiveSessionRecord[]
}

export type ListedSession = ActiveSessionRecord & { readonly modes: SessionMode[] }

export class ActiveSessions {
  readonly #hub: Pick<Hub, 'user' | 'snapshot'>
  readonly #env: Env
  readonly #reports = new Map<string, Report>()

  constructor(options: { readonly hub: Pick<Hub, 'user' | 'snapshot'>; readonly env: Env }) {
    this.#hub = options.hub
    this.#env = options.env
  }

  /** Everything that is open in a process of the caller's node. Throws AccessDenied for a session of another node. */
  report(caller: Caller, process: string, sessions: readonly ActiveSessionRecord[]): void {
    this.#forgetSilent()
    const known = this.#hub.snapshot.servers.byUuid('node', caller.name, this.#env.now().getTime())
    const key = `${caller.name} ${process}`
    const elsewhere = new Set<string>()
    let processes = 0
    for (const [other, { node, sessions: theirs }] of this.#reports) {
      if (other === key) continue
      if (node === caller.name) processes++
      for (const { sid } of theirs) elsewhere.add(sid)
    }
    if (processes >= maxProcesses) throw new LimitExceeded(`${processes} processes of this node report sessions`)
    for (const { sid, serverId } of sessions) {
      // One who reports a session of somebody else's node would draw its joiners to itself.
      if (serverId !== caller.name || elsewhere.has(sid)) {
        throw new AccessDenied(`the node ${caller.name} reports the session ${sid}, which is not its own`)
      }
    }
    // What a node is called and how it is labelled stands in its certificate and its heartbeat.
    const checked = sessions.map((session) =>
      known === undefined ? session : { ...session, serverHostname: known.hostname, serverLabels: { ...known.labels } },
    )
    if (sessions.length === 0) this.#reports.delete(key)
    else this.#reports.set(key, { node: caller.name, expires: this.#env.monotonicMs() + silence, sessions: checked })
  }

  /** The oldest first. */
  list(
    caller: Caller,
    query: { readonly limit: number; readonly after?: string | undefined },
  ): { items: ListedSession[]; next?: string } {
    this.#forgetSilent()
    const after = query.after === undefined ? '' : decodeCursor(query.after)
    const visible: ListedSession[] = []
    for (const { sessions } of this.#reports.values()) {
      for (const session of sessions) {
        if (placeOf(session) <= after) continue
        const seen = this.#seenBy(caller, session)
        if (seen !== undefined) visible.push(seen)
      }
    }
    visible.sort((a, b) => (placeOf(a) < placeOf(b) ? -1 : 1))
    const items = visible.slice(0, query.limit)
    const last = items.at(-1)
    return visible.length > items.length && last !== undefined
      ? { items, next: encodeCursor(placeOf(last)) }
      : { items }
  }

  /** Throws NotFound, for one that the caller may not see too. */
  get(caller: Caller, sid: string): ListedSession {
    this.#forgetSilent()
    for (const { sessions } of this.#reports.values()) {
      const found = sessions.find((session) => session.sid === sid)
      const seen = found === undefined ? undefined : this.#seenBy(caller, found)
      if (seen !== undefined) return seen
    }
    throw new NotFound(`there is no open session ${sid} that you may join`)
  }

  #seenBy(caller: Caller, session: ActiveSessionRecord): ListedSession | undefined {
    if (caller.role !== 'User') return { ...session, modes: [] }
    if (caller.user === undefined) return undefined
    const owner = { user: session.user, roles: this.#hub.user(session.user)?.roles ?? [] }
    const modes = joinModes(caller.user, owner)
    if (modes.length === 0) return undefined
    return { ...session, modes: session.interactive ? [...modes] : [] }
  }

  #forgetSilent(): void {
    const now = this.#env.monotonicMs()
    for (const [uuid, { expires }] of this.#reports) if (expires <= now) this.#reports.delete(uuid)
  }
}

const placeOf = ({ started, sid }: ActiveSessionRecord): string => `${started} ${sid}`
const encodeCursor = (place: string): string => Buffer.from(place, 'utf8').toString('base64url')

function decodeCursor(cursor: string): string {
  const place = Buffer.from(cursor, 'base64url').toString('utf8')
  if (encodeCursor(place) === cursor) return place
  throw new BadParameter('after', 'the page cursor is not one that this listing returned; start again without it')
}
