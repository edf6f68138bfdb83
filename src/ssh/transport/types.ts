/** The seam between the encrypted packet stream (RFC 4253) and the services that run on it. */

import type { Certificate } from '../certificate/types.ts'
import type { PublicKey, SignatureAlgorithm, Signer } from '../keys/types.ts'

export type KexAlgorithm =
  | 'mlkem768x25519-sha256'
  | 'curve25519-sha256'
  | 'curve25519-sha256@libssh.org'
  | 'diffie-hellman-group16-sha512'
  | 'ecdh-sha2-nistp256'
  | 'ecdh-sha2-nistp384'
  | 'diffie-hellman-group14-sha256'

export type CipherAlgorithm =
  | 'aes256-gcm@openssh.com'
  | 'aes128-gcm@openssh.com'
  | 'chacha20-poly1305@openssh.com'
  | 'aes256-ctr'
  | 'aes192-ctr'
  | 'aes128-ctr'

export type MacAlgorithm = 'hmac-sha2-256-etm@openssh.com' | 'hmac-sha2-512-etm@openssh.com'

export interface AlgorithmPreferences {
  readonly kex: readonly KexAlgorithm[]
  readonly ciphers: readonly CipherAlgorithm[]
  readonly macs: readonly MacAlgorithm[]
}

/** A host identity: the plain key is offered too when `offerPlain`, for clients without certificates (default false). */
export interface HostIdentity {
  readonly signer: Signer
  readonly certificate?: Certificate
  readonly offerPlain?: boolean
}

/** The same for every client, or chosen by the version string that the client sent: nobody has proven anything yet. */
export type HostIdentities = readonly HostIdentity[] | ((clientVersion: string) => readonly HostIdentity[])

/** What the server showed during key exchange; the client's policy decides. */
export interface PresentedHostKey {
  readonly publicKey: PublicKey
  readonly certificate?: Certificate
  readonly signatureAlgorithm: SignatureAlgorithm
}

/** All limits of one connection and of one listening process. Every field has a default in `transport/limits.ts`. */
export interface Limits {
  /** From the first byte until authentication succeeded, milliseconds. 120,000. */
  readonly loginGraceMs: number
  /** Failed authentication attempts before the connection is cut. 6. */
  readonly maxAuthTries: number
  /** Connections that have not authenticated, per server; early random drop starts at a third. 100. */
  readonly maxPreAuthConnections: number
  /** Session channels a connection may have open. 10. */
  readonly maxSessions: number
  /** Channels of any kind a connection may have open. 100. */
  readonly maxChannels: number
  /** Receive window of a channel, bytes. 2 MiB. */
  readonly windowSize: number
  /** Largest channel data packet we accept, bytes. 32 KiB, as OpenSSH. */
  readonly maxPacketSize: number
  /** Largest SSH packet we accept, bytes. 256 KiB. */
  readonly maxTransportPacket: number
  /** Requests with want-reply we are still to answer, or replies we wait for, per connection. 1,024. */
  readonly maxOutstandingReplies: number
  /** Bytes queued while a key exchange runs. 8 MiB. */
  readonly maxRekeyQueue: number
  /** Bytes queued to the socket above which senders wait. 1 MiB. */
  readonly highWaterMark: number
  /** Bytes per key and direction before we start a new key exchange. 1 GiB. */
  readonly rekeyBytes: number
  /** Milliseconds before we start a new key exchange. 1 hour. */
  readonly rekeyMs: number
  /** Longest a key exchange may take, milliseconds. 60,000. */
  readonly rekeyTimeoutMs: number
}

export interface NegotiatedAlgorithms {
  readonly kex: KexAlgorithm
  readonly hostKey: string
  readonly cipherIn: CipherAlgorithm
  readonly cipherOut: CipherAlgorithm
  readonly macIn: MacAlgorithm | undefined
  readonly macOut: MacAlgorithm | undefined
}

/**
 * An established packet stream. After the first key exchange `start` delivers each payload, in order, to one handler; messages
 * wait while there is none. A payload is the handler's to keep: its memory is not reused.
 */
export interface Transport {
  readonly role: 'client' | 'server'
  /** Exchange hash of the first key exchange. */
  readonly sessionId: Buffer
  readonly remoteVersion: string
  readonly localVersion: string
  readonly negotiated: NegotiatedAlgorithms
  /** Host key of this connection; set on both sides (needed by publickey-hostbound-v00@openssh.com). */
  readonly hostKeyBlob: Buffer
  readonly presentedHostKey: PresentedHostKey | undefined
  /** Names the peer sent in EXT_INFO (RFC 8308); filled when it arrives. */
  readonly peerExtensions: ReadonlyMap<string, Buffer>
  /** Sets the handler, or replaces it. A handler that throws ends the connection with PROTOCOL_ERROR. */
  start(handler: (payload: Buffer) => void): void
  /** Sends one message made of the parts, one after the other. Copies them: the caller may reuse them at once. False: await `drained()`. */
  send(...parts: readonly Buffer[]): boolean
  /** Resolves when the outgoing queue is below the high-water mark, or the transport closed. */
  drained(): Promise<void>
  /** Answers the message being handled with UNIMPLEMENTED. */
  unimplemented(): void
  /** Stops and resumes reading from the peer, for backpressure on everything at once. */
  pause(): void
  resume(): void
  /**
   * Server: tells that user authentication succeeded (ends login grace, allows connection messages). Client likewise. Takes the
   * handler away: messages wait until the next `start`.
   */
  authenticated(): void
  rekey(): Promise<void>
  /** Sends DISCONNECT (RFC 4253 section 11.1) and closes. Never throws. */
  disconnect(reason: number, message: string): void
  /** Resolves once when the stream has ended: undefined for an orderly end, else why. */
  readonly closed: Promise<Error | undefined>
  readonly isClosed: boolean
  /** What the peer said when it ended the connection, made harmless. */
  readonly farewell: string | undefined
  readonly bytesIn: number
  readonly bytesOut: number
}
