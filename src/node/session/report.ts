/** Tells the auth service which sessions are open: soon after each change, and twice a minute since it forgets. */

import type { ApiClient } from '../../api/client.ts'
import { reportSessions } from '../../api/routes.ts'
import type { ActiveSessionRecord } from '../../api/session-model.ts'
import { Backoff } from '../../common/backoff.ts'
import { truncate } from '../../common/text.ts'
import { messageOf } from '../../errors/system.ts'
import type { NodeContext } from '../context.ts'
import type { ActiveSession } from './sessions.ts'

/** Milliseconds. */
const everyMs = 30_000
/** Changes within that time go together. */
const togetherMs = 200
const lookMs = 2_000
/** What auth takes at once. */
const maxSessions = 10_000
const maxCommand = 1024

export interface SessionReports {
  readonly node: NodeContext
  readonly client: Pick<ApiClient, 'call'> & { readonly connected: boolean }
  readonly signal: AbortSignal
}

/** Runs until the signal. One report after the other, so that an old one never comes after a new one. */
export async function runSessionReports({ node, client, signal }: SessionReports): Promise<void> {
  const { env, logger, sessions } = node
  const backoff = new Backoff({ initialMs: 500, maxMs: 15_000 }, env)
  const changes = new Changes()
  const unsubscribe = sessions.onChange(() => changes.tell())
  const process = env.randomUuid()
  let told = 0
  try {
    for (;;) {
      changes.clear()
      const list = sessions.list().slice(0, maxSessions)
      // Most nodes are idle most of the time; nobody needs to hear that again and again.
      if (list.length > 0 || told > 0) {
        try {
          await client.call(
            reportSessions,
            { body: { process, sessions: list.map((item) => toRecord(node, item)) } },
            signal,
          )
          told = list.length
          backoff.reset()
        } catch (error) {
          if (signal.aborted) return
          logger.debug('the auth service does not hear of the open sessions', { reason: messageOf(error) })
          await backoff.wait(signal)
          continue
        }
      }
      await nextTime({ node, client, signal }, changes, told > 0)
      await env.sleep(togetherMs, signal)
    }
  } catch {
    // The node is closing.
  } finally {
    unsubscribe()
  }
}

/** Resolves with a change, when it is time, or when an auth service that knows nothing of us may have taken the other's place. */
async function nextTime({ node, client, signal }: SessionReports, changes: Changes, told: boolean): Promise<void> {
  const { env } = node
  const until = env.monotonicMs() + everyMs
  while (!changes.any && env.monotonicMs() < until && (client.connected || !told)) {
    const over = new AbortController()
    await Promise.race([changes.next, env.sleep(lookMs, AbortSignal.any([signal, over.signal])).catch(() => {})])
    over.abort()
    signal.throwIfAborted()
  }
}

class Changes {
  any = false

  #next = Promise.withResolvers<void>()

  /** Resolves with the first change since the last `clear`. */
  get next(): Promise<void> {
    return this.#next.promise
  }

  tell(): void {
    this.any = true
    this.#next.resolve()
  }

  clear(): void {
    this.any = false
    this.#next = Promise.withResolvers()
  }
}

export function toRecord(node: NodeContext, session: ActiveSession): ActiveSessionRecord {
  const status = session.status()
  const idleMs = Math.max(0, node.env.monotonicMs() - status.lastActive)
  return {
    sid: session.id,
    user: session.user,
    login: session.login,
    serverId: node.uuid,
    serverHostname: node.hostname,
    serverLabels: { ...node.labels() },
    started: session.started.toISOString(),
    interactive: session.interactive,
    ...(session.command === undefined ? {} : { command: truncate(session.command, maxCommand) }),
    columns: status.columns,
    rows: status.rows,
    state: status.state,
    ...(status.detachedUntil === undefined ? {} : { detachedUntil: status.detachedUntil.toISOString() }),
    parties: status.parties.map(({ joined, ...party }) => ({ ...party, joined: joined.toISOString() })),
    lastActive: new Date(node.env.now().getTime() - idleMs).toISOString(),
  }
}
