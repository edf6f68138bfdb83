/** What a request means: which program runs, how the trail names it, and who looks at its streams on the way. */

import type { ServerSession } from '../../ssh/connection/types.ts'
import type { NodeContext } from '../context.ts'
import { type CopyCommand, copyCommand } from '../files/copy-command.ts'
import { watchCopy } from '../files/copy-session.ts'
import type { SessionEventFields } from '../files/copy-types.ts'
import { sftpProgram } from '../files/sftp-program.ts'
import type { ProgramStreams } from '../files/watched-streams.ts'
import type { Program } from '../os/user-process.ts'

export type { ProgramStreams }

export interface SessionProgram {
  readonly program: Program
  /** As the trail and a listing show it; undefined for a login shell. */
  readonly command: string | undefined
  /** Name of the subsystem that was asked for. */
  readonly subsystem?: string
  /** It copies files, in a way that is known. */
  readonly copy?: CopyCommand
}

/** Undefined: there is no such thing here, and the client may ask for something else. */
export function programFor(request: ServerSession['request']): SessionProgram | undefined {
  switch (request.kind) {
    case 'shell':
      return { program: { kind: 'login-shell' }, command: undefined }
    case 'exec': {
      const command = request.commandBytes.toString('utf8')
      const copy = copyCommand(command)
      return {
        program: { kind: 'command', command: request.commandBytes },
        command,
        ...(copy === undefined ? {} : { copy }),
      }
    }
    case 'subsystem':
      if (request.name !== 'sftp') return undefined
      return { program: sftpProgram, command: 'sftp', subsystem: request.name, copy: { kind: 'sftp' } }
  }
}

/** For whom an inspector writes events: spread `fields` into each. */
export interface InspectContext {
  readonly node: NodeContext
  readonly fields: SessionEventFields
  /** Where the program starts. */
  readonly home: string
}

export interface InspectedStreams extends ProgramStreams {
  /** The program has ended, or its client has gone: resolves when all that was seen is on the disk, or could not be kept. */
  finish?(): Promise<void>
}

/**
 * The streams of a program without a terminal, before they are joined to the client. An inspector returns streams of its own in
 * their place; it keeps the backpressure, passes ends on, and destroys the inner stream when its own is destroyed.
 */
export function inspect(
  { copy }: SessionProgram,
  streams: ProgramStreams,
  { node, fields, home }: InspectContext,
): InspectedStreams {
  if (copy === undefined) return streams
  return watchCopy(streams, { copy, node, fields, home }) ?? streams
}
