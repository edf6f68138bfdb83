/** What a proxy reports to the audit log: refusals, and whom it cut off. Who reached which node is told by the node, which knows the login. */

import { newEvent } from '../audit/events.ts'
import type { AuditSpool } from '../audit/spool.ts'
import { formatAddress } from '../common/address.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { messageOf } from '../errors/system.ts'
import type { ProxyAudit } from './ssh/server.ts'

export interface AuditOptions {
  readonly spool: Pick<AuditSpool, 'append'>
  readonly clusterName: string
  readonly serverId: string
  readonly serverHostname: string
  readonly env: Env
  readonly logger: Logger
}

/**
 * Refusals on their way to the spool. A refusal stands whether or not it could be written down, so a full spool is a line in the
 * log and not an error.
 */
export function proxyAudit(options: AuditOptions): ProxyAudit {
  const { env, spool, logger } = options
  const server = { server_id: options.serverId, server_hostname: options.serverHostname }
  const write = (event: Parameters<AuditSpool['append']>[0][number]) => {
    spool.append([event]).catch((error: unknown) => {
      logger.warn('a refusal could not be written to the audit log', { event: event.event, error: messageOf(error) })
    })
  }
  return {
    authFailed({ user, login, peer, local, reason }) {
      write(
        newEvent(env, {
          event: 'auth',
          cluster_name: options.clusterName,
          user,
          login,
          success: false,
          error: reason,
          'addr.remote': formatAddress({ host: peer.address, port: peer.port }),
          'addr.local': formatAddress({ host: local.address, port: local.port }),
          ...server,
        }),
      )
    },
    disconnected({ user, login, peer, local, reason }) {
      write(
        newEvent(env, {
          event: 'client.disconnect',
          cluster_name: options.clusterName,
          user,
          login,
          reason,
          'addr.remote': formatAddress({ host: peer.address, port: peer.port }),
          'addr.local': formatAddress({ host: local.address, port: local.port }),
          ...server,
        }),
      )
    },
    refused({ what, detail, user, login, peer, local, reason, connectionId }) {
      const common = {
        cluster_name: options.clusterName,
        user,
        login,
        sid: connectionId,
        'addr.remote': formatAddress({ host: peer.address, port: peer.port }),
        'addr.local': formatAddress({ host: local.address, port: local.port }),
        ...server,
      }
      if (what === 'port') {
        write(newEvent(env, { event: 'port', addr: detail, success: false, error: reason, ...common }))
      } else {
        const command = what === 'subsystem' ? `subsystem ${detail}` : detail
        write(newEvent(env, { event: 'exec', command, exitCode: '255', exitError: reason, ...common }))
      }
    },
  }
}
