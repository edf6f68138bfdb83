/** Server side of a `session` channel (RFC 4254 section 6): collects what the client prepares, then starts one thing. */

import type { Writable } from 'node:stream'
import { WireError, WireReader } from '../wire/reader.ts'
import type { SshChannel } from './channel.ts'
import { noBytes } from './messages.ts'
import {
  encodeExit,
  readEnv,
  readPtyRequest,
  readTerminalSize,
  readX11Request,
  signalNames,
} from './session-requests.ts'
import type { ExitResult, PtyRequest, ServerSession, SignalName, TerminalSize, X11Request } from './types.ts'

const maxEnvCount = 256
const maxEnvBytes = 128 * 1024
const maxCommandBytes = 1024 * 1024

export interface ServerSessionOptions {
  readonly channel: SshChannel
  /** Whether `pty-req`, agent and X11 forwarding may be asked for at all. */
  allow(request: 'pty' | 'agent' | 'x11'): boolean
  /** Called with each shell, exec or subsystem request; answers through `accept` or `reject`. */
  onStart(session: ServerSession): void
}

/** Serves the requests of a session channel from now on. */
export function serveSession(options: ServerSessionOptions): void {
  const state = new SessionState(options)
  options.channel.onRequest = (name, extra, reply) => {
    try {
      const answer = state.request(name, new WireReader(extra), reply)
      if (answer !== 'later') reply(answer)
    } catch (error) {
      // A request we cannot read is refused; the framing around it was sound, so the connection lives.
      if (!(error instanceof WireError)) throw error
      reply(false)
    }
  }
}

class SessionState {
  readonly #options: ServerSessionOptions
  readonly #env = new Map<string, string>()
  #envBytes = 0
  #pty: PtyRequest | undefined
  #agentForwarding = false
  #x11: X11Request | undefined
  #running: RunningSession | undefined

  constructor(options: ServerSessionOptions) {
    this.#options = options
  }

  /** The answer; `later` when `reply` will be called by whoever runs the session. */
  request(name: string, reader: WireReader, reply: (success: boolean) => void): boolean | 'later' {
    switch (name) {
      case 'env':
        return this.#running === undefined && this.#addEnv(reader)
      case 'pty-req':
        if (!this.#mayPrepare('pty', this.#pty)) return false
        this.#pty = readPtyRequest(reader)
        return true
      case 'auth-agent-req@openssh.com':
        if (!this.#mayPrepare('agent', this.#agentForwarding || undefined)) return false
        this.#agentForwarding = true
        return true
      case 'x11-req':
        if (!this.#mayPrepare('x11', this.#x11)) return false
        this.#x11 = readX11Request(reader)
        return true
      case 'shell':
        return this.#start({ kind: 'shell' }, reply)
      case 'exec': {
        const commandBytes = reader.string(maxCommandBytes)
        reader.end()
        if (commandBytes.includes(0)) return false
        return this.#start({ kind: 'exec', command: commandBytes.toString('utf8'), commandBytes }, reply)
      }
      case 'subsystem': {
        const subsystem = reader.ascii(1024)
        reader.end()
        return this.#start({ kind: 'subsystem', name: subsystem }, reply)
      }
      default:
        return this.#running?.handle(name, reader) ?? false
    }
  }

  #addEnv(reader: WireReader): boolean {
    const entry = readEnv(reader)
    if (entry === undefined || this.#env.size >= maxEnvCount) return false
    this.#envBytes += entry.name.length + entry.value.length
    if (this.#envBytes > maxEnvBytes) return false
    this.#env.set(entry.name, entry.value)
    return true
  }

  #mayPrepare(what: 'pty' | 'agent' | 'x11', before: unknown): boolean {
    return this.#running === undefined && before === undefined && this.#options.allow(what)
  }

  #start(request: ServerSession['request'], reply: (success: boolean) => void): false | 'later' {
    if (this.#running !== undefined) return false
    const session = new RunningSession(this.#options.channel, {
      request,
      env: this.#env,
      pty: this.#pty,
      agentForwarding: this.#agentForwarding,
      x11: this.#x11,
      answer: (success) => {
        if (!success) this.#running = undefined
        reply(success)
      },
    })
    this.#running = session
    this.#options.onStart(session)
    return 'later'
  }
}

interface SessionParts {
  readonly request: ServerSession['request']
  readonly env: ReadonlyMap<string, string>
  readonly pty: PtyRequest | undefined
  readonly agentForwarding: boolean
  readonly x11: X11Request | undefined
  answer(success: boolean): void
}

class RunningSession implements ServerSession {
  readonly channel: SshChannel
  readonly request: ServerSession['request']
  readonly env: ReadonlyMap<string, string>
  readonly pty: PtyRequest | undefined
  readonly agentForwarding: boolean
  readonly x11: X11Request | undefined
  onWindowChange: ((size: TerminalSize) => void) | undefined
  onSignal: ((signal: SignalName) => void) | undefined
  onBreak: ((lengthMs: number) => void) | undefined
  onOutputClosed: (() => void) | undefined
  readonly #answer: (success: boolean) => void
  #answered = false
  #stderrUsed = false
  #exiting: Promise<void> | undefined

  constructor(channel: SshChannel, parts: SessionParts) {
    this.channel = channel
    this.request = parts.request
    this.env = parts.env
    this.pty = parts.pty
    this.agentForwarding = parts.agentForwarding
    this.x11 = parts.x11
    this.#answer = parts.answer
  }

  get stderr(): Writable {
    this.#stderrUsed = true
    return this.channel.stderrWriter
  }

  accept(): void {
    this.#reply(true)
  }

  reject(): void {
    this.#reply(false)
  }

  exit(result: ExitResult): Promise<void> {
    this.#exiting ??= this.#exit(result)
    return this.#exiting
  }

  tell(name: string, extra: Buffer): void {
    if (!this.channel.isClosed) this.channel.request(name, extra, false)
  }

  handle(name: string, reader: WireReader): boolean {
    switch (name) {
      case 'window-change': {
        const size = readTerminalSize(reader)
        this.onWindowChange?.(size)
        return this.onWindowChange !== undefined
      }
      case 'signal': {
        const signal = reader.ascii(64)
        if (this.onSignal === undefined || !signalNames.has(signal)) return false
        this.onSignal(signal)
        return true
      }
      case 'break': {
        const lengthMs = reader.uint32()
        if (this.onBreak === undefined) return false
        this.onBreak(lengthMs)
        return true
      }
      case 'eow@openssh.com':
        // The client's own output is gone (`ssh host yes | head`): without this the command would write for ever.
        this.channel.discardWrites()
        this.onOutputClosed?.()
        return true
      default:
        return false // xon-xoff among them: it concerns the client, RFC 4254 section 6.8
    }
  }

  #reply(success: boolean): void {
    if (this.#answered) return
    this.#answered = true
    this.#answer(success)
  }

  async #exit(result: ExitResult): Promise<void> {
    this.#reply(true)
    const { channel } = this
    if (this.#stderrUsed) await flushed(channel.stderrWriter, channel.signal)
    await flushed(channel, channel.signal)
    if (!channel.isClosed) {
      const { name, extra } = encodeExit(result)
      channel.request(name, extra, false)
      if (this.#stderrUsed) channel.stderrWriter.end()
      channel.end()
      await flushed(channel, channel.signal)
    }
    channel.destroy()
  }
}

/** Resolves when everything written so far has been handed to the transport, or the channel is closed. */
function flushed(stream: Writable, closed: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (closed.aborted || stream.destroyed || stream.writableFinished) {
      resolve()
      return
    }
    const done = (): void => {
      closed.removeEventListener('abort', done)
      resolve()
    }
    closed.addEventListener('abort', done)
    if (stream.writableEnded) stream.once('finish', done)
    else stream.write(noBytes, done)
  })
}
