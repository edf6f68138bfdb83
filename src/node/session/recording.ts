/** Opening the recording of a session, by the cluster's mode and the roles of its owner. */

import { pipeline, type Readable, Transform } from 'node:stream'
import { sessionOptions } from '../../access/session-options.ts'
import { messageOf } from '../../errors/system.ts'
import type { TerminalSize } from '../../ssh/connection/types.ts'
import { record } from '../node-events.ts'
import type { SessionTap, TapOptions } from '../recording/types.ts'
import type { SessionFacts } from './facts.ts'
import type { ProgramStreams } from './program.ts'
import { sessionFields } from './trail.ts'

export type RecordingMode = TapOptions['mode']

export interface SessionRecording {
  readonly mode: RecordingMode
  readonly strict: boolean
  readonly tap: SessionTap
}

/** The modes of a recording proxy are kept here: a session that should be recorded is. */
function modeOf(setting: string): RecordingMode {
  if (setting === 'off') return 'off'
  return setting.endsWith('-sync') ? 'node-sync' : 'node'
}

/**
 * Throws why the session may not start. `failed` is called at most once when a recording
 * without which the session may not go on has failed.
 */
export async function openRecording(
  facts: SessionFacts,
  size: TerminalSize | undefined,
  failed: (reason: string) => void,
): Promise<SessionRecording> {
  const { node, user, session, connection } = facts
  const mode = modeOf(node.state.config.sessionRecording)
  const strict = sessionOptions(user.identity.roles, node.state.config).recordStrict || mode === 'node-sync'
  const login = connection.user
  try {
    const tap = await node.recorder.open({
      header: {
        sid: facts.id,
        user: user.identity.user,
        login,
        serverId: node.uuid,
        serverHostname: node.hostname,
        started: facts.started.toISOString(),
        interactive: session.pty !== undefined,
        columns: size?.columns || 80,
        rows: size?.rows || 24,
        ...(facts.program.command === undefined ? {} : { command: facts.program.command }),
        ...(session.pty === undefined || session.pty.term === '' ? {} : { term: session.pty.term }),
      },
      mode,
      strict,
      onFailure: (reason) => {
        node.logger.warn('the recording of a session failed', { sid: facts.id, reason: reason.message })
        if (strict) failed(`this session cannot be recorded: ${reason.message}`)
      },
    })
    return { mode, strict, tap }
  } catch (error) {
    const { sid: _sid, ...fields } = sessionFields(facts)
    record(node, { event: 'session.rejected', ...fields, reason: `it cannot be recorded: ${messageOf(error)}` })
    throw error
  }
}

/** Commands without a terminal keep their output where a role says so; files that are copied have records of their own. */
export const recordsExec = ({ user, node, program }: SessionFacts): boolean =>
  program.subsystem === undefined &&
  node.state.config.sessionRecording !== 'off' &&
  sessionOptions(user.identity.roles, node.state.config).recordExecOutput

/** The streams of a program whose output is kept on its way. `failed`: the session must end without showing more. */
export function recordOutput(
  streams: ProgramStreams,
  recording: SessionRecording,
  failed: (reason: string) => void,
): ProgramStreams {
  const through = (source: Readable): Readable => {
    const kept = new Transform({ transform: (data: Buffer, _encoding, done) => keepPiece(recording, data, done) })
    // Told below; a stream that fails without a listener would end the node.
    kept.on('error', () => {})
    pipeline(source, kept, (error) => {
      if (error instanceof NotRecorded) failed(error.message)
    })
    return kept
  }
  return {
    stdin: streams.stdin,
    stdout: through(streams.stdout),
    stderr: streams.stderr === undefined ? undefined : through(streams.stderr),
  }
}

class NotRecorded extends Error {}

function keepPiece({ tap }: SessionRecording, data: Buffer, done: (error: Error | null, data?: Buffer) => void): void {
  const wait = tap.output(data)
  const refuse = (error: unknown): void => {
    done(new NotRecorded(`this session cannot be recorded: ${messageOf(error)}`))
  }
  if (wait === undefined) done(null, data)
  else wait.then(() => done(null, data), refuse)
}
