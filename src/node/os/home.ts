/** The directory a session starts in. */

import type { Stats } from 'node:fs'
import { stat } from 'node:fs/promises'
import type { Env } from '../../common/env.ts'
import type { Account } from './account-files.ts'

export interface StartDirectory {
  readonly path: string
  /** For the user, when it is not the home directory. */
  readonly notice: string | undefined
}

/** A home on a file server that does not answer must not hold the daemon: `chdir` there would. */
const homeTimeoutMs = 2000

/** The home directory where the account can enter it, else `/` with the words that sshd uses. */
export async function startDirectory(account: Account, env: Env): Promise<StartDirectory> {
  const problem = await homeProblem(account, env)
  if (problem === undefined) return { path: account.home, notice: undefined }
  return { path: '/', notice: `Could not chdir to home directory ${account.home}: ${problem}\n` }
}

async function homeProblem(account: Account, env: Env): Promise<string | undefined> {
  if (!account.home.startsWith('/')) return 'No such file or directory'
  const timer = new AbortController()
  const looked = stat(account.home).catch(() => 'No such file or directory' as const)
  const waited = env.sleep(homeTimeoutMs, timer.signal).then(
    () => 'Connection timed out' as const,
    () => 'Connection timed out' as const,
  )
  const found = await Promise.race([looked, waited])
  timer.abort()
  if (typeof found === 'string') return found
  if (!found.isDirectory()) return 'Not a directory'
  return mayEnter(found, account) ? undefined : 'Permission denied'
}

/** By mode bits. Supplementary groups are not known here, so a group's right counts for everybody: the shell can still say no. */
function mayEnter(stat: Stats, account: Account): boolean {
  if (account.uid === 0) return true
  if (stat.uid === account.uid) return (stat.mode & 0o100) !== 0
  return (stat.mode & 0o011) !== 0
}
