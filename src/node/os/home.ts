/** The directory a session starts in. */

import { type Stats, statSync } from 'node:fs'
import type { Account } from './account-files.ts'

export interface StartDirectory {
  readonly path: string
  /** For the user, when it is not the home directory. */
  readonly notice: string | undefined
}

/** The home directory where the account can enter it, else `/` with the words that sshd uses. */
export function startDirectory(account: Account): StartDirectory {
  const problem = homeProblem(account)
  if (problem === undefined) return { path: account.home, notice: undefined }
  return { path: '/', notice: `Could not chdir to home directory ${account.home}: ${problem}\n` }
}

function homeProblem(account: Account): string | undefined {
  if (!account.home.startsWith('/')) return 'No such file or directory'
  let stat: Stats
  try {
    stat = statSync(account.home)
  } catch {
    return 'No such file or directory'
  }
  if (!stat.isDirectory()) return 'Not a directory'
  return mayEnter(stat, account) ? undefined : 'Permission denied'
}

/** By mode bits. Supplementary groups are not known here, so a group's right counts for everybody: the shell can still say no. */
function mayEnter(stat: Stats, account: Account): boolean {
  if (account.uid === 0) return true
  if (stat.uid === account.uid) return (stat.mode & 0o100) !== 0
  return (stat.mode & 0o011) !== 0
}
