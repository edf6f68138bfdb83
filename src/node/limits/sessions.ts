/** `max_sessions`: how many session channels one connection may have. */

import { counted } from '../../common/text.ts'
import { ChannelOpenError } from '../../ssh/connection/types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import type { Rejections } from './rejections.ts'
import { optionsNow } from './role-limits.ts'

/** `open` counts the one that is asked for. Throws ChannelOpenError. */
export function admitSession(
  open: number,
  connection: NodeConnection,
  node: NodeContext,
  rejections: Rejections,
): void {
  const { maxSessions } = optionsNow(node, connection)
  if (maxSessions === 0 || open <= maxSessions) return
  const reason = `your roles allow ${counted(maxSessions, 'session')} on one connection (max_sessions)`
  rejections.record(connection, reason, maxSessions)
  throw new ChannelOpenError('resource-shortage', reason)
}
