/** `client_idle_timeout`: a session in which nothing went either way for that long ends. */

import { sessionOptions } from '../../access/session-options.ts'
import { record } from '../node-events.ts'
import type { SessionFacts } from './facts.ts'
import { sessionFields } from './trail.ts'

const shortestLookMs = 1000
/** How long until a limit that an administrator sets counts for a session that had none. */
const noLimitLookMs = 30_000

/** Milliseconds, by the roles and the cluster as they are now; 0 for none. */
function limitMs({ node, user }: SessionFacts): number {
  const roles = user.identity.roles.map((role) => node.state.role(role.metadata.name) ?? role)
  return sessionOptions(roles, node.state.config).idleTimeoutMs
}

/** Calls `expired` with the reason, once, unless the signal comes first. `lastActive` in monotonic milliseconds. */
export async function watchIdle(
  facts: SessionFacts,
  lastActive: () => number,
  signal: AbortSignal,
  expired: (reason: string) => void,
): Promise<void> {
  const { env } = facts.node
  let limit = 0
  try {
    for (;;) {
      limit = limitMs(facts)
      const left = limit === 0 ? noLimitLookMs : lastActive() + limit - env.monotonicMs()
      if (left <= 0) break
      await env.sleep(Math.max(Math.min(left, noLimitLookMs), shortestLookMs), signal)
    }
  } catch {
    return
  }
  const reason = `the session was idle for ${limit / 1000} s, longer than the cluster or your roles allow`
  record(facts.node, { event: 'client.disconnect', ...sessionFields(facts), reason })
  expired(reason)
}
