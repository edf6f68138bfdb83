/** What a session leaves in the audit log: its start, its command, its end. */

import { type AuditEvent, newEvent } from '../../audit/events.ts'
import { messageOf } from '../../errors/system.ts'
import type { ExitResult } from '../../ssh/connection/types.ts'
import type { NodeContext } from '../context.ts'
import { connectionFields, formatAddress, keep, record, serverFields } from '../node-events.ts'
import type { SessionFacts } from './facts.ts'
import { endUid, type OpenFile, type OpenSession } from './open-sessions.ts'

/** Nodes that could not keep the last start of a session: somebody may have filled the disk in order to work unrecorded. */
const doubtful = new WeakSet<NodeContext>()

export interface SessionEnd {
  /** Undefined: the client went before the program had ended. */
  readonly result: ExitResult | undefined
  readonly participants: readonly string[]
  readonly reason?: string | undefined
  readonly recording?: string | undefined
  /** Bytes that the client sent, and that it was sent. */
  readonly rx: number
  readonly tx: number
}

export const sessionFields = ({ node, connection, id }: Pick<SessionFacts, 'node' | 'connection' | 'id'>) => ({
  ...connectionFields(node, connection),
  sid: id,
})

/**
 * Rejects when the node can keep no more events: then nothing is started. The promise inside resolves when the event is on
 * the disk; the program need not wait for that, its end does, unless the node failed to keep an event just before.
 */
export async function recordStart(facts: SessionFacts): Promise<{ readonly done: Promise<void> }> {
  const { node, connection, program, session } = facts
  const { pty } = session
  node.openSessions.opened({
    sid: facts.id,
    user: connection.identity.identity.user,
    login: connection.user,
    interactive: pty !== undefined,
    started: facts.started.toISOString(),
    'addr.local': formatAddress(connection.localAddress),
    'addr.remote': formatAddress(connection.peer),
  })
  const event = newEvent(node.env, {
    event: 'session.start',
    ...sessionFields(facts),
    interactive: pty !== undefined,
    ...(pty === undefined ? {} : { size: `${pty.columns}:${pty.rows}` }),
    ...(program.command === undefined ? {} : { initial_command: [program.command] }),
  })
  const recorded = node.audit([event as AuditEvent])
  let refused: unknown
  recorded.then(
    () => doubtful.delete(node),
    (error: unknown) => {
      doubtful.add(node)
      node.openSessions.closed(facts.id)
      refused = error
    },
  )
  if (doubtful.has(node)) await recorded
  else await settleSoon()
  if (refused !== undefined) throw refused
  return { done: recorded }
}

const ended = new WeakSet<SessionFacts>()

/** The first call for a session counts. */
export function recordEnd(facts: SessionFacts, end: SessionEnd): void {
  if (ended.has(facts)) return
  ended.add(facts)
  const { node, program, started } = facts
  const fields = sessionFields(facts)
  if (program.subsystem !== undefined) {
    const { exitError } = exitFields(end)
    const failure = exitError === undefined ? {} : { exitError }
    record(node, { event: 'subsystem', ...fields, name: program.subsystem, ...failure })
  } else if (program.command !== undefined) {
    record(node, { event: 'exec', ...fields, command: program.command, ...exitFields(end) })
  }
  record(node, { event: 'session.data', ...fields, tx: end.tx, rx: end.rx })
  keep(
    node,
    {
      event: 'session.end',
      ...fields,
      interactive: facts.session.pty !== undefined,
      session_start: started.toISOString(),
      session_stop: node.env.now().toISOString(),
      participants: end.participants,
      ...(end.recording === undefined ? {} : { session_recording: end.recording }),
      ...(end.reason === undefined ? {} : { reason: end.reason }),
    },
    endUid(facts.id),
  ).then(
    () => node.openSessions.closed(facts.id),
    // The session stays on the list: the next process tells its end.
    (error: unknown) => node.logger.error('the end of a session could not be kept', { reason: messageOf(error) }),
  )
}

/** The end of a session whose node process was killed. When exactly it ended, nobody knows. */
export async function keepLostEnd(node: NodeContext, session: OpenSession, files: readonly OpenFile[]): Promise<void> {
  const { sid, user, started, ...facts } = session
  const { interactive: _, ...connection } = facts
  for (const { uid, event, action, path } of files) {
    const error = 'the node ended while this file was open; how much of it was copied is not known'
    const told = {
      ...serverFields(node),
      ...connection,
      user,
      sid,
      path,
      size: 0,
      partial: true,
      success: false,
      error,
    }
    await keep(node, event === 'scp' ? { event, ...told, action } : { event, ...told }, uid)
  }
  await keep(
    node,
    {
      event: 'session.end',
      ...serverFields(node),
      ...facts,
      user,
      sid,
      session_start: started,
      session_stop: node.env.now().toISOString(),
      participants: [user],
      reason: 'the node ended before the session did; the time is that of the next start',
    },
    endUid(sid),
  )
}

function exitFields({ result, reason }: SessionEnd): { readonly exitCode?: string; readonly exitError?: string } {
  if (result === undefined) return { exitError: reason ?? 'the client disconnected' }
  if (result.kind === 'signal') return { exitError: `killed by signal ${result.signal}` }
  if (result.status === 0) return { exitCode: '0' }
  return { exitCode: String(result.status), exitError: `exit status ${result.status}` }
}

/** Lets promises that are settled already run their handlers. */
const settleSoon = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
