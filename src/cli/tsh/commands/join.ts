/** `tsh join`: takes part in somebody's session. */

import { joinLogin } from '../../../api/session-model.ts'
import { messageOf } from '../../../errors/system.ts'
import type { CommandRun } from '../../common/spec.ts'
import { control, findSession, onNodeOf, resetTerminal } from '../live/open-session.ts'
import { activeLogin, wantedFrom } from '../login-state.ts'
import { runSession } from '../ssh/session.ts'

export const join: CommandRun = async ({ options, args }) => {
  const mode = options.string('mode')
  const login = activeLogin(wantedFrom(options), new Date())
  const session = await findSession(login, args[0] ?? '')
  const { sid } = session
  return await onNodeOf(login, session, joinLogin, async (client) => {
    const moderate = (action: 'pause' | 'resume' | 'end'): void => {
      control(client, sid, action).catch((error: unknown) => {
        process.stderr.write(`\r\ntsh: ${messageOf(error)}\r\n`)
      })
    }
    const status = await runSession(client, {
      command: undefined,
      subsystem: mode === undefined ? `join:${sid}` : `join:${sid}:${mode}`,
      pty: process.stdin.isTTY === true,
      isGuest: true,
      forwardAgent: false,
      x11: undefined,
      setEnv: [],
      escape: '~',
      forwardLines: () => ['No forwards.'],
      moderate: mode === 'moderator' ? moderate : undefined,
    })
    resetTerminal()
    // Undefined: left with ~., or the connection ended.
    return status ?? 0
  })
}
