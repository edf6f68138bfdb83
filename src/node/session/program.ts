/** What a request means: which program runs, how the trail names it, and who looks at its streams on the way. */

import { accessSync, constants } from 'node:fs'
import type { Readable, Writable } from 'node:stream'
import type { ServerSession } from '../../ssh/connection/types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import type { Program } from '../os/user-process.ts'

/** Where distributions put OpenSSH's SFTP server; our own follows later. */
const sftpServers = ['/usr/lib/openssh/sftp-server', '/usr/libexec/openssh/sftp-server', '/usr/lib/ssh/sftp-server']

export interface SessionProgram {
  readonly program: Program
  /** As the trail and a listing show it; undefined for a login shell. */
  readonly command: string | undefined
  /** Name of the subsystem that was asked for. */
  readonly subsystem?: string
}

/** Undefined: there is no such thing here, and the client may ask for something else. */
export function programFor(request: ServerSession['request']): SessionProgram | undefined {
  switch (request.kind) {
    case 'shell':
      return { program: { kind: 'login-shell' }, command: undefined }
    case 'exec':
      return {
        program: { kind: 'command', command: request.commandBytes },
        command: request.commandBytes.toString('utf8'),
      }
    case 'subsystem': {
      const file = request.name === 'sftp' ? sftpServers.find(isExecutable) : undefined
      if (file === undefined) return undefined
      return { program: { kind: 'command', command: Buffer.from(file) }, command: file, subsystem: request.name }
    }
  }
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

export interface ProgramStreams {
  readonly stdin: Writable
  readonly stdout: Readable
  readonly stderr: Readable | undefined
}

/** For whom an inspector writes events: spread `fields` into each. */
export interface InspectContext {
  readonly node: NodeContext
  readonly connection: NodeConnection
  readonly fields: Readonly<Record<string, unknown>> & { readonly sid: string }
}

/**
 * The streams of a program without a terminal, before they are joined to the client. An inspector returns streams of its own in
 * their place; it keeps the backpressure, passes ends on, and destroys the inner stream when its own is destroyed.
 */
export function inspect(_program: SessionProgram, streams: ProgramStreams, _context: InspectContext): ProgramStreams {
  return streams
}
