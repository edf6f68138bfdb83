/** What a proxy or node knows of the cluster: followed through the watch, kept on disk so that it serves while auth is away. */

import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { ConnectionProblem } from '../errors/errors.ts'
import type { ApiClient } from './client.ts'
import type { ClusterState } from './cluster-state.ts'
import type { Presence, ServerRole } from './model.ts'

export type ChangeKind = 'authority' | 'role' | 'user' | 'presence' | 'config'

export interface ClusterCache extends ClusterState, AsyncDisposable {
  /** Resolves once there is something to decide with: the file from the last run, or the first snapshot. */
  readonly ready: Promise<void>
  /** The watch stands and its snapshot is complete. */
  readonly live: boolean
  /** When something was last heard from an auth server; undefined when never. */
  readonly lastHeard: Date | undefined
  /** Servers that have not expired, of one role or of all. */
  servers(role?: ServerRole): readonly Presence[]
  serverByUuid(role: ServerRole, uuid: string): Presence | undefined
  /** Compared without regard to case. */
  serversByHostname(role: ServerRole, hostname: string): readonly Presence[]
  serversByLabel(role: ServerRole, name: string, value: string): readonly Presence[]
  /** By `address` or one of `publicAddresses`; without a port every port matches. */
  serversByAddress(role: ServerRole, host: string, port?: number): readonly Presence[]
  /** Called after each change, at once for each; returns the function that ends it. */
  onChange(listener: (kind: ChangeKind, id: string) => void): () => void
  close(): Promise<void>
}

export interface ClusterCacheOptions {
  readonly client: ApiClient
  /** `cache.json` of the role. */
  readonly path: string
  readonly clusterName: string
  readonly env?: Env
  readonly logger?: Logger
}

export function openClusterCache(_options: ClusterCacheOptions): ClusterCache {
  throw new ConnectionProblem('no cache yet')
}
