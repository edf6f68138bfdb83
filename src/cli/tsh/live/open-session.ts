/** From the id of an open session to a connection with its node. */

import { getSession } from '../../../api/routes.ts'
import type { ActiveSessionRecord } from '../../../api/session-model.ts'
import { isUuid } from '../../../common/names.ts'
import { modesOff } from '../../../common/terminal-modes.ts'
import { BadParameter } from '../../../errors/errors.ts'
import type { SshClient } from '../../../ssh/client-types.ts'
import { printableLines } from '../../common/printable.ts'
import { withAuthApi } from '../auth-api.ts'
import { connectNode, connectProxy } from '../connect.ts'
import type { ActiveLogin } from '../login-state.ts'

/** Throws BadParameter for what is no id, NotFound for a session that is not there or not for this user. */
export async function findSession(login: ActiveLogin, sid: string): Promise<ActiveSessionRecord> {
  if (!isUuid(sid)) throw new BadParameter('session', `"${sid}" is not the id of a session; see: tsh sessions ls`)
  return await withAuthApi(login, (api) => api.call(getSession, { params: { sid: sid.toLowerCase() } }))
}

/** Connects to the session's node; `as` is its OS login, or that of joiners. Closes both connections when `work` is done. */
export async function onNodeOf<T>(
  login: ActiveLogin,
  session: ActiveSessionRecord,
  as: string,
  work: (client: SshClient) => Promise<T>,
): Promise<T> {
  const proxy = await connectProxy(login)
  try {
    const client = await connectNode(
      proxy,
      login,
      { host: session.serverId, port: 0, login: as },
      { onBanner: (text) => process.stderr.write(printableLines(text)) },
    )
    try {
      return await work(client)
    } finally {
      void client.close()
    }
  } finally {
    void proxy.close()
  }
}

/** Asks as a moderator. Returns the exit status, 0 when it was done; the node says on standard error why not. */
export async function control(client: SshClient, sid: string, action: 'pause' | 'resume' | 'end'): Promise<number> {
  const session = await client.openSession()
  session.stderr.on('data', (text: Buffer) => process.stderr.write(text))
  session.channel.resume()
  await session.subsystem(`control:${sid}:${action}`)
  const result = await session.exited
  return result?.kind === 'exit' ? result.status : 255
}

/**
 * What a program may have left on is switched off; keypad, scroll region, hidden cursor and colours one by one, since not every
 * terminal knows the soft reset.
 */
export function resetTerminal(): void {
  if (!process.stdout.isTTY) return
  process.stdout.write(`${modesOff}\x1b>\x1b7\x1b[r\x1b8\x1b[?7h\x1b[?25h\x1b[0m\r\n`)
}
