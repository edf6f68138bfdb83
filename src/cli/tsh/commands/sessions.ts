/** `tsh sessions`: what is open, going on with one's own, ending one as its moderator. */

import { listSessions } from '../../../api/routes.ts'
import { type ActiveSessionRecord, joinLogin } from '../../../api/session-model.ts'
import { formatTable, truncate } from '../../../common/text.ts'
import { MissingParameter } from '../../../errors/errors.ts'
import { print } from '../../common/output.ts'
import type { CommandRun } from '../../common/spec.ts'
import { shortTime } from '../../common/time.ts'
import { withAuthApi } from '../auth-api.ts'
import { control, findSession, onNodeOf, resetTerminal } from '../live/open-session.ts'
import { type ActiveLogin, activeLogin, wantedFrom } from '../login-state.ts'
import { runSession } from '../ssh/session.ts'

type Listed = ActiveSessionRecord & { readonly modes: readonly string[] }

async function openSessions(login: ActiveLogin): Promise<readonly Listed[]> {
  return await withAuthApi(login, async (api) => {
    const found: Listed[] = []
    let after: string | undefined
    do {
      const page = await api.call(listSessions, { query: after === undefined ? {} : { after } })
      found.push(...page.items)
      after = page.next
    } while (after !== undefined)
    return found
  })
}

const header = ['Session ID', 'User', 'Login', 'Node', 'Started', 'State', 'Parties', 'Join as', 'Command']

export const sessionsLs: CommandRun = async ({ options }) => {
  const sessions = await openSessions(activeLogin(wantedFrom(options), new Date()))
  await print(options.string('format'), sessions, () =>
    formatTable(
      header,
      sessions.map((session) => [
        session.sid,
        session.user,
        session.login,
        session.serverHostname,
        shortTime(new Date(session.started)),
        session.state,
        [...new Set(session.parties.map(({ user }) => user))].join(', '),
        session.modes.join(', '),
        truncate(session.command ?? '', 60),
      ]),
    ),
  )
  return 0
}

export const sessionsAttach: CommandRun = async ({ options, args }) => {
  if (process.stdin.isTTY !== true) throw new MissingParameter('terminal', 'going on with a session needs a terminal')
  const login = activeLogin(wantedFrom(options), new Date())
  const session = await findSession(login, args[0] ?? '')
  return await onNodeOf(login, session, session.login, async (client) => {
    const status = await runSession(client, {
      command: undefined,
      subsystem: `attach:${session.sid}`,
      pty: true,
      forwardAgent: false,
      x11: undefined,
      setEnv: [],
      escape: '~',
      forwardLines: () => ['No forwards.'],
    })
    resetTerminal()
    process.stderr.write(`the connection was closed on the remote side on  ${shortTime(new Date())}\n`)
    return status ?? 255
  })
}

export const sessionsEnd: CommandRun = async ({ options, args }) => {
  const login = activeLogin(wantedFrom(options), new Date())
  const session = await findSession(login, args[0] ?? '')
  const status = await onNodeOf(login, session, joinLogin, (client) => control(client, session.sid, 'end'))
  if (status === 0)
    process.stderr.write(`The session of ${session.user} on ${session.serverHostname} has been ended.\n`)
  return status
}
