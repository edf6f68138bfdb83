/** What a server must know of the cluster to decide about a connection. Proxies and nodes read it from their cache, auth from its store. */

import type { LockIndex } from '../access/locks.ts'
import type { AccessGrant } from '../access/requests.ts'
import type { Role } from '../access/types.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import type { ClusterConfig, UserRecord } from './model.ts'

export interface ClusterState {
  readonly clusterName: string
  /** Keys of the user authority that are trusted now. */
  readonly userAuthorities: readonly PublicKey[]
  /** Keys of the host authority that are trusted now. */
  readonly hostAuthorities: readonly PublicKey[]
  readonly config: ClusterConfig
  user(name: string): UserRecord | undefined
  role(name: string): Role | undefined
  /** Approved requests for roles. */
  readonly grants: ReadonlyMap<string, AccessGrant>
  readonly locks: Pick<LockIndex, 'find'>
  /** Milliseconds for which no auth server was heard of; 0 while one is heard, and on the auth server itself. */
  readonly staleMs: number
}
