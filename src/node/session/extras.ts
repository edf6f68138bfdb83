/** What a session has besides its program, for as long as it lives: each adds variables to the environment and is closed at the end. */

import { KindError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { ServerSession, X11Request } from '../../ssh/connection/types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import { openDisplay } from '../forward/x11.ts'
import type { NodeUser } from '../node-user.ts'
import { openAgentSocket } from './agent-socket.ts'
import { sessionEnvironment } from './environment.ts'

export interface SessionExtra {
  readonly env: Readonly<Record<string, string>>
  /** Lines that the user should read first. */
  readonly notice?: string
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

const kinds: readonly ExtraKind[] = [
  { name: 'the agent', open: openAgent },
  { name: 'X11', open: openX11 },
]

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
  const notice = open.map((extra) => extra.notice ?? '').join('')
  return {
    ...(notice === '' ? {} : { notice }),
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

/** Undefined without an answer to wait for, where none was asked. */
function openX11(ask: ExtraAsk): Promise<SessionExtra> | undefined {
  const { session, user } = ask
  return session.x11 === undefined || !user.permissions.x11Forwarding ? undefined : openX11Display(ask, session.x11)
}

async function openX11Display(ask: ExtraAsk, request: X11Request): Promise<SessionExtra> {
  const { sid, session, connection, user, node } = ask
  const account = user.account.target
  const env = sessionEnvironment(node, connection, { sessionId: sid, account, client: session.env, extras: {} })
  const owner = { account, privileges: node.privileges }
  try {
    const { display, close } = await openDisplay({ sid, request, connection, node, owner, env })
    return { env: { DISPLAY: display }, close }
  } catch (error) {
    node.logger.warn('a session goes on without X11', { reason: messageOf(error), sid })
    // Only words of our own kinds are meant for people.
    const reason = error instanceof KindError ? messageOf(error) : 'see the log of the node'
    return { env: {}, notice: `X11 forwarding is not available: ${reason}\n`, close() {} }
  }
}
