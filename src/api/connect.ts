/** Connections to port 3025: of a machine with its host certificate, of a joining machine with a token, of a user through a proxy. */

import type { Duplex } from 'node:stream'
import type { Env } from '../common/env.ts'
import type { Logger } from '../common/log.ts'
import { ConnectionProblem } from '../errors/errors.ts'
import type { ClientIdentity } from '../ssh/client-types.ts'
import type { PublicKey } from '../ssh/keys/types.ts'
import type { ApiClient } from './client.ts'
import type { MachineIdentity } from './identity.ts'
import type { ServerRole } from './model.ts'

/** Where the auth API lives inside an SSH connection (docs/protocol.md). */
export const authApiHost = 'auth.teleport.api'

export interface AuthConnection extends ApiClient, AsyncDisposable {
  /** An SSH connection to an auth server stands now. */
  readonly connected: boolean
  close(): Promise<void>
}

export interface ConnectAuthOptions {
  /** `host:port` of the auth servers, tried in turn. */
  readonly addresses: readonly string[]
  /** Read for each connection, so that a renewed identity is used from the next one on. */
  identity(): MachineIdentity
  readonly env?: Env
  readonly logger?: Logger
}

/**
 * Dials when first used and again, with backoff, after the connection was lost. Calls fail fast with ConnectionProblem while no
 * auth server answers. Verifies the server's host certificate (role `Auth`, our cluster, host authority).
 */
export function connectAuth(_options: ConnectAuthOptions): AuthConnection {
  throw new ConnectionProblem('cannot connect yet')
}

export interface JoinOptions {
  readonly addresses: readonly string[]
  readonly token: string
  /** `sha256:<hex>`; may be left out only towards an auth server on a loopback address. */
  readonly caPin?: string
  readonly uuid: string
  readonly hostname: string
  readonly roles: readonly ServerRole[]
  /** Names and addresses under which this machine is reached, for the certificate's principals. */
  readonly advertisedNames: readonly string[]
  readonly env?: Env
  readonly logger?: Logger
  readonly signal?: AbortSignal
}

/**
 * Joins a cluster: one identity for each role, in the order asked for. The pin is compared before the token is sent.
 * Throws AccessDenied for a bad pin or token, ConnectionProblem when no auth server answers.
 */
export async function joinCluster(_options: JoinOptions): Promise<readonly MachineIdentity[]> {
  throw new ConnectionProblem('cannot join yet')
}

export interface UserConnectOptions {
  /** A connected stream to an auth server's SSH port, usually a channel through the proxy. */
  readonly stream: Duplex
  readonly user: string
  readonly identity: ClientIdentity
  readonly hostAuthorities: readonly PublicKey[]
  readonly clusterName: string
  readonly env?: Env
  readonly logger?: Logger
  readonly signal?: AbortSignal
}

/** The auth API for a user with a certificate. Not reconnected when it ends. */
export async function connectAuthAsUser(_options: UserConnectOptions): Promise<AuthConnection> {
  throw new ConnectionProblem('cannot connect yet')
}
