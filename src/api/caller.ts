/** Who calls the auth API: taken from the SSH connection below, never from anything inside the request. */

import type { UserIdentity } from './authenticate-user.ts'
import type { BuiltinRole } from './endpoint.ts'

export interface Caller {
  readonly role: BuiltinRole
  /** User name, or uuid of a machine. */
  readonly name: string
  /** True address of the client, without port. */
  readonly address: string
  /** The connection comes from the machine that auth runs on. */
  readonly sameHost?: boolean
  /** For callers of role User. */
  readonly user?: UserIdentity
  /** For machines: names that its certificate holds, and the fingerprint of the authority that signed it. */
  readonly names?: readonly string[]
  readonly certifiedBy?: string
  /** For ProvisionToken: the token that opened the connection. */
  readonly token?: string
}
