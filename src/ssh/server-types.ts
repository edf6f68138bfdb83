/** The SSH server as its callers see it. Policy is the caller's: what has no handler is refused. */

import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Logger } from '../common/log.ts'
import type { Certificate } from './certificate/types.ts'
import type { Channel, ServerSession } from './connection/types.ts'
import type { PublicKey } from './keys/types.ts'
import type { AlgorithmPreferences, HostIdentity, Limits } from './transport/types.ts'

export interface PeerAddress {
  readonly address: string
  readonly port: number
}

/** What the client offers. For `publickey` the engine verifies the signature itself, after the handler said yes. */
export type AuthRequest =
  | { readonly method: 'none'; readonly user: string }
  | {
      readonly method: 'publickey'
      readonly user: string
      readonly publicKey: PublicKey
      readonly certificate: Certificate | undefined
      /** False for a query (RFC 4252 section 7, PK_OK): no identity may be taken from it, nothing recorded as a login. */
      readonly signed: boolean
    }
  | { readonly method: 'password'; readonly user: string; readonly password: string }

export type AuthDecision<Identity> =
  | {
      readonly allow: true
      readonly identity: Identity
      /** For security keys; from the certificate verdict. */
      readonly noTouchRequired?: boolean
      readonly verifyRequired?: boolean
    }
  | {
      readonly allow: false
      /** For the audit log; the client only hears FAILURE. */
      readonly reason: string
      /** Cut the connection at once with this message (for a locked account, a limit…). */
      readonly disconnect?: string
    }

export interface DirectTcpip {
  readonly host: string
  readonly port: number
  readonly originAddress: string
  readonly originPort: number
}

/** Handlers may throw ChannelOpenError to refuse with a reason; other errors refuse with `connect-failed`. */
export interface ServerHandlers<Identity> {
  /** Called for each session channel once it asked for a shell, a command or a subsystem. Absent: sessions are prohibited. */
  session?(session: ServerSession, connection: ServerConnection<Identity>): void
  /**
   * Whether a session may ask for a terminal, agent forwarding or X11 forwarding; the client hears FAILURE otherwise. Absent: it may
   * ask, and whether to serve it is the session handler's choice.
   */
  allowSessionRequest?(request: 'pty' | 'agent' | 'x11', connection: ServerConnection<Identity>): boolean
  /** `-L`, `-D`, `-W`: returns the stream to splice, already connected. */
  directTcpip?(request: DirectTcpip, connection: ServerConnection<Identity>): Promise<Duplex>
  directStreamlocal?(path: string, connection: ServerConnection<Identity>): Promise<Duplex>
  /** `-R`: returns the bound port. The handler calls `connection.openForwardedTcpip` for each connection it accepts. */
  tcpipForward?(address: string, port: number, connection: ServerConnection<Identity>): Promise<number>
  cancelTcpipForward?(address: string, port: number, connection: ServerConnection<Identity>): Promise<void>
  streamlocalForward?(path: string, connection: ServerConnection<Identity>): Promise<void>
  cancelStreamlocalForward?(path: string, connection: ServerConnection<Identity>): Promise<void>
  /** Asked before each session channel; `open` counts it too. Throws ChannelOpenError to refuse it. */
  admitSession?(open: number, connection: ServerConnection<Identity>): void
  /**
   * After authentication; may return a promise. Throwing, or rejecting, refuses: the message is sent as DISCONNECT. Nothing that the client asks for is looked at
   * before it is settled, so the wait must be bounded.
   */
  connected?(connection: ServerConnection<Identity>): unknown
  closed?(connection: ServerConnection<Identity>, error: Error | undefined): void
}

export interface SshServerOptions<Identity> extends ServerHandlers<Identity> {
  /** Software part of the version string after `SSH-2.0-`. */
  readonly ident: string
  /** Called for each connection, so that renewed keys are used at once. Preferred first. The client says what version it likes. */
  hostIdentities(clientVersion: string): readonly HostIdentity[]
  /** Methods offered. The nodes and proxies offer only `publickey`. */
  readonly authMethods: readonly ('publickey' | 'password')[]
  authenticate(request: AuthRequest, connection: PendingConnection): Promise<AuthDecision<Identity>>
  /** Each refused attempt after its proof was checked, and each connection cut before login, for the audit log. */
  authFailed?(request: AuthRequest | undefined, reason: string, connection: PendingConnection): void
  /** Shown before authentication (RFC 4252 section 5.4). */
  readonly banner?: string
  readonly algorithms?: Partial<AlgorithmPreferences>
  readonly limits?: Partial<Limits>
  readonly keepAlive?: { readonly intervalMs: number; readonly maxMissed: number }
  /**
   * A trusted front (our own proxy) may send one line `PREFIX <text>\r\n` before its version string to say for whom it
   * connects. The handler verifies it and returns the true client address; throwing cuts the connection.
   */
  readonly preamble?: { readonly prefix: string; verify(text: string, peer: PeerAddress): Promise<PeerAddress> }
  readonly logger?: Logger
}

/** A connection before authentication. */
export interface PendingConnection {
  readonly id: string
  /** The true client: the socket's address, or what a verified preamble said. */
  readonly peer: PeerAddress
  readonly socketPeer: PeerAddress
  readonly localAddress: PeerAddress
  readonly clientVersion: string
}

export interface ServerConnection<Identity> extends PendingConnection {
  readonly user: string
  readonly identity: Identity
  /** The certificate whose possession was proven; undefined for other methods. */
  readonly certificate: Certificate | undefined
  readonly signal: AbortSignal
  /** The connection ended without a word of the client: network gone, client killed, no answer to keepalive requests. */
  readonly wasLost: boolean
  /** For `-R` (RFC 4254 section 7.2). Rejects with ChannelOpenError when the client refuses, ConnectionProblem when the connection ends; so do the next three. */
  openForwardedTcpip(request: {
    readonly boundAddress: string
    readonly boundPort: number
    readonly originAddress: string
    readonly originPort: number
  }): Promise<Channel>
  openForwardedStreamlocal(path: string): Promise<Channel>
  /** auth-agent@openssh.com */
  openAgent(): Promise<Channel>
  openX11(originAddress: string, originPort: number): Promise<Channel>
  /** Tells the client why, then closes (RFC 4253 section 11.1). */
  disconnect(message: string): void
}

/** See `createSshServer`. */
export interface SshServer {
  /** Serves one already accepted stream (a socket, or a channel of another SSH connection). */
  handle(stream: Duplex, peer: PeerAddress, local?: PeerAddress): void
  /**
   * Listens on a TCP port, 0 for any free one, of all addresses unless `host` is given. Rejects with what the system says, as a kind of `src/errors`.
   * With `reusePort` a successor process may listen on the same port before this one stops (SO_REUSEPORT).
   */
  listen(port: number, host?: string, options?: { readonly reusePort?: boolean }): Promise<AddressInfo>
  /** Logged in or not. */
  readonly connectionCount: number
  /** Stops listening and cuts what is connected; with `drainMs` first waits that many milliseconds for connections to end by themselves. */
  close(drainMs?: number): Promise<void>
}
