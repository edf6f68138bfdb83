/** Channels and what can be asked on them (RFC 4254, OpenSSH PROTOCOL), as the rest of the system sees them. */

import type { Duplex, Readable, Writable } from 'node:stream'

/** RFC 4254 section 5.1 reason codes. */
export type OpenFailure = 'prohibited' | 'connect-failed' | 'unknown-channel-type' | 'resource-shortage'

/** Thrown by `open…` when the peer refuses, and by handlers that refuse: the message travels to the peer. */
export class ChannelOpenError extends Error {
  override readonly name = 'ChannelOpenError'
  readonly failure: OpenFailure
  constructor(failure: OpenFailure, message: string) {
    super(message)
    this.failure = failure
  }
}

/**
 * A channel as a stream of bytes with backpressure in both directions. `end()` sends EOF; `destroy()` and the end of both
 * directions send CLOSE. Reading lags: the window is not refilled.
 */
export interface Channel extends Duplex {
  readonly channelType: string
  readonly localId: number
  /** Aborted when the channel, or the connection below it, is closed. */
  readonly signal: AbortSignal
}

export interface TerminalSize {
  readonly columns: number
  readonly rows: number
  readonly widthPixels: number
  readonly heightPixels: number
}

export interface PtyRequest extends TerminalSize {
  readonly term: string
  /** Encoded terminal modes (RFC 4254 section 8), already parsed: opcode → value. */
  readonly modes: ReadonlyMap<number, number>
}

/** Signal names without SIG (RFC 4254 section 6.10): `TERM`, `INT`, … */
export type SignalName = string

export type ExitResult =
  | { readonly kind: 'exit'; readonly status: number }
  | { readonly kind: 'signal'; readonly signal: SignalName; readonly coreDumped: boolean; readonly message: string }

export type ForwardedOrigin = { readonly address: string; readonly port: number }

/** Server side of a `session` channel, handed to the server's handler once `shell`, `exec` or `subsystem` was asked. */
export interface ServerSession {
  readonly channel: Channel
  /** Where the process's standard error goes (extended data 1). */
  readonly stderr: Writable
  readonly env: ReadonlyMap<string, string>
  readonly pty: PtyRequest | undefined
  /** The client asked for agent forwarding on this session. Whether to serve it is the handler's choice. */
  readonly agentForwarding: boolean
  readonly x11: X11Request | undefined
  readonly request:
    | { readonly kind: 'shell' }
    | { readonly kind: 'exec'; readonly command: string; readonly commandBytes: Buffer }
    | { readonly kind: 'subsystem'; readonly name: string }
  /** Called for later requests on the channel. Set them before the first await. */
  onWindowChange: ((size: TerminalSize) => void) | undefined
  onSignal: ((signal: SignalName) => void) | undefined
  onBreak: ((lengthMs: number) => void) | undefined
  /**
   * The client reads no more output (eow@openssh.com, as in `ssh host yes | head`). What is written from here on is dropped and
   * streams piped into the channel are destroyed; close the process's output here too, so that it gets SIGPIPE.
   */
  onOutputClosed: (() => void) | undefined
  /** Answers the request: SUCCESS. Nothing is written to the channel before. */
  accept(): void
  /** Answers FAILURE; the client may ask for something else. */
  reject(): void
  /**
   * Reports the exit and closes the channel after what was written to it and to `stderr` has been flushed. A session channel stays
   * open until this, or `channel.destroy()`, is called. EOF is sent when the channel, and `stderr` if it was touched, have ended.
   */
  exit(result: ExitResult): Promise<void>
  /** A request of one's own kind (`name@domain`) to the client, who need not know it: no answer is asked for. */
  tell(name: string, extra: Buffer): void
}

export interface X11Request {
  readonly singleConnection: boolean
  readonly authProtocol: string
  readonly authCookie: string
  readonly screenNumber: number
}

/** Client side of a `session` channel. */
export interface ClientSession {
  readonly channel: Channel
  /** Standard error of the remote process. It shares the window with the output: read it, or call `resume()` on it. */
  readonly stderr: Readable
  setEnv(name: string, value: string): void
  requestPty(request: PtyRequest): Promise<void>
  requestAgentForwarding(): Promise<void>
  requestX11(request: X11Request): Promise<void>
  shell(): Promise<void>
  exec(command: string): Promise<void>
  subsystem(name: string): Promise<void>
  windowChange(size: TerminalSize): void
  /** Tells the server that nobody reads the output any more (eow@openssh.com), and discards what still comes. */
  stopReading(): void
  signal(name: SignalName): void
  /** Called with requests that the server makes and that are none of RFC 4254's. Bounded by the size of a packet. */
  onTold: ((name: string, extra: Buffer) => void) | undefined
  /** How the remote process ended; undefined when the channel closed without saying. Resolves after both streams ended. */
  readonly exited: Promise<ExitResult | undefined>
}
