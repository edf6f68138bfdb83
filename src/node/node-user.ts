/** Who is logged in on a connection, and what they may do there. Made by `authorize.ts` alone. */

import type { Authorized } from '../access/authorize.ts'
import type { Permissions } from '../access/decide.ts'
import type { UserIdentity } from '../api/authenticate-user.ts'
import type { Account } from './os/account-files.ts'

/** Anybody with a good certificate: what a connection is known by. Someone who came to join sessions is no more than this. */
export interface ConnectedUser {
  readonly identity: UserIdentity
  /** What both the roles and the certificate grant. */
  readonly permissions: Permissions
  /** For security keys. */
  readonly noTouchRequired: boolean
  readonly verifyRequired: boolean
}

/** Someone with an account here. */
export interface NodeUser extends ConnectedUser {
  /** The OS account; having it proves that the roles allow this login on this node. */
  readonly account: Authorized<Account>
}
