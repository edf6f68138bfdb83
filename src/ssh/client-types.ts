/** The SSH client as its callers see it. */

import type { Duplex } from 'node:stream'
import type { Logger } from '../common/log.ts'
import type { Certificate } from './certificate/types.ts'
import type { Channel, ClientSession, ForwardedOrigin } from './connection/types.ts'
import type { Signer } from './keys/types.ts'
import type { AlgorithmPreferences, Limits, PresentedHostKey } from './transport/types.ts'

export interface ClientIdentity {
  readonly signer: Signer
  /** Offered instead of the plain key when present. */
  readonly certificate?: Certificate
}

export interface SshClientOptions {
  /** A connected stream: a socket, or a channel of another SSH connection. The client closes it. */
  readonly stream: Duplex
  readonly user: string
  readonly ident: string
  /** Must throw to refuse; there is no default that trusts. */
  verifyHost(presented: PresentedHostKey): void | Promise<void>
  readonly identities: readonly ClientIdentity[]
  /** Tried after the keys, where the server offers it. Used by joining machines (a token). */
  readonly password?: string
  /**
   * Written before our version string, without waiting for the server's: see the server's `preamble`. Includes the CRLF.
   */
  readonly preamble?: string
  onBanner?(text: string): void
  /** The server opens channels towards us. Absent: refused. */
  onForwardedTcpip?(bound: ForwardedOrigin, origin: ForwardedOrigin): Promise<Duplex>
  onForwardedStreamlocal?(path: string): Promise<Duplex>
  onAgent?(): Promise<Duplex>
  onX11?(origin: ForwardedOrigin): Promise<Duplex>
  readonly algorithms?: Partial<AlgorithmPreferences>
  /** Guess the server's choice of key exchange, which saves a round trip. Default true; Paramiko's servers want false. */
  readonly guess?: boolean
  readonly limits?: Partial<Limits>
  readonly keepAlive?: { readonly intervalMs: number; readonly maxMissed: number }
  readonly logger?: Logger
  /** Aborts connecting, and closes an established connection. */
  readonly signal?: AbortSignal
}

/** A logged-in connection. What opens channels rejects with ChannelOpenError when the server refuses, ConnectionProblem when the connection ends. */
export interface SshClient extends AsyncDisposable {
  readonly serverVersion: string
  readonly hostKey: PresentedHostKey
  /** Resolves when the connection has ended: undefined after an orderly end. Never rejects. */
  readonly closed: Promise<Error | undefined>
  /** What the other side said when it ended the connection, made harmless; undefined before, and when it said nothing. */
  readonly farewell: string | undefined
  readonly signal: AbortSignal
  openSession(): Promise<ClientSession>
  openDirectTcpip(host: string, port: number, origin?: ForwardedOrigin): Promise<Channel>
  openDirectStreamlocal(path: string): Promise<Channel>
  /** `-R`. Returns the bound port. Throws ChannelOpenError('prohibited') when refused. */
  requestTcpipForward(address: string, port: number): Promise<number>
  cancelTcpipForward(address: string, port: number): Promise<void>
  requestStreamlocalForward(path: string): Promise<void>
  cancelStreamlocalForward(path: string): Promise<void>
  /** Round trip of a keepalive request, milliseconds. */
  ping(): Promise<number>
  close(): Promise<void>
}
