/** A session without a terminal: a program on three pipes, for one client. */

import { messageOf } from '../../errors/system.ts'
import type { ExitResult } from '../../ssh/connection/types.ts'
import type { UserProcess } from '../os/user-process.ts'
import { type SessionFacts, startProgram } from './facts.ts'
import { watchIdle } from './idle.ts'
import { type InspectedStreams, inspect, type ProgramStreams } from './program.ts'
import { openRecording, recordOutput, recordsExec, type SessionRecording } from './recording.ts'
import { closedSignal, streamEnd } from './streams.ts'
import { recordEnd, sessionFields } from './trail.ts'

/**
 * Resolves when the session is over. Throws a kind of `src/errors` when the program cannot be started. `recorded` resolves once the
 * start is on the local disk; nothing is reported to the client before.
 */
export async function serveExec(facts: SessionFacts, recorded: Promise<void>): Promise<void> {
  let exec: ExecSession | undefined
  let failure: string | undefined
  const recording = recordsExec(facts)
    ? await openRecording(facts, undefined, (reason) => {
        failure = reason
        exec?.terminate(reason)
      })
    : undefined
  try {
    exec = new ExecSession(facts, await startProgram(facts), recording)
    if (failure !== undefined) exec.terminate(failure)
    await exec.run(recorded)
  } finally {
    recording?.tap.end([facts.user.identity.user]).catch((error: unknown) => {
      facts.node.logger.warn('a recording could not be completed', { sid: facts.id, reason: messageOf(error) })
    })
  }
}

class ExecSession {
  readonly #facts: SessionFacts
  readonly #child: UserProcess
  readonly #streams: ProgramStreams
  readonly #inspected: InspectedStreams
  readonly #recording: SessionRecording | undefined
  #terminated: string | undefined
  #lastActive: number
  #rx = 0
  #tx = 0

  constructor(facts: SessionFacts, child: UserProcess, recording: SessionRecording | undefined) {
    const { node, session, program } = facts
    this.#facts = facts
    this.#child = child
    this.#lastActive = node.env.monotonicMs()
    this.#recording = recording
    this.#inspected = inspect(program, child, {
      node,
      fields: sessionFields(facts),
      home: facts.user.account.target.home,
    })
    this.#streams =
      recording === undefined ? this.#inspected : recordOutput(this.#inspected, recording, (why) => this.terminate(why))
    session.onSignal = (signal) => child.signal(signal)
    // Its next write must fail, as in a local pipe whose reader has gone.
    session.onOutputClosed = () => {
      this.#streams.stdout.destroy()
      child.stdout.destroy()
    }
  }

  async run(recorded: Promise<void>): Promise<void> {
    const { node, session, connection, id, program, started } = this.#facts
    const child = this.#child
    node.sessions.add({
      id,
      user: connection.identity.identity.user,
      login: connection.user,
      started,
      interactive: false,
      command: program.command,
      connection,
      live: undefined,
      status: () => ({ columns: 0, rows: 0, state: 'running', parties: [], lastActive: this.#lastActive }),
      terminate: (message) => this.terminate(message),
      connectionEnds: (ending, reason) => {
        if (ending === connection) this.terminate(reason)
      },
    })
    recorded.catch((error: unknown) => this.terminate(`this session cannot be recorded: ${messageOf(error)}`))
    session.accept()
    const over = new AbortController()
    void watchIdle(
      this.#facts,
      () => this.#lastActive,
      over.signal,
      (reason) => this.terminate(reason),
    )
    const { signal } = session.channel
    const closed = closedSignal(signal)
    if (signal.aborted) child.hangup()
    else signal.addEventListener('abort', () => child.hangup(), { once: true })
    this.#carry()
    const result = await Promise.race([this.#finished(), closed])
    over.abort()
    // Before the end of the session is told, and before the client learns of it.
    await this.#inspected.finish?.()
    node.sessions.remove(id)
    const participants = [connection.identity.identity.user]
    recordEnd(this.#facts, {
      result,
      participants,
      reason: this.#terminated,
      recording: this.#recording?.mode,
      rx: this.#rx,
      tx: this.#tx,
    })
    if (result === undefined) return
    await recorded.catch(() => {})
    await session.exit(result)
  }

  #carry(): void {
    const { session, node } = this.#facts
    const { channel } = session
    const { stdin, stdout, stderr } = this.#streams
    const sent = (chunk: Buffer): void => {
      this.#tx += chunk.length
      this.#lastActive = node.env.monotonicMs()
    }
    channel.on('error', () => {})
    channel.on('data', (chunk: Buffer) => {
      this.#rx += chunk.length
      this.#lastActive = node.env.monotonicMs()
    })
    if (this.#child.notice !== undefined) session.stderr.write(this.#child.notice)
    // A program that closed its input: what the client still sends goes nowhere, but must not block the channel.
    stdin.on('close', () => {
      channel.unpipe(stdin)
      if (!channel.destroyed) channel.resume()
    })
    channel.pipe(stdin)
    stdout.on('data', sent)
    stdout.pipe(channel, { end: false })
    stderr?.on('data', sent)
    stderr?.pipe(session.stderr, { end: false })
  }

  /** The result, once the program has ended and everything it wrote has been handed to the channel. */
  async #finished(): Promise<ExitResult> {
    const { stdout, stderr } = this.#streams
    const streams = [streamEnd(stdout), ...(stderr === undefined ? [] : [streamEnd(stderr)])]
    const result = await this.#child.exited
    await Promise.all(streams)
    return result
  }

  terminate(message: string): void {
    if (this.#terminated !== undefined) return
    this.#terminated = message
    this.#facts.session.stderr.write(`${message}\n`)
    this.#child.hangup()
  }
}
