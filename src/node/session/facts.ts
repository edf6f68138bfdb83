/** What is known of a session when its program is about to start: the same for pipes and terminals. */

import type { ServerSession, TerminalSize } from '../../ssh/connection/types.ts'
import type { NodeConnection, NodeContext } from '../context.ts'
import type { NodeUser } from '../node-user.ts'
import { startDirectory } from '../os/home.ts'
import { startProcess, type UserProcess } from '../os/user-process.ts'
import { sessionEnvironment } from './environment.ts'
import type { SessionExtra } from './extras.ts'
import type { SessionProgram } from './program.ts'

export interface SessionFacts {
  /** A UUID: others can join by it. */
  readonly id: string
  readonly node: NodeContext
  /** Of whoever opened it, with the channel. */
  readonly connection: NodeConnection
  readonly session: ServerSession
  readonly user: NodeUser
  readonly program: SessionProgram
  readonly extras: SessionExtra
  readonly started: Date
}

/** Starts the program, on a terminal of that size if one was asked for. Throws a kind of `src/errors`. */
export async function startProgram(facts: SessionFacts, size?: TerminalSize): Promise<UserProcess> {
  const { node, session, connection } = facts
  const account = facts.user.account.target
  const directory = await startDirectory(account, node.env)
  const notice = [directory.notice, facts.extras.notice].filter((text) => text !== undefined).join('')
  return startProcess({
    account,
    program: facts.program.program,
    env: sessionEnvironment(node, connection, {
      sessionId: facts.id,
      account,
      client: session.env,
      extras: facts.extras.env,
    }),
    directory: { path: directory.path, notice: notice === '' ? undefined : notice },
    pty: session.pty === undefined ? undefined : { ...session.pty, ...size },
    ttyGid: node.accounts.groupId('tty'),
    privileges: node.privileges,
    clock: node.env,
  })
}
