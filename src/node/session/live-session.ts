/** A session on a terminal: it owns the program, its terminal and whoever looks at it. */

import { messageOf } from '../../errors/system.ts'
import type { ExitResult, TerminalSize } from '../../ssh/connection/types.ts'
import type { UserProcess } from '../os/user-process.ts'
import { type SessionFacts, startProgram } from './facts.ts'
import { watchIdle } from './idle.ts'
import { closedSignal, streamEnd } from './streams.ts'
import { recordEnd } from './trail.ts'

/**
 * Resolves when the session is over. Throws a kind of `src/errors` when the program cannot be started. `recorded` resolves once the
 * start is on the local disk; nothing is reported to the client before.
 */
export async function serveLive(
  facts: SessionFacts,
  recorded: Promise<void>,
  latestSize: () => TerminalSize | undefined,
): Promise<void> {
  const child = await startProgram(facts, latestSize())
  await new LiveSession(facts, child).run(recorded)
}

class LiveSession {
  readonly #facts: SessionFacts
  readonly #child: UserProcess
  #terminated: string | undefined
  #lastActive: number
  #rx = 0
  #tx = 0

  constructor(facts: SessionFacts, child: UserProcess) {
    const { session, node } = facts
    this.#facts = facts
    this.#child = child
    this.#lastActive = node.env.monotonicMs()
    session.onWindowChange = (size) => child.terminal?.resize(size)
    session.onSignal = (signal) => child.signal(signal)
    session.onBreak = () => child.terminal?.sendBreak()
  }

  async run(recorded: Promise<void>): Promise<void> {
    const { node, session, connection, id, program, started } = this.#facts
    const child = this.#child
    node.sessions.add({
      id,
      user: connection.identity.identity.user,
      login: connection.user,
      started,
      interactive: true,
      command: program.command,
      connection,
      terminate: (message) => this.#terminate(message),
    })
    recorded.catch((error: unknown) => this.#terminate(`this session cannot be recorded: ${messageOf(error)}`))
    session.accept()
    const over = new AbortController()
    void watchIdle(
      this.#facts,
      () => this.#lastActive,
      over.signal,
      (reason) => this.#terminate(reason),
    )
    const { signal } = session.channel
    const closed = closedSignal(signal)
    if (signal.aborted) child.hangup()
    else signal.addEventListener('abort', () => child.hangup(), { once: true })
    this.#carry()
    const result = await Promise.race([this.#finished(), closed])
    over.abort()
    node.sessions.remove(id)
    const participants = [connection.identity.identity.user]
    recordEnd(this.#facts, { result, participants, reason: this.#terminated, rx: this.#rx, tx: this.#tx })
    if (result === undefined) return
    await recorded.catch(() => {})
    await session.exit(result)
  }

  #carry(): void {
    const { session, node } = this.#facts
    const { channel } = session
    const { stdin, stdout, notice } = this.#child
    channel.on('error', () => {})
    channel.on('data', (chunk: Buffer) => {
      this.#rx += chunk.length
      this.#lastActive = node.env.monotonicMs()
    })
    if (notice !== undefined) channel.write(notice)
    stdin.on('close', () => {
      channel.unpipe(stdin)
      if (!channel.destroyed) channel.resume()
    })
    channel.pipe(stdin)
    stdout.on('data', (chunk: Buffer) => {
      this.#tx += chunk.length
      this.#lastActive = node.env.monotonicMs()
    })
    stdout.pipe(channel, { end: false })
  }

  /** The result, once the program has ended and everything it wrote has been handed to the channel. */
  async #finished(): Promise<ExitResult> {
    const ended = streamEnd(this.#child.stdout)
    const result = await this.#child.exited
    void this.#child.terminal?.drain().catch(() => {})
    await ended
    return result
  }

  #terminate(message: string): void {
    if (this.#terminated !== undefined) return
    this.#terminated = message
    this.#facts.session.channel.write(`\r\n${message}\r\n`)
    this.#child.hangup()
  }
}
