/** What a session has besides its program, for as long as it lives: each adds variables to the environment and is closed at the end. */

import { messageOf } from '../../errors/system.ts'
import type { ServerSession } from '../../ssh/connection/types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import type { NodeUser } from '../node-user.ts'
import { openAgentSocket } from './agent-socket.ts'

export interface SessionExtra {
  readonly env: Readonly<Record<string, string>>
  close(): void
}

export interface ExtraAsk {
  readonly sid: string
  readonly session: ServerSession
  readonly connection: NodeConnection
  readonly user: NodeUser
  readonly node: NodeContext
}

interface ExtraKind {
  /** For the log: `a session goes on without …`. */
  readonly name: string
  /** Undefined: not asked for, or not allowed. Throws when it cannot be made; the session goes on without it. */
  open(ask: ExtraAsk): SessionExtra | undefined | Promise<SessionExtra | undefined>
}

const kinds: readonly ExtraKind[] = [{ name: 'the agent', open: openAgent }]

/** Never rejects: a full /tmp must not keep somebody out who comes to clean it. */
export async function openExtras(ask: ExtraAsk): Promise<SessionExtra> {
  const open: SessionExtra[] = []
  for (const kind of kinds) {
    try {
      const made = kind.open(ask)
      // Most sessions ask for nothing: they do not wait.
      const extra = made instanceof Promise ? await made : made
      if (extra !== undefined) open.push(extra)
    } catch (error) {
      ask.node.logger.warn(`a session goes on without ${kind.name}`, { reason: messageOf(error), sid: ask.sid })
    }
  }
  return {
    env: Object.assign({}, ...open.map((extra) => extra.env)) as Record<string, string>,
    close() {
      for (const extra of open) extra.close()
    },
  }
}

function openAgent({ session, connection, user, node }: ExtraAsk): SessionExtra | undefined {
  if (!session.agentForwarding || !user.permissions.agentForwarding) return undefined
  const owner = { account: user.account.target, privileges: node.privileges }
  const { path, close } = openAgentSocket(owner, connection, node.logger)
  return { env: { SSH_AUTH_SOCK: path }, close }
}
