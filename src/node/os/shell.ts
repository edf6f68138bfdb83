/** How a login shell is told that it is one. */

import { basename } from 'node:path'

/** Shells that take `-l`. Anything else (git-shell, menus, nologin) is started without arguments, as sshd does. */
const takeLoginFlag = new Set([
  'ash',
  'bash',
  'busybox',
  'csh',
  'dash',
  'elvish',
  'fish',
  'ksh',
  'ksh93',
  'mksh',
  'nu',
  'rbash',
  'sh',
  'tcsh',
  'xonsh',
  'yash',
  'zsh',
])

/**
 * The argv of a login shell. The old sign, a `-` before the program's name, cannot pass through `setpriv`, which uses the
 * file's name; then the flag says it. Both make `shopt login_shell` and its relatives true.
 */
export function loginShellArgv(shell: string, canSetName: boolean): readonly string[] {
  const name = basename(shell)
  if (canSetName) return [`-${name}`]
  return takeLoginFlag.has(name) ? [shell, '-l'] : [shell]
}
