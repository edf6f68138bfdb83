/** Sessions of users begin here: what was asked for, whether it is still allowed, and who serves it. */

import { moderationOf } from '../../access/join.ts'
import { joinLogin } from '../../api/session-model.ts'
import { AccessDenied, KindError } from '../../errors/errors.ts'
import { messageOf } from '../../errors/system.ts'
import type { ServerSession, TerminalSize } from '../../ssh/connection/types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import { checkCopy } from '../files/copy-session.ts'
import { serveExec } from './exec-session.ts'
import { openExtras, type SessionExtra } from './extras.ts'
import type { SessionFacts } from './facts.ts'
import { parseAsk, serveJoiner, serveOwner } from './joining.ts'
import { serveLive } from './live-session.ts'
import { programFor, type SessionProgram } from './program.ts'
import { recordEnd, recordStart, sessionFields } from './trail.ts'

/** Exit status when the node could not do its part. 255 is what `ssh` uses for its own errors. */
const nodeFailure = 254

const moderated =
  'your roles require that somebody joins your sessions, so commands need a terminal: ssh -t, tsh ssh -t. Files cannot be copied'

/** Serves the session; never throws. */
export function serveSession(session: ServerSession, connection: NodeConnection, node: NodeContext): void {
  if (connection.user === joinLogin) {
    serveJoiner(session, connection, node)
    return
  }
  const ask = session.request.kind === 'subsystem' ? parseAsk(session.request.name) : undefined
  if (ask?.kind === 'attach') {
    serveOwner(session, connection, node, ask.sid)
    return
  }
  const program = programFor(session.request)
  if (program === undefined) {
    session.reject()
    return
  }
  const id = node.env.randomUuid()
  serveProgram({ id, session, connection, node, program }).catch((error: unknown) => {
    node.logger.error('session failed', { reason: messageOf(error), sid: id })
    session.channel.destroy()
  })
}

interface Ask {
  readonly id: string
  readonly session: ServerSession
  readonly connection: NodeConnection
  readonly node: NodeContext
  readonly program: SessionProgram
}

async function serveProgram(ask: Ask): Promise<void> {
  const { id, session, connection, node } = ask
  // A window may change before the program has started.
  let size: TerminalSize | undefined
  session.onWindowChange = (latest) => {
    size = latest
  }
  let extras: SessionExtra | undefined
  let facts: SessionFacts | undefined
  try {
    const user = await node.recheck(connection)
    // Nobody could watch it.
    if (session.pty === undefined && moderationOf({ user: user.identity.user, roles: user.identity.roles })) {
      throw new AccessDenied(moderated)
    }
    const { copy, subsystem, command = '' } = ask.program
    if (copy !== undefined) {
      const onTerminal = session.pty !== undefined
      await checkCopy({ copy, subsystem, command, onTerminal, user, node, fields: sessionFields(ask) })
    }
    extras = await openExtras({ sid: id, session, connection, user, node })
    const beginning = { ...ask, user, extras, started: node.env.now() }
    const { done: recorded } = await recordStart(beginning)
    facts = beginning
    if (session.pty === undefined) await serveExec(facts, recorded)
    else await serveLive(facts, recorded, () => size)
  } catch (error) {
    const reason = refuse(ask, error)
    if (facts !== undefined) {
      const participants = [facts.user.identity.user]
      recordEnd(facts, { result: undefined, participants, reason, rx: 0, tx: 0 })
    }
  } finally {
    extras?.close()
  }
}

/** Says on standard error why nothing was started. Returns what it said. */
function refuse({ session, node, id }: Ask, error: unknown): string {
  const known = error instanceof KindError
  if (!known) node.logger.error('cannot start a session', { reason: messageOf(error), sid: id })
  const message = known ? error.message : 'the node could not start the session; its log says why'
  session.accept()
  const onTerminal = session.pty !== undefined
  ;(onTerminal ? session.channel : session.stderr).write(`ERROR: ${message}${onTerminal ? '\r\n' : '\n'}`)
  session.exit({ kind: 'exit', status: nodeFailure }).catch(() => {})
  return message
}
