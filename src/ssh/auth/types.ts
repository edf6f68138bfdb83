/** What user authentication (RFC 4252) needs from its caller and gives back, on both sides. */

import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import type { Certificate } from '../certificate/types.ts'
import type { ClientIdentity } from '../client-types.ts'
import type { AuthDecision, AuthRequest } from '../server-types.ts'
import type { Limits, Transport } from '../transport/types.ts'

export interface ServerAuthOptions<Identity> {
  readonly transport: Transport
  readonly methods: readonly ('publickey' | 'password')[]
  authenticate(request: AuthRequest): Promise<AuthDecision<Identity>>
  /** Each refused attempt after its proof was checked. */
  authFailed?(request: AuthRequest | undefined, reason: string): void
  readonly banner?: string
  readonly limits?: Partial<Limits>
  readonly env?: Env
  readonly logger?: Logger
}

export interface ServerAuthResult<Identity> {
  readonly user: string
  readonly identity: Identity
  /** The certificate whose possession was proven; undefined for other methods. */
  readonly certificate: Certificate | undefined
}

/**
 * Resolves after USERAUTH_SUCCESS was sent and `transport.authenticated()` called; messages of the connection protocol wait
 * until the next `transport.start(handler)`. Rejects when the connection ended before.
 */
export type AuthenticateServer = <Identity>(options: ServerAuthOptions<Identity>) => Promise<ServerAuthResult<Identity>>

export interface ClientAuthOptions {
  readonly transport: Transport
  readonly user: string
  readonly identities: readonly ClientIdentity[]
  readonly password?: string
  /** The text is the server's: strip control characters before printing it. */
  onBanner?(text: string): void
  readonly logger?: Logger
}

/** Resolves after USERAUTH_SUCCESS; then call `transport.start(handler)`. Rejects with AccessDenied that lists what was tried. */
export type AuthenticateClient = (options: ClientAuthOptions) => Promise<void>
