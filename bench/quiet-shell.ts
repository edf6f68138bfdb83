/**
 * Login shells without the user's start-up files, on the servers of both sides. What somebody's `.bashrc` does can take longer
 * than everything that is measured, and says nothing about either side.
 */

import { existsSync } from 'node:fs'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import { run } from './processes.ts'

const startUpFiles = ['.bashrc', '.bash_profile', '.bash_login', '.profile', '.zshenv', '.zshrc', '.zprofile', '.kshrc']

/** What to put before a server's command. Empty where there is nothing to hide, or, with a remark, no right to hide it. */
export async function quietShell(): Promise<readonly string[]> {
  const files = startUpFiles.map((name) => join(userInfo().homedir, name)).filter((file) => existsSync(file))
  if (files.length === 0) return []
  // In a mount namespace of its own, so that nobody else sees it.
  const script = `${files.map((file) => `mount --bind /dev/null '${file}'`).join(' && ')} && exec "$@"`
  const prefix = ['unshare', '--mount', 'sh', '-c', script, 'sh']
  if ((await run([...prefix, 'true'])).status === 0) return prefix
  console.error(
    '    (no right to hide the start-up files of the shell: what they cost is in the figures of both sides)',
  )
  return []
}
