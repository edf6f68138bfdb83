/** Who is logged in on a connection, and what they may do there. Made by `authorize` alone. */

import type { Authorized } from '../access/authorize.ts'
import type { Permissions } from '../access/decide.ts'
import type { UserIdentity } from '../api/authenticate-user.ts'
import type { Account } from './os/account-files.ts'

export interface NodeUser {
  readonly identity: UserIdentity
  /** The OS account; having it proves that the roles allow this login on this node. */
  readonly account: Authorized<Account>
  /** What both the roles and the certificate grant. */
  readonly permissions: Permissions
  /** For security keys. */
  readonly noTouchRequired: boolean
  readonly verifyRequired: boolean
}
