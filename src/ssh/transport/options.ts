/** What it takes to make a `Transport` of a byte stream, for either role. */

import type { Duplex } from 'node:stream'
import type { Env } from '../../common/env.ts'
import type { Logger } from '../../common/log.ts'
import type { AlgorithmPreferences, HostIdentities, Limits, PresentedHostKey, Transport } from './types.ts'

interface CommonOptions {
  /** A connected stream. The transport owns it from now on, and destroys it at the end. */
  readonly stream: Duplex
  /** Software part of the version string after `SSH-2.0-`: visible US-ASCII without space or minus sign, at most 200 characters. */
  readonly ident: string
  readonly algorithms?: Partial<AlgorithmPreferences>
  readonly limits?: Partial<Limits>
  readonly env?: Env
  readonly logger?: Logger
  /** Aborting ends the connection, at any time. */
  readonly signal?: AbortSignal
}

export interface ConnectOptions extends CommonOptions {
  /** Must throw to refuse; there is no default that trusts. Not asked again when keys are renewed: the host key may not change. */
  verifyHost(presented: PresentedHostKey): void | Promise<void>
  /** One line, CRLF included, written before our version string. */
  readonly preamble?: string
  /** Host key algorithms to offer, preferred first, certificates included. Default: certificates before plain keys, Ed25519 first. */
  readonly hostKeyAlgorithms?: readonly string[]
  /**
   * Sends a guessed first key exchange message (RFC 4253 section 7): one round trip less when the server prefers what we prefer.
   * Default true. Servers made with Paramiko do not understand a wrong guess.
   */
  readonly guess?: boolean
}

export interface AcceptOptions extends CommonOptions {
  readonly hostIdentities: HostIdentities
  /**
   * Accepts one line `prefix <text>` before the client's version string. `verify` gets the text; throwing cuts the connection.
   * Nothing else of the client is looked at before it returned.
   */
  readonly preamble?: { readonly prefix: string; verify(text: string): Promise<void> }
}

/** Resolves once the first key exchange is done. Rejects (AccessDenied, ConnectionProblem, LimitExceeded) when it fails; the stream is closed then. */
export type ConnectTransport = (options: ConnectOptions) => Promise<Transport>
export type AcceptTransport = (options: AcceptOptions) => Promise<Transport>
