/** The audit trail from the auth service's side: an action counts as done only after its event is on disk. */

import type { Cut, Head } from '../audit/chain.ts'
import type { AuditEvent } from '../audit/events.ts'
import { type EventInput, type EventName, eventNames, newEvent } from '../audit/events.ts'
import type { AuditFilter, AuditStatus, AuditStore, VerifyStep } from '../audit/store.ts'
import type { Env } from '../common/env.ts'
import { BadParameter } from '../errors/errors.ts'
import type { AuditLogHandle } from './audit-log.ts'

type WithoutCluster<T> = T extends unknown ? Omit<T, 'cluster_name'> : never
export type NewAuditEvent = { [Name in EventName]: WithoutCluster<EventInput<Name>> }[EventName]

/** What nodes and proxies may report: what happens on them. Users, tokens and certificates are auth's own to tell. */
const reported: ReadonlySet<string> = new Set<EventName>([
  'session.start',
  'session.join',
  'session.leave',
  'resize',
  'session.end',
  'session.data',
  'session.control',
  'host_user.create',
  'session.detach',
  'session.attach',
  'session.rejected',
  'session.recording.failed',
  'exec',
  'subsystem',
  'scp',
  'sftp.open',
  'sftp.read',
  'sftp.write',
  'sftp.setstat',
  'sftp.opendir',
  'sftp.remove',
  'sftp.mkdir',
  'sftp.rmdir',
  'sftp.rename',
  'sftp.symlink',
  'sftp.link',
  'auth',
  'port',
  'x11-forward',
  'client.disconnect',
])

export class Audit {
  readonly #log: AuditLogHandle
  readonly #store: AuditStore
  readonly #env: Env
  readonly #clusterName: string

  constructor(log: AuditLogHandle, clusterName: string, env: Env) {
    this.#log = log
    this.#store = log.store
    this.#clusterName = clusterName
    this.#env = env
  }

  /**
   * Resolves when the event is durable; throws when it cannot be, and then the action must not happen. `uid`: for one that may be told
   * again.
   */
  async emit(event: NewAuditEvent, uid?: string): Promise<void> {
    const input = { ...event, cluster_name: this.#clusterName } as EventInput<EventName>
    const complete = newEvent(this.#env, input) as AuditEvent
    await this.#store.append([uid === undefined ? complete : { ...complete, uid }])
  }

  /** Stores what a machine reports. It cannot speak for another machine, nor for another cluster. */
  async collect(uuid: string, events: readonly { readonly event: string }[]): Promise<void> {
    const stamped = events.map((event) => {
      if (!reported.has(event.event)) {
        throw new BadParameter('event', `a node or proxy cannot report ${JSON.stringify(event.event)}`)
      }
      return { ...event, server_id: uuid, cluster_name: this.#clusterName }
    })
    // The store checks names, codes, uids and sizes.
    await this.#store.append(stamped as unknown as AuditEvent[])
  }

  async search(query: FilterQuery & { readonly limit: number; readonly after?: string | undefined }) {
    const { events, next } = await this.#store.search({
      limit: query.limit,
      ...filterOf(query),
      ...(query.after === undefined ? {} : { cursor: query.after }),
    })
    const items = events.map((event) => ({ ...event }))
    return next === undefined ? { items } : { items, next }
  }

  /** Lines of an export, several at a time. */
  async *export(query: FilterQuery): AsyncGenerator<{ readonly lines: string[]; readonly total: number }> {
    const { head, cutTo } = await this.#store.status()
    for await (const lines of this.#store.export(filterOf(query))) yield { lines: [...lines], total: head.ei - cutTo }
  }

  /** Of the key that signs the log, base64. */
  get publicKey(): string {
    return this.#log.publicKey
  }

  status(): Promise<AuditStatus> {
    return this.#store.status()
  }

  /** For `tctl status` and monitoring. */
  async summary() {
    const { head, indexedTo, disk, cutTo } = await this.#store.status()
    const damaged = this.#log.lost().some(({ ei }) => ei > cutTo)
    return { last: head.ei, indexed: indexedTo, disk, damaged }
  }

  /** Reads the whole log and proves it; `expected` is a head that the caller knows, beside those that the cluster state knows. */
  verify(expected?: Head): AsyncGenerator<VerifyStep> {
    return this.#store.verify(expected === undefined ? this.#log.heads() : [...this.#log.heads(), expected])
  }

  /** Removes events from before that time, from the oldest on, and says so in the log. */
  cut(before: Date): Promise<Cut | undefined> {
    const { randomUuid, now } = this.#env
    const time = now().toISOString()
    return this.#store.cut(before, { uid: randomUuid(), time, cluster_name: this.#clusterName })
  }
}

/** As the API brings it. */
export interface FilterQuery {
  readonly from?: string | undefined
  readonly to?: string | undefined
  readonly type?: string | undefined
  readonly user?: string | undefined
  readonly session?: string | undefined
  readonly text?: string | undefined
}

function filterOf(query: FilterQuery): AuditFilter {
  return {
    ...(query.from === undefined ? {} : { from: new Date(query.from) }),
    ...(query.to === undefined ? {} : { to: new Date(query.to) }),
    ...(query.type === undefined ? {} : { types: query.type.split(',').map(eventName) }),
    ...(query.user === undefined ? {} : { user: query.user }),
    ...(query.session === undefined ? {} : { sid: query.session }),
    ...(query.text === undefined ? {} : { text: query.text }),
  }
}

function eventName(text: string): EventName {
  const name = eventNames.find((known) => known === text.trim())
  if (name !== undefined) return name
  throw new BadParameter('type', `there is no event ${JSON.stringify(text)}; known are ${eventNames.join(', ')}`)
}
