/** Sessions that copy files: who may, and who watches the streams so that each file leaves a record. */

import { sessionOptions } from '../../access/session-options.ts'
import { AccessDenied, BadParameter } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { NodeContext } from '../context.ts'
import { keep } from '../node-events.ts'
import type { NodeUser } from '../node-user.ts'
import { fileUid } from '../session/open-sessions.ts'
import type { CopyCommand } from './copy-command.ts'
import type { CopyInspector, EventPush, FileOpened, SessionEventFields } from './copy-types.ts'
import { EventQueue } from './event-queue.ts'
import { auditedScp } from './scp-audit.ts'
import { auditedSftp } from './sftp-audit.ts'
import { type ProgramStreams, type Watcher, watchedReadable, watchedWritable } from './watched-streams.ts'

export interface CopyAsk {
  readonly copy: CopyCommand
  /** Name of the subsystem that was asked for, or the command. */
  readonly subsystem: string | undefined
  readonly command: string
  readonly onTerminal: boolean
  readonly user: NodeUser
  readonly node: NodeContext
  readonly fields: SessionEventFields
}

/** Throws AccessDenied, with an event, when the roles say so (`ssh_file_copy`); BadParameter for what a terminal would garble. */
export async function checkCopy(ask: CopyAsk): Promise<void> {
  const { copy, node, user, onTerminal } = ask
  if (onTerminal && copy.kind !== 'rsync') {
    throw new BadParameter('pty', 'files are not copied on a terminal; use scp or sftp, without -t')
  }
  if (sessionOptions(user.identity.roles, node.state.config).fileCopy) return
  const error = 'your roles do not permit copying files (ssh_file_copy)'
  await keepRefusal(ask, error)
  throw new AccessDenied(error)
}

function keepRefusal({ copy, subsystem, command, node, fields }: CopyAsk, error: string): Promise<void> {
  if (subsystem !== undefined) return keep(node, { event: 'subsystem', ...fields, name: subsystem, exitError: error })
  if (copy.kind !== 'scp') return keep(node, { event: 'exec', ...fields, command, exitError: error })
  const action = copy.direction
  return keep(node, { event: 'scp', ...fields, action, path: copy.paths.join(' '), size: 0, success: false, error })
}

export interface WatchedCopy extends ProgramStreams {
  /** Tells of what was not finished; resolves when everything told is on the disk, or could not be kept. */
  finish(): Promise<void>
}

export interface WatchAsk {
  readonly copy: CopyCommand
  readonly node: NodeContext
  readonly fields: SessionEventFields
  /** Where the program starts. */
  readonly home: string
}

/** Undefined for what nobody here understands (rsync): its command is in the trail. */
export function watchCopy(streams: ProgramStreams, { copy, node, fields, home }: WatchAsk): WatchedCopy | undefined {
  if (copy.kind === 'rsync') return undefined
  const queue = new EventQueue(node, (error) => {
    const reason = `what this session does to files cannot be recorded: ${messageOf(error)}`
    node.logger.error('file events could not be kept', { reason: messageOf(error), sid: fields.sid })
    node.sessions.get(fields.sid)?.terminate(reason)
  })
  const { openSessions } = node
  const opened: FileOpened = (number, file) =>
    openSessions.fileOpened({ sid: fields.sid, uid: fileUid(fields.sid, number), ...file })
  const told = new Set<number>()
  const push: EventPush = (event, file) => {
    // A file that was read and written has two events; the first one has its uid.
    if (file === undefined || told.has(file)) return queue.push(event)
    told.add(file)
    const uid = fileUid(fields.sid, file)
    queue.push(event, uid, () => {
      openSessions.fileClosed(uid)
      told.delete(file)
    })
  }
  const inspector =
    copy.kind === 'sftp'
      ? auditedSftp(push, opened, fields, home)
      : auditedScp(push, opened, fields, { command: copy, home })
  const client = new ClientWatcher(inspector, queue)
  const program: Watcher = {
    look(chunk) {
      inspector.fromProgram(chunk)
      client.answered()
    },
    get isReady() {
      return !queue.isFull
    },
    whenReady: (callback) => queue.whenRoom(callback),
  }
  return {
    stdin: watchedWritable(streams.stdin, client),
    stdout: watchedReadable(streams.stdout, program),
    stderr: streams.stderr,
    async finish() {
      inspector.finish()
      await queue.settled()
    },
  }
}

/** Holds a client back that has an absurd number of requests without an answer, and while events wait for the disk. */
class ClientWatcher implements Watcher {
  readonly #inspector: CopyInspector
  readonly #queue: EventQueue
  #held: (() => void) | undefined

  constructor(inspector: CopyInspector, queue: EventQueue) {
    this.#inspector = inspector
    this.#queue = queue
  }

  get isReady(): boolean {
    return !this.#inspector.isBusy && !this.#queue.isFull
  }

  look(chunk: Buffer): void {
    this.#inspector.fromClient(chunk)
  }

  whenReady(callback: () => void): void {
    if (this.#inspector.isBusy) this.#held = callback
    else this.#queue.whenRoom(callback)
  }

  /** The program said something. */
  answered(): void {
    const held = this.#held
    if (held === undefined || this.#inspector.isBusy) return
    this.#held = undefined
    this.#queue.whenRoom(held)
  }
}
