/** What the parts of a running node share. */

import type { Labels } from '../access/types.ts'
import type { ChangeKind } from '../api/cluster-snapshot.ts'
import type { ClusterState } from '../api/cluster-state.ts'
import type { AuditEvent } from '../audit/events.ts'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import type { ServerConnection } from '../ssh/server-types.ts'
import type { ConnectedUser, NodeUser } from './node-user.ts'
import type { Accounts } from './os/accounts.ts'
import type { HostUsers } from './os/host-users.ts'
import type { Privileges } from './os/privileges.ts'
import type { Recorder } from './recording/types.ts'
import type { OpenSessions } from './session/open-sessions.ts'
import type { Sessions } from './session/sessions.ts'

export type NodeConnection = ServerConnection<ConnectedUser>

/** Numbers of displays that sessions may get. */
export interface X11Displays {
  /** False: whatever the roles say. */
  readonly enabled: boolean
  readonly firstDisplay: number
  readonly lastDisplay: number
}

export interface NodeContext {
  readonly env: Env
  readonly logger: Logger
  readonly state: ClusterState
  readonly accounts: Accounts
  readonly hostUsers: HostUsers
  readonly privileges: Privileges
  readonly sessions: Sessions
  /** On disk, for the ends that this process may not live to tell. */
  readonly openSessions: OpenSessions
  readonly recorder: Recorder
  readonly uuid: string
  readonly hostname: string
  /** `host:port` under which it is registered. */
  address(): string
  labels(): Labels
  /** `host:port` of the cluster's web proxy, when one is known. */
  webProxy(): string | undefined
  readonly permitUserEnvironment: boolean
  readonly x11: X11Displays
  /** Resolves when the events are on the local disk. Rejects when they cannot be kept. */
  audit(events: readonly AuditEvent[]): Promise<void>
  /** Decides again about the user of a connection. Throws AccessDenied, always for a connection that joins sessions. */
  recheck(connection: NodeConnection): Promise<NodeUser>
  /** The same for a connection that joins sessions. Throws AccessDenied. */
  recheckJoiner(connection: NodeConnection): ConnectedUser
  /** Calls back when users, roles, locks or authorities have changed; the function returned ends it. */
  onAccessChange(listener: (kind: ChangeKind, id: string) => void): () => void
}
