/** Real `ssh -tt` on a terminal of its own, with waiting for what appears on it: `expect` for tests. */

import { realEnv } from '../../common/env.ts'
import type { ExitResult } from '../../ssh/connection/types.ts'
import { openAccounts } from '../os/accounts.ts'
import { startDirectory } from '../os/home.ts'
import { currentPrivileges } from '../os/privileges.ts'
import { startProcess, type UserProcess } from '../os/user-process.ts'

export interface TerminalClient {
  /** Everything that has appeared, escape sequences and all. */
  readonly screen: () => string
  type(text: string): void
  resize(columns: number, rows: number): void
  /** Waits until the text appears after what was waited for before; fails after a minute with what is there. */
  waitFor(text: string | RegExp): Promise<void>
  readonly exited: Promise<ExitResult>
  readonly process: UserProcess
}

const size = { columns: 80, rows: 24, widthPixels: 0, heightPixels: 0 }

export async function terminalClient(
  file: string,
  args: readonly string[],
  login: string,
  modes: ReadonlyMap<number, number> = new Map(),
): Promise<TerminalClient> {
  const account = await openAccounts(realEnv).find(login)
  if (account === undefined) throw new Error(`no account ${login}`)
  const child = startProcess({
    account,
    program: { kind: 'file', file, args },
    env: { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: account.home, LANG: 'C.UTF-8' },
    directory: await startDirectory(account, realEnv),
    pty: { term: 'xterm-256color', modes, ...size },
    ttyGid: undefined,
    privileges: currentPrivileges(),
    clock: realEnv,
  })
  let seen = ''
  let from = 0
  let wake: () => void = () => {}
  child.stdout.on('data', (chunk: Buffer) => {
    seen += chunk.toString('utf8')
    wake()
  })
  const find = (text: string | RegExp): number => {
    const rest = seen.slice(from)
    if (typeof text === 'string') return rest.includes(text) ? rest.indexOf(text) + text.length : -1
    const match = text.exec(rest)
    return match === null ? -1 : match.index + match[0].length
  }
  return {
    screen: () => seen,
    type: (text) => void child.stdin.write(text),
    resize: (columns, rows) => child.terminal?.resize({ ...size, columns, rows }),
    async waitFor(text) {
      const deadline = realEnv.monotonicMs() + 60_000
      for (;;) {
        const end = find(text)
        if (end >= 0) {
          from += end
          return
        }
        if (realEnv.monotonicMs() > deadline) {
          throw new Error(`${String(text)} did not appear after ${JSON.stringify(seen.slice(from))}`)
        }
        await Promise.race([
          new Promise<void>((resolve) => {
            wake = resolve
          }),
          realEnv.sleep(100),
        ])
      }
    },
    exited: child.exited,
    process: child,
  }
}
