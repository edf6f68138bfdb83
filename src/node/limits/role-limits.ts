/** What the roles of a user say about their connections, as they are at this moment: a limit that is set counts for open connections too. */

import { type SessionOptions, sessionOptions } from '../../access/session-options.ts'
import type { NodeConnection, NodeContext } from '../context.ts'

export function optionsNow({ state }: NodeContext, connection: NodeConnection): SessionOptions {
  const { roles } = connection.identity.identity
  return sessionOptions(
    roles.map((role) => state.role(role.metadata.name) ?? role),
    state.config,
  )
}
