/** Client side of a `session` channel (RFC 4254 section 6). Requests leave at once, in order; only their answers are awaited. */

import type { Readable } from 'node:stream'
import { AccessDenied, ConnectionProblem } from '../../errors/errors.ts'
import { WireReader } from '../wire/reader.ts'
import { WireWriter } from '../wire/writer.ts'
import type { SshChannel } from './channel.ts'
import { noBytes } from './messages.ts'
import { encodePtyRequest, encodeX11Request, readExit, writeTerminalSize } from './session-requests.ts'
import type { ClientSession, ExitResult, PtyRequest, SignalName, TerminalSize, X11Request } from './types.ts'

export class ChannelSession implements ClientSession {
  readonly channel: SshChannel
  readonly stderr: Readable
  readonly exited: Promise<ExitResult | undefined>
  onTold: ((name: string, extra: Buffer) => void) | undefined
  #exit: ExitResult | undefined

  constructor(channel: SshChannel) {
    this.channel = channel
    this.stderr = channel.stderrReader
    channel.onRequest = (name, extra, reply) => this.#request(name, extra, reply)
    this.exited = Promise.all([ended(channel), ended(this.stderr)]).then(() => this.#exit)
  }

  setEnv(name: string, value: string): void {
    this.channel.request('env', new WireWriter().string(name).string(value).take(), false)
  }

  requestPty(request: PtyRequest): Promise<void> {
    return this.#ask('pty-req', encodePtyRequest(request), 'a terminal')
  }

  requestAgentForwarding(): Promise<void> {
    return this.#ask('auth-agent-req@openssh.com', noBytes, 'agent forwarding')
  }

  requestX11(request: X11Request): Promise<void> {
    return this.#ask('x11-req', encodeX11Request(request), 'X11 forwarding')
  }

  shell(): Promise<void> {
    return this.#ask('shell', noBytes, 'a shell')
  }

  exec(command: string): Promise<void> {
    return this.#ask('exec', new WireWriter().string(command).take(), 'to run the command')
  }

  subsystem(name: string): Promise<void> {
    return this.#ask('subsystem', new WireWriter().string(name).take(), `the subsystem ${JSON.stringify(name)}`)
  }

  windowChange(size: TerminalSize): void {
    this.channel.request('window-change', writeTerminalSize(new WireWriter(16), size).take(), false)
  }

  signal(name: SignalName): void {
    this.channel.request('signal', new WireWriter().string(name).take(), false)
  }

  stopReading(): void {
    this.channel.request('eow@openssh.com', noBytes, false)
    this.channel.resume()
  }

  async #ask(name: string, extra: Buffer, what: string): Promise<void> {
    const answer = this.channel.request(name, extra, true)
    if (await answer) return
    if (this.channel.isClosed) throw new ConnectionProblem('the server closed the session before it answered')
    throw new AccessDenied(`the server refused ${what}`)
  }

  #request(name: string, extra: Buffer, reply: (success: boolean) => void): void {
    const exit = readExit(name, new WireReader(extra))
    if (exit !== undefined) this.#exit ??= exit
    else if (name === 'eow@openssh.com') this.channel.discardWrites()
    else this.onTold?.(name, extra)
    // OpenSSH asks `keepalive@openssh.com` on channels too; any answer will do.
    reply(exit !== undefined)
  }
}

function ended(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    stream.once('end', resolve)
    stream.once('close', resolve)
  })
}
