/** The fields that events of a node have in common. */

import { type AuditEvent, type EventInput, type EventName, newEvent } from '../audit/events.ts'
import { messageOf } from '../errors/system.ts'
import type { PeerAddress } from '../ssh/server-types.ts'
import type { NodeConnection, NodeContext } from './context.ts'

export const formatAddress = ({ address, port }: PeerAddress): string =>
  address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`

export function serverFields(node: NodeContext) {
  return {
    cluster_name: node.state.clusterName,
    server_id: node.uuid,
    server_hostname: node.hostname,
    server_addr: node.address(),
    server_labels: node.labels(),
  }
}

export function connectionFields(node: NodeContext, connection: NodeConnection) {
  return {
    ...serverFields(node),
    user: connection.identity.identity.user,
    login: connection.user,
    'addr.local': formatAddress(connection.localAddress),
    'addr.remote': formatAddress(connection.peer),
  }
}

/** Resolves when the event is on the disk. Rejects when it cannot be kept: then what it reports must not happen. */
export function keep<Name extends EventName>(
  node: Pick<NodeContext, 'env' | 'audit'>,
  input: EventInput<Name>,
  uid?: string,
): Promise<void> {
  const event: unknown = newEvent(node.env, input, uid)
  return node.audit([event as AuditEvent])
}

/** Tells the audit trail what became of an account that a login lacked. */
export const keepHostUser = (
  node: NodeContext,
  { login, user, error }: { readonly login: string; readonly user: string; readonly error?: string },
): Promise<void> =>
  keep(node, {
    event: 'host_user.create',
    ...serverFields(node),
    user,
    login,
    success: error === undefined,
    ...(error === undefined ? {} : { error }),
  })

/** Records what has already happened: a failure is logged, there is nobody left to refuse. */
export function record<Name extends EventName>(node: NodeContext, input: EventInput<Name>): void {
  keep(node, input).catch((error: unknown) => {
    node.logger.error('an audit event could not be kept', { event: input.event, reason: messageOf(error) })
  })
}
