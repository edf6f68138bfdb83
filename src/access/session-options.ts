/** What the roles together say about a session. The strictest wins: options here take away, they never give. */

import type { Role, RoleOptions } from './types.ts'

export interface SessionOptions {
  /** Milliseconds, 0 for none. */
  readonly idleTimeoutMs: number
  readonly disconnectExpiredCert: boolean
  /** 0: any number. */
  readonly maxConnections: number
  /** 0: any number. */
  readonly maxSessions: number
  readonly fileCopy: boolean
  readonly recordStrict: boolean
  /** The one that asks for more: output of commands is recorded when any role says so. */
  readonly recordExecOutput: boolean
}

export interface ClusterSessionOptions {
  /** Seconds, 0 for none. */
  readonly clientIdleTimeout: number
  readonly disconnectExpiredCert: boolean
}

export function sessionOptions(roles: readonly Role[], cluster: ClusterSessionOptions): SessionOptions {
  const options = roles.map((role) => role.spec.options)
  const smallest = (pick: (option: RoleOptions) => number, ...more: number[]): number => {
    const set = [...options.map(pick), ...more].filter((value) => value > 0)
    return set.length === 0 ? 0 : Math.min(...set)
  }
  return {
    idleTimeoutMs: smallest((option) => option.client_idle_timeout, cluster.clientIdleTimeout * 1000),
    disconnectExpiredCert:
      cluster.disconnectExpiredCert || options.some(({ disconnect_expired_cert }) => disconnect_expired_cert),
    maxConnections: smallest((option) => option.max_connections),
    maxSessions: smallest((option) => option.max_sessions),
    fileCopy: options.every(({ ssh_file_copy }) => ssh_file_copy),
    recordStrict: options.some(({ record_session }) => record_session.default === 'strict'),
    recordExecOutput: options.some(({ record_session }) => record_session.exec_output),
  }
}
